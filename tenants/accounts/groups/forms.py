from __future__ import annotations

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from tenants.accounts.models import Account

from .services import LONGEST_DESCRIPTION, LONGEST_NAME


class GroupForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=LONGEST_NAME)
    description = forms.CharField(
        label=_("Description"),
        max_length=LONGEST_DESCRIPTION,
        required=False,
        help_text=_("What its members have in common."),
    )


class AccountChoice(forms.ModelChoiceField):
    def label_from_instance(self, account: Account) -> str:
        name = account.get_full_name()
        return name if name == account.username else f"{name} ({account.username})"


class MemberForm(forms.Form):
    """Choose one of the given accounts."""

    account = AccountChoice(
        label=_("Account"),
        queryset=Account.objects.none(),
        to_field_name="username",
        empty_label=_("Choose"),
    )

    def __init__(self, *args: object, accounts: QuerySet[Account], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        field = self.fields["account"]
        assert isinstance(field, AccountChoice)  # noqa: S101  # declared above
        field.queryset = accounts

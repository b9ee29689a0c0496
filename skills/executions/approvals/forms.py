from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from skills.catalogue.models import Risk
from skills.executions.policy import (
    LONGEST_WAIT_H,
    MOST_APPROVALS,
    PLATFORM_MINIMUM,
    Demand,
    Rules,
)
from tenants.accounts.models import Account, Group


class RulesForm(forms.Form):
    """Two fields for each risk. What the platform demands anyway cannot be chosen away."""

    expires_after_h = forms.IntegerField(
        label=_("A request waits for at most"),
        min_value=1,
        max_value=LONGEST_WAIT_H,
        help_text=_("Hours, 24 at most. If nobody has decided by then, it does not run."),
    )
    remind_after_h = forms.IntegerField(
        label=_("Remind people after"),
        min_value=1,
        max_value=LONGEST_WAIT_H,
        help_text=_("Hours. Those who can decide get one e-mail."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for risk in Risk.values:
            minimum = PLATFORM_MINIMUM[risk]
            self.fields[f"{risk}_confirm"] = forms.BooleanField(
                label=_("Who asks for it must confirm it"),
                required=False,
                disabled=minimum.confirm,
                initial=minimum.confirm,
            )
            self.fields[f"{risk}_approvals"] = forms.TypedChoiceField(
                label=_("Approvals by others"),
                coerce=int,
                choices=[
                    (count, count or _("None"))
                    for count in range(minimum.approvals, MOST_APPROVALS + 1)
                ],
            )

    @classmethod
    def showing(cls, rules: Rules) -> RulesForm:
        initial: dict[str, Any] = {
            "expires_after_h": int(rules.expires_after / timedelta(hours=1)),
            "remind_after_h": int(rules.remind_after / timedelta(hours=1)),
        }
        for risk in Risk.values:
            demand = rules.demands.get(risk, Demand()).and_also(PLATFORM_MINIMUM[risk])
            initial[f"{risk}_confirm"] = demand.confirm
            initial[f"{risk}_approvals"] = demand.approvals
        return cls(initial=initial)

    def wanted(self) -> dict[str, Any]:
        """Return the arguments of services.set_rules."""
        data = self.cleaned_data
        demands = {
            risk: Demand(
                confirm=data[f"{risk}_confirm"] or PLATFORM_MINIMUM[risk].confirm,
                approvals=data[f"{risk}_approvals"],
            )
            for risk in Risk.values
        }
        hours = {name: data[name] for name in ("expires_after_h", "remind_after_h")}
        return {"demands": demands, **hours}

    def rows(self) -> list[tuple[Risk, Demand, Any, Any]]:
        """Return each risk with the platform's minimum and its two fields."""
        return [
            (
                Risk(risk),
                PLATFORM_MINIMUM[risk],
                self[f"{risk}_confirm"],
                self[f"{risk}_approvals"],
            )
            for risk in Risk.values
        ]


class DelegationForm(forms.Form):
    """To whom, and until the end of which day."""

    to = forms.ChoiceField(label=_("To"))
    until = forms.DateField(
        label=_("Until"),
        help_text=_("The last day, 90 days from now at most."),
        widget=forms.DateInput(attrs={"type": "date"}),
    )

    def __init__(self, *args: Any, own_id: int | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.accounts = Account.objects.filter(is_active=True).exclude(pk=own_id or -1)
        self.groups = Group.objects.all()
        people = [
            (f"account:{one.username}", one.get_full_name())
            for one in self.accounts.order_by("username")
        ]
        groups = [(f"group:{one.pk}", one.name) for one in self.groups]
        choices = [("", _("Choose")), (_("Groups"), groups), (_("People"), people)]
        self.fields["to"].choices = [  # type: ignore[attr-defined]  # a ChoiceField
            entry for entry in choices if entry[1]
        ]

    def wanted(self) -> dict[str, Any]:
        """Return the arguments of services.delegate."""
        kind, _colon, named = self.cleaned_data["to"].partition(":")
        last_moment = datetime.combine(self.cleaned_data["until"], time.max)
        return {
            "to_account": self.accounts.get(username=named) if kind == "account" else None,
            "to_group": self.groups.get(pk=named) if kind == "group" else None,
            "ends_at": timezone.make_aware(last_moment),
        }

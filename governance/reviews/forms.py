from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from skills.catalogue.models import Approval, Risk, Visibility
from skills.hot_update.reviewing.rules import ORDERED, TIGHTENABLE, Rules
from skills.hot_update.reviewing.services import LONGEST_TEXT


class ShownForm(forms.Form):
    """What a verdict is about: exactly the revision and files that were shown."""

    revision = forms.UUIDField(widget=forms.HiddenInput)
    digest = forms.CharField(max_length=64, widget=forms.HiddenInput)
    packages = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)
    reason = forms.CharField(
        label=_("Reason"),
        max_length=LONGEST_TEXT,
        required=False,
        help_text=_("The tenant reads it. It is needed to reject."),
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class VerdictForm(ShownForm):
    """The rules under which a script would run. Only tighter ones than asked for can be chosen."""

    risk = forms.ChoiceField(label=_("Risk"))
    confirm = forms.BooleanField(
        label=_("Somebody confirms each run"), required=False,
        help_text=_("High risk is always confirmed."),
    )  # fmt: skip
    approval = forms.ChoiceField(label=_("Approval"))
    visibility = forms.ChoiceField(
        label=_("Who has rights on it when it is new"),
        help_text=_("An update leaves the rights as they are."),
    )
    manual = forms.BooleanField(label=_("People may run it by hand"), required=False)
    ai_callable = forms.BooleanField(label=_("The assistant may offer it"), required=False)
    network = forms.BooleanField(label=_("It may use the network"), required=False)
    network_hosts = forms.CharField(
        label=_("Only these hosts"),
        required=False,
        help_text=_("One a line; empty: all public ones."),
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
    )
    timeout_s = forms.IntegerField(label=_("Time limit in seconds"), min_value=1)
    memory_mb = forms.IntegerField(label=_("Memory limit in MiB"), min_value=32)
    concurrency = forms.IntegerField(
        label=_("Runs at once"), required=False, min_value=1, help_text=_("Empty: no limit.")
    )

    field_order = (*TIGHTENABLE, "reason", "revision", "digest", "packages")

    def __init__(self, data: Any = None, *, rules: Rules, initial: dict[str, Any] | None = None):
        shown = {**rules, "network_hosts": "\n".join(rules["network_hosts"])}
        super().__init__(data, initial={**shown, **(initial or {})})
        titles = {**dict(Risk.choices), **dict(Approval.choices), **dict(Visibility.choices)}
        for name, order in ORDERED.items():
            possible = order[order.index(rules[name]) :]
            choice = self.fields[name]
            choice.choices = [(value, titles[value]) for value in possible]  # type: ignore[attr-defined]
        # What cannot be taken away, or was not asked for, cannot be changed here.
        for name, is_fixed in (
            ("confirm", rules["confirm"]),
            ("manual", not rules["manual"]),
            ("ai_callable", not rules["ai_callable"]),
            ("network", not rules["network"]),
            ("network_hosts", not rules["network"]),
        ):
            self.fields[name].disabled = bool(is_fixed)
        for name in ("timeout_s", "memory_mb", "concurrency"):
            if rules[name] is not None:
                self.fields[name].widget.attrs["max"] = rules[name]

    def rules(self) -> Rules:
        chosen = {name: self.cleaned_data[name] for name in TIGHTENABLE}
        chosen["network_hosts"] = chosen["network_hosts"].split()
        return chosen


class RemarkForm(forms.Form):
    text = forms.CharField(
        label=_("Remark"), max_length=LONGEST_TEXT, widget=forms.Textarea(attrs={"rows": 3})
    )


class ReasonForm(forms.Form):
    reason = forms.CharField(label=_("Reason"), max_length=2000)

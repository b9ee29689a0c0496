from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from skills.catalogue.models import Approval, SkillVersion, is_file

from .editing import (
    LONGEST_INPUT_TITLE,
    LONGEST_TEXT,
    LONGEST_TITLE,
)
from .services import LONGEST_REASON


class ReasonForm(forms.Form):
    reason = forms.CharField(label=_("Reason"), max_length=LONGEST_REASON)


class InUseForm(ReasonForm):
    """A reason, and which version was in use when the page was made."""

    expected = forms.IntegerField(required=False, min_value=0, widget=forms.HiddenInput)


class BindForm(InUseForm):
    version = forms.IntegerField(min_value=1)
    pin = forms.BooleanField(required=False)


class LinesField(forms.CharField):
    """One value in each line."""

    widget = forms.Textarea(attrs={"rows": 3})

    def to_python(self, value: Any) -> list[str]:  # type: ignore[override]  # a list, not a text
        return [
            line.strip() for line in (super().to_python(value) or "").splitlines() if line.strip()
        ]

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value


class ExamplesField(LinesField):
    """One example of an input in each line: text as it is, everything else as JSON."""

    def __init__(self, *, schema: Mapping[str, Any], **kwargs: Any) -> None:
        types = schema.get("type")
        self.is_text = "string" in ([types] if isinstance(types, str) else types or [])
        super().__init__(**kwargs)

    def clean(self, value: Any) -> list[Any]:
        lines: list[str] = super().clean(value)
        if self.is_text:
            return list(lines)
        return [self._parsed(line) for line in lines]

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, list):
            return "\n".join(
                one
                if self.is_text and isinstance(one, str)
                else json.dumps(one, ensure_ascii=False)
                for one in value
            )
        return value

    def _parsed(self, line: str) -> Any:
        try:
            return json.loads(line)
        except (ValueError, RecursionError):
            raise forms.ValidationError(
                _("%(line)s is not a value of this input. Write it as JSON."),
                params={"line": line[:60]},
            ) from None


class EditForm(forms.Form):
    """The texts of a version and of its inputs, and the rules that can become stricter."""

    title = forms.CharField(label=_("Title"), max_length=LONGEST_TITLE)
    description = forms.CharField(
        label=_("Description"),
        max_length=LONGEST_TEXT,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    tags = LinesField(
        label=_("Tags"), required=False, help_text=_("One in each line."), max_length=2_000
    )
    examples = LinesField(
        label=_("Example sentences"),
        required=False,
        max_length=10_000,
        help_text=_("What somebody might say to get this done. One in each line."),
    )

    STRICTER = {
        "confirm": (_("Ask for a confirmation before each run"), True),
        "approval": (_("Somebody else approves each run"), Approval.FOUR_EYES.value),
        "ai_callable": (_("The assistant may not call it any more"), False),
        "manual": (_("No manual execution any more"), False),
    }
    """What can be made stricter here: the box that does so, and the value it stands for."""

    def __init__(self, version: SkillVersion, data: QueryDict | None = None) -> None:
        self.version = version
        super().__init__(data, initial=self._initial(version))
        self.inputs: list[tuple[str, list[str]]] = []
        for name, schema in version.input_fields.items():
            self._add_input(name, schema)
        self.stricter: list[str] = []
        for name, (label, wanted) in self.STRICTER.items():
            if getattr(version, name) != wanted:
                self.fields[name] = forms.BooleanField(label=label, required=False)
                self.stricter.append(name)
        self.fields["reason"] = forms.CharField(
            label=_("What you changed, and why"), max_length=LONGEST_REASON
        )
        self.fields["expected"] = forms.IntegerField(widget=forms.HiddenInput, min_value=1)

    def _initial(self, version: SkillVersion) -> dict[str, Any]:
        initial: dict[str, Any] = {
            name: getattr(version, name) for name in ("title", "description", "tags", "examples")
        }
        initial["expected"] = version.number
        for name, schema in version.input_fields.items():
            for word in ("title", "description", "examples"):
                initial[f"input-{name}-{word}"] = schema.get(word, [] if word == "examples" else "")
        return initial

    def _add_input(self, name: str, schema: dict[str, Any]) -> None:
        prefix = f"input-{name}-"
        self.fields[f"{prefix}title"] = forms.CharField(
            label=_("Title"), max_length=LONGEST_INPUT_TITLE, required=False
        )
        self.fields[f"{prefix}description"] = forms.CharField(
            label=_("Help"),
            max_length=LONGEST_TEXT,
            required=False,
            widget=forms.Textarea(attrs={"rows": 2}),
        )
        if not is_file(schema):
            self.fields[f"{prefix}examples"] = ExamplesField(
                label=_("Examples"),
                required=False,
                schema=schema,
                max_length=10_000,
                help_text=_("One in each line."),
            )
        self.inputs.append((name, [each for each in self.fields if each.startswith(prefix)]))

    def changes(self) -> dict[str, Any]:
        """Return what differs from the version, as ``services.edit_skill`` takes it."""
        given = self.cleaned_data
        changes: dict[str, Any] = {
            name: given[name]
            for name in ("title", "description", "tags", "examples")
            if given[name] != getattr(self.version, name)
        }
        inputs: dict[str, dict[str, Any]] = {}
        for name, names in self.inputs:
            for field in names:
                if given[field] != self.initial[field]:
                    inputs.setdefault(name, {})[field.rpartition("-")[2]] = given[field]
        if inputs:
            changes["inputs"] = inputs
        for name in self.stricter:
            if given[name]:
                changes[name] = self.STRICTER[name][1]
        return changes

    def add_refusal(self, fields: Mapping[str, str], message: str) -> None:
        """Show what the service refused beside the fields it names."""
        for path, text in fields.items():
            parts = path.split(".")
            name = f"input-{parts[1]}-{parts[-1]}" if parts[0] == "inputs" else path
            self.add_error(name if name in self.fields else None, text)
        if not fields:
            self.add_error(None, message)

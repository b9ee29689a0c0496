from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.forms.boundfield import BoundField
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from executors.manifest.model import SLUG_LENGTH
from skills.catalogue.models import Approval, Risk, Visibility

from .manifests import Tables
from .services import LONGEST_TEXT, Answers

TEXT_AREA = forms.Textarea(attrs={"rows": 3})


class UploadForm(forms.Form):
    """The first page: the files."""

    bundle = forms.FileField(
        label=gettext_lazy("Script folder as zip or tar.gz"),
        help_text=gettext_lazy(
            "With main.py or main.sh and README.md at the top. At most 500 files and 50 MiB."
        ),
        widget=forms.FileInput(attrs={"accept": ".zip,.tar.gz,.tgz"}),
        max_length=1000,
    )


class AnswersForm(forms.Form):
    """What the reviewer needs to know besides the files."""

    scenario = forms.CharField(
        label=gettext_lazy("Business scenario"),
        help_text=gettext_lazy("What problem does it solve, and who will use it?"),
        widget=forms.Textarea(attrs={"rows": 4}),
        max_length=LONGEST_TEXT,
    )
    manual = forms.BooleanField(label=gettext_lazy("People may run it by hand"), required=False)
    ai_callable = forms.BooleanField(
        label=gettext_lazy("The assistant may propose it"), required=False
    )
    confirm = forms.BooleanField(
        label=gettext_lazy("Each run must be confirmed first"),
        help_text=gettext_lazy("For what rewrites data or acts outside. High risk always asks."),
        required=False,
    )
    note = forms.CharField(
        label=gettext_lazy("Note to the reviewer"),
        widget=TEXT_AREA,
        max_length=LONGEST_TEXT,
        required=False,
    )

    def answers(self) -> Answers:
        return Answers(**self.cleaned_data)


class LinesField(forms.CharField):
    """A list of texts, one a line."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("widget", forms.Textarea(attrs={"rows": 3}))
        super().__init__(required=False, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[str]:
        return [line.strip() for line in (super().clean(value) or "").splitlines() if line.strip()]


class ManifestForm(forms.Form):
    """The manifest of a submission, but for the types of inputs, which the code decides."""

    name = forms.CharField(
        label=gettext_lazy("Name of the skill"),
        help_text=gettext_lazy("In addresses and on the command line: a-z, 0-9 and hyphens."),
        max_length=SLUG_LENGTH,
    )
    title = forms.CharField(label=gettext_lazy("Title"), max_length=120)
    description = forms.CharField(
        label=gettext_lazy("Description"), widget=TEXT_AREA, max_length=2000, required=False
    )
    risk = forms.ChoiceField(
        label=gettext_lazy("Risk"),
        choices=Risk.choices,
        widget=forms.RadioSelect,
        help_text=gettext_lazy(
            "Low reads and computes. Medium changes what can be undone. High is anything else."
        ),
    )
    approval = forms.ChoiceField(
        label=gettext_lazy("Approval"), choices=Approval.choices, widget=forms.RadioSelect
    )
    visibility = forms.ChoiceField(
        label=gettext_lazy("Who has rights on it when it is new"),
        choices=Visibility.choices,
        widget=forms.RadioSelect,
        help_text=gettext_lazy("An update leaves the rights as they are."),
    )
    network = forms.BooleanField(label=gettext_lazy("It needs the network"), required=False)
    timeout_s = forms.IntegerField(
        label=gettext_lazy("Time limit in seconds"), min_value=1, max_value=86_400
    )
    memory_mb = forms.IntegerField(
        label=gettext_lazy("Memory limit in MB"), min_value=32, max_value=65_536
    )
    tags = forms.CharField(
        label=gettext_lazy("Tags"),
        help_text=gettext_lazy("Separated by commas."),
        required=False,
        max_length=400,
    )
    examples = LinesField(
        label=gettext_lazy("What a user might say"), help_text=gettext_lazy("One sentence a line.")
    )

    def __init__(self, tables: Tables, *args: Any, fixed_name: bool = False, **kwargs: Any) -> None:
        self.tables = tables
        skill = tables["skill"]
        plain = {"risk": "medium", "approval": "none", "visibility": "tenant"} | {
            "timeout_s": 300,
            "memory_mb": 512,
        }
        initial = {**plain, **skill, "tags": ", ".join(map(str, skill.get("tags", [])))}
        for name, told in tables["inputs"].items():
            initial |= {f"{name}.{key}": value for key, value in told.items()}
        super().__init__(*args, **{**kwargs, "initial": initial})
        if fixed_name:
            self.fields["name"].disabled = True
        for name, told in tables["inputs"].items():
            self._add_input(name, told)

    def _add_input(self, name: str, told: Mapping[str, Any]) -> None:
        self.fields[f"{name}.title"] = forms.CharField(
            label=_("Title"), max_length=200, required=False
        )
        self.fields[f"{name}.description"] = forms.CharField(
            label=_("Help text"), max_length=2000, required=False
        )
        if told.get("type", "string") != "string" or "format" in told:
            return
        self.fields[f"{name}.default"] = forms.CharField(
            label=_("Default"), max_length=2000, required=False
        )
        self.fields[f"{name}.examples"] = LinesField(
            label=_("Examples"), help_text=_("One a line; the first is shown in the empty field.")
        )
        self.fields[f"{name}.enum"] = LinesField(
            label=_("Choices"), help_text=_("One a line; empty means any text.")
        )

    def own_fields(self) -> list[BoundField]:
        return [self[name] for name in self.fields if "." not in name]

    def input_groups(self) -> Iterator[tuple[str, str, list[BoundField]]]:
        """Yield name, type and fields of each input."""
        for name, told in self.tables["inputs"].items():
            kind = told.get("type", "string")
            kind = " / ".join(kind) if isinstance(kind, list) else str(kind)
            fields = [self[each] for each in self.fields if each.rpartition(".")[0] == name]
            yield name, str(told.get("format", kind)), fields

    def changes(self) -> Tables:
        """Return what the valid form says, in the form of ``with_changes``."""
        skill: Tables = {}
        inputs: Tables = {}
        for key, value in self.cleaned_data.items():
            name, dot, word = key.rpartition(".")
            if dot:
                inputs.setdefault(name, {})[word] = value or None
            else:
                skill[key] = value
        skill["tags"] = [tag.strip() for tag in skill["tags"].split(",") if tag.strip()]
        return {"skill": skill, "inputs": inputs}


class AnswerForm(forms.Form):
    text = forms.CharField(label=gettext_lazy("Answer"), widget=TEXT_AREA, max_length=LONGEST_TEXT)

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from execfabric.web.forms import SchemaForm, build_form
from execfabric.web.schema_fields import UploadField
from skills.catalogue.models import SkillVersion
from skills.executions.presentation import title_of

from .mapping import file_input_of
from .models import Batch

SAME_PREFIX = "same"
ACCEPTED = ".csv,.tsv,.xlsx,.jsonl,.ndjson"
MOST_FILES = 100
"""Of one form, as Django takes them; the API and the command line program take more."""


class RowsForm(forms.Form):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["rows"] = UploadField(
            multiple=False,
            accept=ACCEPTED,
            label=_("File with rows"),
            help_text=_("CSV, XLSX or JSONL. The first line names the columns. At most 50 MiB."),
        )


class FilesForm(forms.Form):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        most = _("At most %(count)s at once; the command line program takes more.")
        self.fields["files"] = UploadField(
            multiple=True, label=_("Files"), help_text=most % {"count": MOST_FILES}
        )


class ColumnsForm(forms.Form):
    """Which column of the file fills which input."""

    prefix = "column"

    def __init__(self, batch: Batch, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        version = batch.version
        required = set(version.input_schema.get("required") or ())
        choices = [("", _("No column")), *((column, column) for column in batch.columns)]
        for name, field in version.input_fields.items():
            self.fields[name] = forms.ChoiceField(
                label=title_of(name, field),
                choices=choices,
                required=False,
                initial=batch.mapping.get(name, ""),
                help_text=_("needed") if name in required else "",
                widget=forms.Select(attrs={"class": "form-select"}),
            )


class StartForm(forms.Form):
    skip_invalid = forms.BooleanField(required=False, label=gettext_lazy("Leave them out"))


def same_form(batch: Batch, **sent: Any) -> SchemaForm | None:
    """Return the form of the inputs no column fills; None where there are none."""
    names = [name for name in batch.version.input_fields if name not in batch.mapping]
    return _same_form(batch.version, names, initial=batch.inputs, **sent)


def same_form_of_files(version: SkillVersion, **sent: Any) -> SchemaForm | None:
    """Return the form of the inputs beside the one that is filled with a file for each run."""
    names = [name for name in version.input_fields if name != file_input_of(version)]
    return _same_form(version, names, required=True, **sent)


def _same_form(
    version: SkillVersion, names: list[str], *, required: bool = False, **arguments: Any
) -> SchemaForm | None:
    wanted = [name for name in names if name not in version.file_inputs]
    if not wanted:
        return None
    needed = version.input_schema.get("required") or () if required else ()
    schema = {
        "type": "object",
        "properties": {name: version.input_fields[name] for name in wanted},
        "required": [name for name in needed if name in wanted],
    }
    return build_form(schema, prefix=SAME_PREFIX, **arguments)

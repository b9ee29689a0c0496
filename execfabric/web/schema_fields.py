"""One form field per JSON Schema property.

Every field knows how to turn its cleaned value into the JSON value (``to_json``) and a JSON
default back into what its widget shows (``from_json``). Only the shape is checked here; the
schema itself is enforced by whoever receives the inputs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, cast

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from execfabric.web.components import iec_size

JsonSchema = Mapping[str, Any]

SAFE_INTEGER = 2**53
"""Above this a JSON number read as a float is no longer exact."""


class SchemaField(forms.Field):
    """What all fields here share."""

    notice: str = ""
    """Shown beside the field, for example that a file must be chosen again."""

    def has_value(self, value: Any) -> bool:
        """Return whether a cleaned value says anything; the form leaves out one that does not."""
        return value not in self.empty_values

    def to_json(self, value: Any) -> Any:
        """Return the JSON value of a cleaned value that says something."""
        return value

    def from_json(self, value: Any) -> Any:
        """Return what the widget shows for a JSON default."""
        return value

    def emptied(self) -> Any:
        """Return the JSON value of a field that the user emptied, or None if it has none."""
        return None


class TextField(SchemaField, forms.CharField):
    """A string. Line ends are normalised: browsers send CRLF whatever the user typed."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("strip", False)
        super().__init__(**kwargs)

    def to_python(self, value: Any) -> str:
        return cast(str, super().to_python(value)).replace("\r\n", "\n")

    def from_json(self, value: Any) -> str:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    def emptied(self) -> Any:
        return ""


class EmailField(SchemaField, forms.EmailField):
    """An e-mail address."""


class IntegerField(SchemaField, forms.IntegerField):
    """A whole number."""


class NumberField(SchemaField, forms.FloatField):
    """A number. A whole one stays whole, so that page and API record the same input."""

    def to_json(self, value: float) -> int | float:
        whole = value.is_integer() and abs(value) < SAFE_INTEGER
        return int(value) if whole else value


class BooleanField(SchemaField, forms.BooleanField):
    """A switch; off is a value too."""

    def has_value(self, value: Any) -> bool:
        return True

    def to_json(self, value: Any) -> bool:
        return bool(value)


class DateField(SchemaField, forms.DateField):
    """A calendar day, ISO 8601."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
        super().__init__(widget=widget, input_formats=["%Y-%m-%d"], **kwargs)

    def to_json(self, value: date) -> str:
        return value.isoformat()


class TimeField(SchemaField, forms.TimeField):
    """A time of day, ISO 8601."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.TimeInput(attrs={"type": "time", "step": "1"}, format="%H:%M:%S")
        super().__init__(widget=widget, input_formats=["%H:%M", "%H:%M:%S"], **kwargs)

    def to_json(self, value: time) -> str:
        return value.isoformat()


class MomentField(SchemaField, forms.DateTimeField):
    """A moment, typed in the current time zone, sent with its offset."""

    FORMATS = ("%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.DateTimeInput(
            attrs={"type": "datetime-local", "step": "any"}, format=self.FORMATS[1]
        )
        super().__init__(widget=widget, input_formats=list(self.FORMATS), **kwargs)

    def to_json(self, value: datetime) -> str:
        return value.isoformat()

    def from_json(self, value: Any) -> Any:
        try:
            moment = parse_datetime(str(value))
        except ValueError:
            return None
        if moment is None or timezone.is_naive(moment):
            return moment
        return timezone.localtime(moment)


class ChoiceField(SchemaField, forms.ChoiceField):
    """One of the values of an enum, which need not be strings."""

    def __init__(self, *, options: Sequence[tuple[Any, str]], blank: str = "", **kwargs: Any):
        self.values = {choice_key(value): value for value, _ in options}
        choices = [(choice_key(value), label) for value, label in options]
        if blank:
            choices.insert(0, ("", blank))
        super().__init__(choices=choices, **kwargs)

    def to_json(self, value: str) -> Any:
        return self.values[value]

    def from_json(self, value: Any) -> str:
        return choice_key(value)


class ChoicesField(SchemaField, forms.MultipleChoiceField):
    """Several values of an enum, as check boxes."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self, *, options: Sequence[tuple[Any, str]], **kwargs: Any) -> None:
        self.values = {choice_key(value): value for value, _ in options}
        choices = [(choice_key(value), label) for value, label in options]
        super().__init__(choices=choices, **kwargs)

    def to_json(self, value: list[str]) -> list[Any]:
        return [self.values[key] for key in value]

    def from_json(self, value: Any) -> list[str]:
        return [choice_key(item) for item in value] if isinstance(value, list) else []

    def emptied(self) -> list[Any]:
        return []


class LinesField(TextField):
    """A list of plain values, one per line; blank lines do not count."""

    def __init__(self, *, item: SchemaField, **kwargs: Any) -> None:
        self.item = item
        super().__init__(widget=forms.Textarea(attrs={"rows": 4}), **kwargs)

    def clean(self, value: Any) -> list[Any]:
        """Return the JSON values of the lines. Raises ValidationError naming the wrong lines."""
        text = cast(str, super().clean(value))
        found: list[Any] = []
        wrong: list[str] = []
        for number, line in enumerate(text.split("\n"), start=1):
            if not line.strip():
                continue
            try:
                found.append(self.item.to_json(self.item.clean(line.strip())))
            except ValidationError as error:
                wrong.append(f"Line {number}: {' '.join(error.messages)}")
        if wrong:
            raise ValidationError(wrong[:5])
        return found

    def from_json(self, value: Any) -> str:
        items = value if isinstance(value, list) else [value]
        return "\n".join(
            item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)
            for item in items
        )

    def emptied(self) -> list[Any]:
        return []


@dataclass(frozen=True, slots=True)
class Parsed:
    """JSON that was typed; null, false and [] are values too."""

    value: Any


class StructureField(TextField):
    """An object, or anything no simpler field fits, typed as JSON."""

    def __init__(self, *, kind: type | None = None, **kwargs: Any) -> None:
        self.kind = kind
        attrs = {"rows": 6, "class": "font-monospace", "spellcheck": "false"}
        super().__init__(widget=forms.Textarea(attrs=attrs), **kwargs)

    def clean(self, value: Any) -> Parsed | None:
        """Return the parsed JSON, or None when nothing was typed.

        Raises ValidationError when the text is no JSON, or not of the expected kind.
        """
        text = cast(str, super().clean(value)).strip()
        if not text:
            return None
        try:
            parsed = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
        except json.JSONDecodeError as error:
            raise ValidationError(
                f"This is not valid JSON: {error.msg}, line {error.lineno}, column {error.colno}."
            ) from error
        except (ValueError, RecursionError) as error:
            raise ValidationError("This is not valid JSON.") from error
        if self.kind is not None and not isinstance(parsed, self.kind):
            wanted = "an object: {…}" if self.kind is dict else "a list: […]"
            raise ValidationError(f"Enter {wanted}")
        return Parsed(parsed)

    def to_json(self, value: Parsed) -> Any:
        return value.value

    def from_json(self, value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, indent=2)

    def emptied(self) -> None:
        return None


class ConstantField(SchemaField, forms.CharField):
    """A value that cannot be changed; shown, and always sent."""

    def __init__(self, *, constant: Any, **kwargs: Any) -> None:
        self.constant = constant
        shown = constant if isinstance(constant, str) else json.dumps(constant)
        kwargs.update(required=False, disabled=True, initial=shown)
        super().__init__(**kwargs)

    def to_json(self, value: Any) -> Any:
        return self.constant

    def from_json(self, value: Any) -> Any:
        return self.initial

    def has_value(self, value: Any) -> bool:
        return True


class FileInput(forms.ClearableFileInput):
    """A plain file input; several files when multiple."""

    template_name = "django/forms/widgets/file.html"

    def __init__(self, *, multiple: bool, attrs: dict[str, Any] | None = None) -> None:
        self.allow_multiple_selected = multiple
        super().__init__(attrs=attrs)


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file that is there already: uploaded before, or a sample."""

    id: str
    name: str
    label: str = ""
    """What its box says; empty where it is used once more."""
    is_chosen: bool = True


class UploadField(SchemaField, forms.FileField):
    """One file, or several."""

    def __init__(self, *, multiple: bool, accept: str = "", **kwargs: Any) -> None:
        self.multiple = multiple
        self.kept: list[KeptFile] = []
        """Files offered beside the field; in a form that was sent, those uploaded before are the
        ones that are still wanted."""
        self.kept_name = ""
        """HTML name of the boxes that choose them."""
        # The browser refuses a larger file before it sends it; the server refuses it again.
        attrs = {
            "data-most-bytes": str(settings.UPLOAD_BYTES),
            "data-most-bytes-shown": iec_size(settings.UPLOAD_BYTES),
            "data-together-bytes": str(settings.REQUEST_BYTES),
            "data-together-bytes-shown": iec_size(settings.REQUEST_BYTES),
        }
        if accept:
            attrs["accept"] = accept
        super().__init__(widget=FileInput(multiple=multiple, attrs=attrs), **kwargs)

    def clean(self, data: Any, initial: Any = None) -> Any:
        """Return an UploadedFile, a list of them when multiple, or None when none was sent."""
        chosen = [file for file in self.kept if file.is_chosen]
        if not self.multiple and len(chosen) > 1:
            raise ValidationError("Choose one of these files.")
        if not data and chosen:
            return None
        if not self.multiple:
            return super().clean(data, initial)
        files = [one for one in data or [] if isinstance(one, UploadedFile)]
        if not files:
            return super().clean(None, initial)
        return [super(UploadField, self).clean(one, initial) for one in files]


def choice_key(value: Any) -> str:
    """Return the form value that stands for a JSON value of an enum.

    A string that could be taken for another JSON value ("1", "true") keeps its quotes.
    """
    if not isinstance(value, str):
        return json.dumps(value, sort_keys=True)
    try:
        json.loads(value)
    except ValueError:
        return value or '""'
    return json.dumps(value)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:20]} is too large")
    return number

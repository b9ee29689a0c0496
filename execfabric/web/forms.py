"""A form generated from the JSON Schema of a skill's inputs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.validators import MaxValueValidator, MinValueValidator
from django.http import QueryDict
from django.utils import timezone
from django.utils.datastructures import MultiValueDict

from execfabric.web.components import iec_size
from execfabric.web.schema_fields import (
    BooleanField,
    ChoiceField,
    ChoicesField,
    ConstantField,
    DateField,
    EmailField,
    IntegerField,
    JsonSchema,
    KeptFile,
    LinesField,
    MomentField,
    NumberField,
    SchemaField,
    StructureField,
    TextField,
    TimeField,
    UploadField,
)

DEFAULT_PREFIX = "input"
"""Keeps inputs apart from the page's own fields, whatever a script calls its inputs."""

KEPT_PREFIX = "kept"
"""Before the name of a file input: boxes with the ids of earlier files to use again."""

MAX_RADIOS = 3
SCALARS = frozenset({"string", "integer", "number"})


class SchemaForm(forms.Form):
    """A form over the properties of one object schema.

    Checks the shape only: types, required values, choices, simple bounds.
    """

    def __init__(self, schema: JsonSchema, **kwargs: Any) -> None:
        kwargs.setdefault("prefix", DEFAULT_PREFIX)
        super().__init__(**kwargs)
        required = set(schema.get("required") or ())
        self.nullable: set[str] = set()
        for name, spec in (schema.get("properties") or {}).items():
            plain, nullable = without_null(spec if isinstance(spec, Mapping) else {})
            if nullable:
                self.nullable.add(name)
            self.fields[name] = field_for(
                name, plain, required=name in required and not nullable, nullable=nullable
            )
        self.required_names = required

    @property
    def schema_fields(self) -> dict[str, SchemaField]:
        return {
            name: field for name, field in self.fields.items() if isinstance(field, SchemaField)
        }

    def get_initial_for_field(self, field: forms.Field, field_name: str) -> Any:
        """Return what the widget starts with; ``initial`` of the form holds JSON values."""
        if field_name in self.initial and isinstance(field, SchemaField):
            return field.from_json(self.initial[field_name])
        return super().get_initial_for_field(field, field_name)

    def full_clean(self) -> None:
        super().full_clean()
        self._ask_for_files_again()

    def inputs(self) -> dict[str, Any]:
        """Return the JSON-ready inputs of a valid form, without files.

        An empty optional input is left out. One whose default was deleted by the user is sent
        empty, or null where the schema allows null, since leaving it out would bring the
        default back.
        """
        values: dict[str, Any] = {}
        for name, field in self.schema_fields.items():
            if isinstance(field, UploadField) or name not in self.cleaned_data:
                continue
            value = self.cleaned_data[name]
            if field.has_value(value):
                values[name] = field.to_json(value)
            elif self._must_be_sent_empty(name, field):
                empty = None if name in self.nullable else field.emptied()
                if empty is not None or name in self.nullable:
                    values[name] = empty
        return values

    def uploads(self) -> dict[str, UploadedFile[Any] | list[UploadedFile[Any]]]:
        """Return the files of a valid form by input name; a list where several are accepted."""
        return {
            name: self.cleaned_data[name]
            for name, field in self.schema_fields.items()
            if isinstance(field, UploadField) and self.cleaned_data.get(name)
        }

    def kept(self) -> dict[str, list[str]]:
        """Return the ids of the earlier files to use again, by input name.

        A new file takes the place of an earlier one where only one is accepted.
        """
        new = self.uploads()
        return {
            name: chosen
            for name, field in self.schema_fields.items()
            if isinstance(field, UploadField)
            and (chosen := [file.id for file in field.kept if file.is_chosen])
            and (field.multiple or name not in new)
        }

    def kept_wanted(self, name: str) -> list[str]:
        """Return what the sent boxes of a file input say; nothing of it is checked yet."""
        return self.data.getlist(kept_name(name)) if isinstance(self.data, QueryDict) else []

    def offer_kept(self, name: str, files: Sequence[KeptFile]) -> None:
        """Offer files that are there already to a file input."""
        field = self.fields[name]
        if not isinstance(field, UploadField):
            raise TypeError(f"{name} is not a file input.")
        field.kept = list(files)
        field.kept_name = kept_name(name)

    def takes_several(self, name: str) -> bool:
        field = self.fields[name]
        return isinstance(field, UploadField) and field.multiple

    def say(self, name: str, notice: str) -> None:
        """Show a notice beside one input."""
        field = self.fields[name]
        if isinstance(field, SchemaField):
            field.notice = notice

    def add_field_errors(self, fields: Mapping[str, str | Sequence[str]]) -> None:
        """Show errors found elsewhere beside their inputs; "rows.0.name" belongs to "rows"."""
        if not self.is_bound:
            raise ValueError("Errors can only be added to a form that was sent.")
        for path, message in fields.items():
            messages = [message] if isinstance(message, str) else list(message)
            name = path if path in self.fields else path.replace("/", ".").split(".")[0]
            if name in self.fields:
                self.add_error(name, messages)
            else:
                self.add_error(None, [f"{path}: {text}" if path else text for text in messages])
        self._ask_for_files_again()

    def _must_be_sent_empty(self, name: str, field: SchemaField) -> bool:
        if name in self.required_names:
            return True
        had_default = field.initial not in field.empty_values
        # Check boxes that are all off are not sent by a browser; any other field is.
        was_sent = self.add_prefix(name) in self.data or isinstance(field, ChoicesField)
        return had_default and was_sent

    def _ask_for_files_again(self) -> None:
        """A browser forgets chosen files when the page comes back with errors; say so."""
        if not self.is_bound or not self.errors:
            return
        for name, field in self.schema_fields.items():
            if isinstance(field, UploadField) and self.files.get(self.add_prefix(name)):
                field.notice = "Choose the file again; browsers do not keep it."


def kept_name(name: str) -> str:
    return f"{KEPT_PREFIX}-{name}"


def build_form(
    schema: JsonSchema,
    *,
    data: QueryDict | Mapping[str, Any] | None = None,
    files: MultiValueDict[str, UploadedFile[Any]] | None = None,
    initial: Mapping[str, Any] | None = None,
    prefix: str = DEFAULT_PREFIX,
) -> SchemaForm:
    """Return the form of an object schema (draft 2020-12, the words skill.toml uses).

    data and files are ``request.POST`` and ``request.FILES`` of a sent form; initial holds JSON
    values by input name, for example those of an earlier execution. HTML names are
    "<prefix>-<input name>".
    """
    return SchemaForm(schema, data=data, files=files, initial=dict(initial or {}), prefix=prefix)


def field_for(
    name: str, spec: JsonSchema, *, required: bool, nullable: bool = False
) -> SchemaField:
    """Return the field that fits spec; one for JSON text where nothing simpler does."""
    common: dict[str, Any] = {
        "label": str(spec.get("title") or name.replace("_", " ").replace("-", " ").capitalize()),
        "help_text": str(spec.get("description") or ""),
        "required": required,
    }
    if "const" in spec:
        return ConstantField(constant=spec["const"], **common)
    options = options_of(spec)
    kind = spec.get("type")
    field: SchemaField
    if options:
        field = _choice_field(options, spec, common)
    elif spec.get("format") == "file":
        common["help_text"] = _with_hint(common, f"At most {iec_size(settings.UPLOAD_BYTES)}.")
        field = UploadField(multiple=False, accept=_accept(spec), **common)
    elif kind == "string":
        field = _text_field(spec, common)
    elif kind in ("integer", "number"):
        field = _number_field(spec, common)
    elif kind == "boolean" and nullable:
        field = ChoiceField(options=[(True, "Yes"), (False, "No")], blank="Not set", **common)
    elif kind == "boolean":
        field = BooleanField(**{**common, "required": False})
    elif kind == "array":
        field = _array_field(name, spec, common)
    else:
        field = _structure_field(dict if kind == "object" else None, common)
    if "default" in spec and spec["default"] is not None:
        field.initial = field.from_json(spec["default"])
    return field


def without_null(spec: JsonSchema) -> tuple[JsonSchema, bool]:
    """Return (spec, nullable): ["string", "null"] and anyOf [X, null] become plain X."""
    kinds = spec.get("type")
    if isinstance(kinds, list):
        plain = [kind for kind in kinds if kind != "null"]
        rest = {key: value for key, value in spec.items() if key != "type"}
        single = {**rest, "type": plain[0]} if len(plain) == 1 else rest
        return single, "null" in kinds
    branches = spec.get("anyOf")
    if isinstance(branches, list):
        plain_branches = [branch for branch in branches if branch != {"type": "null"}]
        if len(plain_branches) == 1 and len(branches) == 2 and isinstance(plain_branches[0], dict):
            rest = {key: value for key, value in spec.items() if key != "anyOf"}
            return {**plain_branches[0], **rest}, True
    return spec, False


def options_of(spec: JsonSchema) -> list[tuple[Any, str]]:
    """Return (value, label) of every choice of an enum, or of a oneOf of titled constants."""
    values = spec.get("enum")
    if isinstance(values, list):
        return [(value, _option_label(value)) for value in values if value is not None]
    branches = spec.get("oneOf")
    if isinstance(branches, list) and branches and all(_is_titled(one) for one in branches):
        return [(one["const"], str(one.get("title") or one["const"])) for one in branches]
    return []


def _is_titled(branch: Any) -> bool:
    return isinstance(branch, Mapping) and "const" in branch


def _option_label(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _choice_field(
    options: list[tuple[Any, str]], spec: JsonSchema, common: dict[str, Any]
) -> ChoiceField:
    """Few choices of which one is always chosen are radio buttons, others a select."""
    always_chosen = common["required"] or spec.get("default") is not None
    if always_chosen and len(options) <= MAX_RADIOS:
        return ChoiceField(options=options, widget=forms.RadioSelect, **common)
    blank = "Choose…" if common["required"] else "No choice"
    if spec.get("default") is not None and common["required"]:
        blank = ""
    return ChoiceField(options=options, blank=blank, **common)


def _text_field(spec: JsonSchema, common: dict[str, Any]) -> SchemaField:
    simple: dict[str, type[SchemaField]] = {
        "date": DateField,
        "date-time": MomentField,
        "email": EmailField,
        "time": TimeField,
    }
    form = spec.get("format")
    if form == "date-time":
        zone = f"Time zone: {timezone.get_current_timezone_name()}."
        common = {**common, "help_text": _with_hint(common, zone)}
    if form in simple:
        return simple[form](**common)
    limits = {
        "min_length": _count(spec.get("minLength")),
        "max_length": _count(spec.get("maxLength")),
    }
    if form == "multiline":
        return TextField(widget=forms.Textarea(attrs={"rows": 6}), **limits, **common)
    attrs: dict[str, Any] = {}
    if isinstance(spec.get("pattern"), str):
        # JSON Schema searches anywhere in the text, the browser matches all of it.
        attrs["pattern"] = f".*(?:{spec['pattern']}).*"
    if isinstance(spec.get("examples"), list) and spec["examples"]:
        attrs["placeholder"] = str(spec["examples"][0])
    widget = {"uri": forms.URLInput, "password": forms.PasswordInput}.get(
        str(form), forms.TextInput
    )
    return TextField(widget=widget(attrs=attrs), **limits, **common)


def _number_field(spec: JsonSchema, common: dict[str, Any]) -> SchemaField:
    whole = spec.get("type") == "integer"
    field: SchemaField = IntegerField(**common) if whole else NumberField(**common)
    step = _number(spec.get("multipleOf"))
    field.widget.attrs["step"] = step or (1 if whole else "any")
    low, high = _number(spec.get("minimum")), _number(spec.get("maximum"))
    if low is not None:
        field.widget.attrs["min"] = low
        field.validators.append(MinValueValidator(low))
    if high is not None:
        field.widget.attrs["max"] = high
        field.validators.append(MaxValueValidator(high))
    return field


def _array_field(name: str, spec: JsonSchema, common: dict[str, Any]) -> SchemaField:
    items = spec.get("items")
    item_spec, _ = without_null(items if isinstance(items, Mapping) else {})
    options = options_of(item_spec)
    needs_one = common["required"] and bool(_count(spec.get("minItems")))
    if item_spec.get("format") == "file":
        each, together = iec_size(settings.UPLOAD_BYTES), iec_size(settings.REQUEST_BYTES)
        common["help_text"] = _with_hint(common, f"At most {each} each, {together} together.")
        return UploadField(multiple=True, accept=_accept(item_spec) or _accept(spec), **common)
    if options:
        return ChoicesField(options=options, **{**common, "required": needs_one})
    if item_spec.get("type") in SCALARS:
        item = field_for(name, item_spec, required=True)
        help_text = _with_hint(common, "One value per line.")
        shared = {**common, "required": needs_one, "help_text": help_text}
        return LinesField(item=item, **shared)
    return _structure_field(list, common)


def _structure_field(kind: type | None, common: dict[str, Any]) -> StructureField:
    looks = {dict: ' such as {"name": "value"}', list: ' such as [1, "two"]'}
    hint = f"Write it as JSON,{looks[kind]}." if kind in looks else "Write it as JSON."
    return StructureField(kind=kind, **{**common, "help_text": _with_hint(common, hint)})


def _with_hint(common: Mapping[str, Any], hint: str) -> str:
    """Return the author's help text with what the form itself wants added as a sentence."""
    said = str(common["help_text"]).strip()
    if said and said[-1] not in ".!?:…":
        said += "."
    return f"{said} {hint}".strip()


def _accept(spec: JsonSchema) -> str:
    """Return the file types a file input offers, as the browser wants them."""
    wanted = spec.get("accept") or spec.get("contentMediaType") or ""
    return ",".join(map(str, wanted)) if isinstance(wanted, list) else str(wanted)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Any) -> float | int | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None

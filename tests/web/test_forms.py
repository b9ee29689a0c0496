from __future__ import annotations

from typing import Any, TypeAlias

import pytest
from django import forms
from django.core.files.uploadedfile import SimpleUploadedFile, UploadedFile
from django.http import QueryDict
from django.template import Context, Template
from django.utils.datastructures import MultiValueDict

from execfabric.web.forms import SchemaForm, build_form
from execfabric.web.schema_fields import KeptFile

Files: TypeAlias = "MultiValueDict[str, UploadedFile[Any]]"


def schema(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def sent(shape: dict[str, Any], **values: str | list[str]) -> SchemaForm:
    """Return the form of shape as a browser would send it; names come without their prefix."""
    data = QueryDict(mutable=True)
    for name, value in values.items():
        data.setlist(f"input-{name}", value if isinstance(value, list) else [value])
    return build_form(shape, data=data, files=MultiValueDict())


def rendered(form: SchemaForm) -> str:
    return Template("{% load web %}{% form_fields form %}").render(Context({"form": form}))


@pytest.mark.parametrize(
    ("spec", "typed", "value"),
    [
        ({"type": "string"}, "  a b ", "  a b "),
        ({"type": "string", "format": "multiline"}, "one\r\ntwo", "one\ntwo"),
        ({"type": "string", "format": "email"}, "a@b.example", "a@b.example"),
        ({"type": "string", "format": "uri"}, "https://a.example/x", "https://a.example/x"),
        ({"type": "string", "format": "date"}, "2026-02-28", "2026-02-28"),
        ({"type": "string", "format": "time"}, "09:30", "09:30:00"),
        ({"type": "string", "enum": ["a", "b", "c", "d"]}, "c", "c"),
        ({"type": "integer"}, "-7", -7),
        ({"type": "integer", "enum": [1, 2, 3]}, "2", 2),
        ({"enum": ["1", 1, True]}, '"1"', "1"),
        ({"enum": ["1", 1, True]}, "true", True),
        ({"oneOf": [{"const": 10, "title": "Ten"}, {"const": 20}]}, "20", 20),
        ({"type": "number"}, "2.5", 2.5),
        ({"type": "number"}, "3", 3),
        ({"type": "boolean"}, "on", True),
        ({"type": ["boolean", "null"]}, "false", False),
        ({"type": "array", "items": {"type": "string"}}, "x\r\n\r\ny", ["x", "y"]),
        ({"type": "array", "items": {"type": "integer"}}, "1\n2", [1, 2]),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, ["a", "b"], ["a", "b"]),
        ({"type": "array", "items": {"type": "object"}}, '[{"a": 1}]', [{"a": 1}]),
        ({"type": "object"}, '{"a": null}', {"a": None}),
        ({}, "false", False),
        ({}, "[]", []),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "4", 4),
    ],
)
def test_a_typed_value_becomes_its_json_value(spec: Any, typed: Any, value: Any) -> None:
    form = sent(schema("x", x=spec), x=typed)

    assert form.is_valid(), form.errors
    assert form.inputs() == {"x": value}
    assert type(form.inputs()["x"]) is type(value)


def test_a_moment_is_sent_with_its_offset(settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    form = sent(schema(x={"type": "string", "format": "date-time"}), x="2026-07-01T12:00")

    assert form.is_valid(), form.errors
    assert form.inputs() == {"x": "2026-07-01T12:00:00+02:00"}


@pytest.mark.parametrize(
    ("spec", "typed", "words"),
    [
        ({"type": "string"}, "", "required"),
        ({"type": "string", "maxLength": 2}, "abc", "at most 2"),
        ({"type": "integer"}, "1.5", "whole number"),
        ({"type": "integer"}, "9" * 5000, "whole number"),
        ({"type": "integer", "maximum": 5}, "6", "less than or equal to 5"),
        ({"type": "number"}, "nan", "number"),
        ({"type": "string", "format": "date"}, "2026-02-30", "valid date"),
        ({"type": "string", "format": "date-time"}, "soon", "valid date"),
        ({"enum": ["a", "b"]}, "c", "not one of the available choices"),
        ({"type": "array", "items": {"type": "integer"}}, "1\nx", "Line 2"),
        ({"type": "array", "items": {"enum": ["a"]}}, ["b"], "not one of the available choices"),
        ({"type": "object"}, "{", "not valid JSON"),
        ({"type": "object"}, "[1]", "an object"),
        ({"type": "object"}, '{"a": NaN}', "not valid JSON"),
        ({"type": "object"}, "[" * 100_000, "not valid JSON"),
        ({"type": "string"}, "a\x00b", "Null characters"),
    ],
)
def test_a_wrong_value_gets_a_readable_error(spec: Any, typed: Any, words: str) -> None:
    form = sent(schema("x", x=spec), x=typed)

    assert not form.is_valid()
    assert words in " ".join(map(str, form.errors["x"]))


def test_an_empty_optional_input_is_left_out() -> None:
    form = sent(schema(a={"type": "string"}, b={"type": "integer"}, c={"type": "object"}), a="")

    assert form.is_valid(), form.errors
    assert form.inputs() == {}


def test_a_deleted_default_does_not_come_back() -> None:
    shape = schema(
        text={"type": "string", "default": "x"},
        lines={"type": "array", "items": {"type": "string"}, "default": ["a"]},
        boxes={"type": "array", "items": {"enum": ["a"]}, "default": ["a"]},
        limit={"type": ["integer", "null"], "default": 3},
        on={"type": "boolean", "default": True},
    )

    form = sent(shape, text="", lines="", limit="")

    assert form.is_valid(), form.errors
    assert form.inputs() == {"text": "", "lines": [], "boxes": [], "limit": None, "on": False}


def test_a_default_is_shown_and_sent_back_unchanged() -> None:
    defaults: dict[str, Any] = {
        "day": "2026-01-31",
        "mode": 2,
        "picks": ["a"],
        "lines": [1, 2],
        "map": {"a": {"b": [1]}},
        "ratio": 0.25,
        "text": "ä\nb",
    }
    shape = schema(
        day={"type": "string", "format": "date"},
        mode={"enum": [1, 2, 3, 4]},
        picks={"type": "array", "items": {"enum": ["a", "b"]}},
        lines={"type": "array", "items": {"type": "integer"}},
        map={"type": "object"},
        ratio={"type": "number"},
        text={"type": "string", "format": "multiline"},
    )
    for name, value in defaults.items():
        shape["properties"][name]["default"] = value
    shown = build_form(shape)

    form = sent(shape, **{name: shown[name].value() for name in defaults})

    assert form.is_valid(), form.errors
    assert form.inputs() == defaults


def test_initial_values_are_those_of_an_earlier_execution() -> None:
    form = build_form(schema(x={"type": "object", "default": {}}), initial={"x": {"a": 1}})

    assert form["x"].value() == '{\n  "a": 1\n}'


def test_a_constant_cannot_be_changed() -> None:
    form = sent(schema("x", x={"const": {"a": 1}}), x="other")

    assert form.is_valid(), form.errors
    assert form.inputs() == {"x": {"a": 1}}


def test_files_are_uploads_and_not_inputs() -> None:
    file = {"type": "string", "format": "file"}
    first, second = SimpleUploadedFile("a.csv", b"1"), SimpleUploadedFile("b.csv", b"2")
    files: Files = MultiValueDict({"input-one": [first], "input-many": [first, second]})

    form = build_form(
        schema("one", one=file, many={"type": "array", "items": file}, none=file),
        data=QueryDict(),
        files=files,
    )

    assert form.is_valid(), form.errors
    assert form.inputs() == {}
    assert form.uploads() == {"one": first, "many": [first, second]}


def test_a_missing_required_file_is_an_error() -> None:
    form = sent(schema("one", one={"type": "string", "format": "file"}))

    assert not form.is_valid()
    assert "one" in form.errors


def test_a_chosen_file_must_be_chosen_again_after_an_error() -> None:
    files: Files = MultiValueDict({"input-f": [SimpleUploadedFile("a.csv", b"1")]})
    shape = schema("f", "n", f={"type": "string", "format": "file"}, n={"type": "integer"})

    form = build_form(shape, data=QueryDict("input-n=x"), files=files)

    assert "Choose the file again" in rendered(form)


def test_errors_found_elsewhere_stand_beside_their_fields() -> None:
    form = sent(schema(rows={"type": "object"}, n={"type": "integer"}), n="1")

    form.add_field_errors({"rows.0.name": "Too long.", "n": ["Too small."], "zz": "Unknown."})

    assert form.errors["rows"] == ["Too long."]
    assert form.errors["n"] == ["Too small."]
    assert form.non_field_errors() == ["zz: Unknown."]


def test_few_fixed_choices_are_radio_buttons_and_many_a_select() -> None:
    form = build_form(
        schema("few", few={"enum": ["a", "b"]}, many={"enum": list("abcd")}, maybe={"enum": ["a"]})
    )

    assert isinstance(form.fields["few"].widget, forms.RadioSelect)
    assert isinstance(form.fields["many"].widget, forms.Select)
    assert '<option value="" selected>No choice</option>' in str(form["maybe"])


def test_every_field_is_labelled_described_and_marked() -> None:
    text = {"type": "string", "title": "Customer", "description": "As on the <b>bill</b>."}
    html = rendered(sent(schema("who", who=text), who=""))

    assert 'for="id_input-who"' in html
    assert 'aria-describedby="id_input-who_helptext id_input-who_error"' in html
    assert 'aria-invalid="true"' in html
    assert 'id="id_input-who_error"' in html
    assert "As on the &lt;b&gt;bill&lt;/b&gt;." in html


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        ({"type": "string", "format": "date"}, 'type="date"'),
        ({"type": "string", "format": "date-time"}, 'type="datetime-local"'),
        ({"type": "string", "format": "email"}, 'type="email"'),
        ({"type": "string", "format": "uri"}, 'type="url"'),
        ({"type": "integer", "minimum": 1}, 'min="1"'),
        ({"type": "boolean"}, "form-switch"),
        ({"type": "string", "format": "multiline"}, "<textarea"),
        ({"type": "string", "format": "file", "accept": [".csv"]}, 'accept=".csv"'),
        ({"type": "array", "items": {"type": "string", "format": "file"}}, "multiple"),
        ({"type": "array", "items": {"enum": ["a"]}}, 'type="checkbox"'),
    ],
)
def test_a_type_gets_the_control_a_user_expects(spec: Any, part: str) -> None:
    assert part in rendered(build_form(schema(x=spec)))


@pytest.mark.parametrize("properties", [None, {"x": True}, {"x": {"type": 7}}, {"a b": {}}])
def test_an_odd_schema_still_gives_a_form(properties: Any) -> None:
    assert isinstance(rendered(build_form({"type": "object", "properties": properties})), str)


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ({"type": "object"}, 'Write it as JSON, such as {"name": "value"}.'),
        ({"type": "array", "items": {"type": "object"}}, 'Write it as JSON, such as [1, "two"].'),
        ({"description": "Anything"}, "Anything. Write it as JSON."),
        (
            {"type": "string", "format": "file", "description": "A list."},
            "A list. At most 2.0 KiB.",
        ),
        (
            {"type": "array", "items": {"type": "string", "format": "file"}},
            "At most 2.0 KiB each, 4.0 KiB together.",
        ),
    ],
)
def test_a_field_says_what_it_wants(spec: Any, hint: str, settings: Any) -> None:
    settings.UPLOAD_BYTES, settings.REQUEST_BYTES = 2048, 4096

    form = build_form(schema(x=spec))

    assert form.fields["x"].help_text == hint


def test_a_kept_file_stands_in_for_a_required_one() -> None:
    shape = schema("x", x={"type": "string", "format": "file"})
    empty, kept = sent(shape), sent(shape)
    kept.offer_kept("x", [KeptFile("7", "<b>.csv")])

    assert not empty.is_valid()
    assert kept.is_valid(), kept.errors
    assert kept.kept() == {"x": ["7"]}
    assert kept.uploads() == {}
    assert "Use &lt;b&gt;.csv again" in rendered(kept)

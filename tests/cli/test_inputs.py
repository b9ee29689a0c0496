from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.errors import CliError
from cli.exit_codes import ExitCode
from cli.inputs import LocalFile, collect_inputs, read_inputs_file, upload_files


def schema_of(prop: dict[str, Any], *, required: bool = False) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"x": prop},
        "required": ["x"] if required else [],
        "$defs": {"Colour": {"enum": ["red", "green"]}},
    }


def refusal(schema: dict[str, Any], *words: str) -> CliError:
    with pytest.raises(CliError) as caught:
        collect_inputs(schema, words, {})
    return caught.value


@pytest.mark.parametrize(
    ("prop", "word", "value"),
    [
        ({"type": "integer"}, "7", 7),
        ({"type": "integer"}, " -7 ", -7),
        ({"type": "number"}, "2", 2),
        ({"type": "number"}, "2.5e3", 2500.0),
        ({"type": "number"}, ".5", 0.5),
        ({"type": "boolean"}, "yes", True),
        ({"type": "boolean"}, "FALSE", False),
        ({"type": "string"}, "a=b", "a=b"),
        ({"type": "string"}, "", ""),
        ({"type": "string"}, "@handle", "@handle"),
        ({"type": "string", "format": "date"}, "2026-02-01", "2026-02-01"),
        ({"type": "array", "items": {"type": "integer"}}, "[1, 2]", [1, 2]),
        ({"type": "array", "items": {"type": "integer"}}, "3", [3]),
        ({"type": "object"}, '{"a": {"b": 1}}', {"a": {"b": 1}}),
        ({"enum": ["a", "b"]}, "b", "b"),
        ({"enum": [1, 2, True]}, "2", 2),
        ({"$ref": "#/$defs/Colour"}, "green", "green"),
        ({"type": ["integer", "null"]}, "5", 5),
        ({"type": ["string", "null"]}, "", None),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None}, "5", 5),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None}, "null", None),
        ({"anyOf": [{"type": "number"}, {"type": "string"}]}, "1.5", 1.5),
        ({"anyOf": [{"type": "number"}, {"type": "string"}]}, "abc", "abc"),
        ({}, "anything", "anything"),
    ],
)
def test_a_word_becomes_a_value_of_the_declared_type(
    prop: dict[str, Any], word: str, value: object
) -> None:
    found = collect_inputs(schema_of(prop), [f"x={word}"], {})["x"]

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("prop", "word", "said"),
    [
        ({"type": "integer"}, "1.5", "whole number"),
        ({"type": "integer"}, "1_000", "whole number"),
        ({"type": "integer"}, "٣", "whole number"),
        ({"type": "integer"}, "9" * 5000, "whole number"),
        ({"type": "number"}, "nan", "number"),
        ({"type": "number"}, "1e999", "number"),
        ({"type": "boolean"}, "perhaps", "yes or no"),
        ({"enum": ["a", "b"]}, "c", "a, b"),
        ({"type": "object"}, "[1]", "JSON object"),
        ({"type": "object"}, '{"a": NaN}', "JSON object"),
        ({"type": "object"}, "{" * 100_000, "JSON object"),
        ({"type": "array", "items": {"type": "integer"}}, "[1", "JSON list"),
        ({"type": "array", "items": {"type": "integer"}}, "one", "whole number"),
        ({"type": ["integer", "null"]}, "x", "whole number"),
    ],
)
def test_a_word_of_the_wrong_type_is_refused_beside_its_name(
    prop: dict[str, Any], word: str, said: str
) -> None:
    error = refusal(schema_of(prop), f"x={word}")

    assert error.exit_code == ExitCode.INVALID_INPUTS
    assert said in error.fields["x"]


def test_repeated_words_make_a_list() -> None:
    schema = schema_of({"type": "array", "items": {"type": "integer"}})

    assert collect_inputs(schema, ["x=1", "x=2"], {}) == {"x": [1, 2]}


def test_a_single_value_given_twice_is_refused() -> None:
    assert "more than once" in refusal(schema_of({"type": "integer"}), "x=1", "x=2").fields["x"]


def test_an_unknown_name_suggests_the_near_one() -> None:
    schema = {"type": "object", "properties": {"month": {"type": "integer"}}}

    assert "Did you mean month?" in refusal(schema, "mnth=3").fields["mnth"]


def test_a_skill_without_inputs_says_that_it_takes_none() -> None:
    assert "takes none" in refusal({"type": "object", "properties": {}}, "x=1").fields["x"]


def test_an_open_schema_takes_further_names() -> None:
    schema = {"type": "object", "properties": {}, "additionalProperties": True}

    assert collect_inputs(schema, ["x=1"], {}) == {"x": "1"}


def test_a_missing_required_input_is_named_unless_it_has_a_default() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string", "default": "z"}},
        "required": ["a", "b"],
    }

    assert list(refusal(schema).fields) == ["a"]


def test_every_problem_is_told_at_once() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "boolean"}},
        "required": ["c"],
    }

    assert set(refusal(schema, "a=x", "b=x", "d=1").fields) == {"a", "b", "c", "d"}


def test_a_word_without_an_equals_sign_is_wrong_usage() -> None:
    assert refusal(schema_of({}), "x").exit_code == ExitCode.USAGE


def test_words_override_the_inputs_file() -> None:
    assert collect_inputs(schema_of({"type": "integer"}), ["x=2"], {"x": 1}) == {"x": 2}


def test_a_schema_that_refers_to_itself_ends() -> None:
    schema = {
        "properties": {"x": {"$ref": "#/$defs/A"}},
        "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "integer"}]}},
    }

    assert collect_inputs(schema, ["x=3"], {}) == {"x": 3}


def test_a_reference_to_another_place_is_never_fetched() -> None:
    schema = schema_of({"$ref": "http://127.0.0.1:9/never"})

    assert collect_inputs(schema, ["x=3"], {}) == {"x": "3"}


FILE = {"type": "string", "format": "file"}


def test_a_file_input_is_uploaded_and_its_id_becomes_the_value(tmp_path: Path) -> None:
    path = tmp_path / "orders with space=1.csv"
    path.write_text("a,b")

    values = collect_inputs(schema_of(FILE), [f"x=@{path}"], {})

    assert values == {"x": LocalFile(path)}
    assert upload_files(values, lambda sent: f"id of {sent.name}") == {"x": f"id of {path.name}"}


def test_a_list_of_files_uploads_each_path_once(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.csv", "b.csv")]
    for path in paths:
        path.touch()
    words = [f"x=@{path}" for path in [*paths, paths[0]]]
    sent: list[str] = []

    def upload(path: Path) -> str:
        sent.append(path.name)
        return path.stem

    values = collect_inputs(schema_of({"type": "array", "items": FILE}), words, {})

    assert upload_files(values, upload) == {"x": ["a", "b", "a"]}
    assert sent == ["a.csv", "b.csv"]


def test_a_file_in_the_inputs_file_is_found_too(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.touch()

    assert collect_inputs(schema_of(FILE), [], {"x": f"@{path}"}) == {"x": LocalFile(path)}


def test_the_id_of_an_uploaded_file_is_taken_as_it_is() -> None:
    assert collect_inputs(schema_of(FILE), ["x=f-17"], {}) == {"x": "f-17"}


def test_a_path_without_its_at_sign_is_pointed_out(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.touch()

    assert f"@{path}" in refusal(schema_of(FILE), f"x={path}").fields["x"]


@pytest.mark.parametrize("name", ["absent.csv", ""])
def test_a_path_that_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    assert "x" in refusal(schema_of(FILE), f"x=@{tmp_path / name}").fields


def test_an_object_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a": 1}')

    assert collect_inputs(schema_of({"type": "object"}), [f"x=@{path}"], {}) == {"x": {"a": 1}}


@pytest.mark.parametrize("text", ["", "[1]", '{"a": Infinity}', "{", "\ud800"])
def test_a_broken_inputs_file_is_wrong_usage(tmp_path: Path, text: str) -> None:
    path = tmp_path / "inputs.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))

    with pytest.raises(CliError) as caught:
        read_inputs_file(str(path))

    assert caught.value.exit_code == ExitCode.USAGE


def test_an_inputs_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "inputs.json"
    path.write_text(json.dumps({"x": [1, "ü"]}), encoding="utf-8")

    assert read_inputs_file(str(path)) == {"x": [1, "ü"]}


def test_what_the_schema_says_of_other_inputs_is_reported_in_the_same_turn() -> None:
    schema = {
        "type": "object",
        "properties": {
            "times": {"type": "integer"},
            "share": {"type": "number", "minimum": 1},
            "day": {"type": "string", "format": "date"},
            "name": {"type": "string"},
        },
        "required": ["name"],
        "additionalProperties": False,
    }

    error = refusal(schema, "times=x", "share=0", "day=soon")

    assert error.fields.keys() == {"times", "share", "day", "name"}
    assert error.fields["share"] == "must be at least 1"
    assert "--input name=value" in error.fields["name"]


def test_no_file_is_uploaded_for_inputs_that_the_server_must_refuse(tmp_path: Path) -> None:
    schema = {
        "properties": {
            "orders": {"type": "string", "format": "file"},
            "limit": {"type": "integer", "minimum": 1},
        }
    }
    (tmp_path / "orders.csv").touch()
    file = f"orders=@{tmp_path}/orders.csv"

    assert refusal(schema, file, "limit=0").fields == {"limit": "must be at least 1"}
    assert collect_inputs(schema, [file, "limit=1"], {})["limit"] == 1


@pytest.mark.parametrize(
    "rule",
    [
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"$ref": "#"},
        {"type": "nonsense"},
        {"pattern": "["},
        {"minimum": "x"},
    ],
)
def test_a_schema_that_cannot_be_checked_here_is_left_to_the_server(
    tmp_path: Path, rule: dict[str, Any]
) -> None:
    schema = {"properties": {"orders": {"type": "string", "format": "file"}, "x": rule}}
    (tmp_path / "orders.csv").touch()

    values = collect_inputs(schema, [f"orders=@{tmp_path}/orders.csv"], {"x": "7"})

    assert values["x"] == "7"

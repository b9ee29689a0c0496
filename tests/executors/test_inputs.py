"""Inputs against the schema: defaults, plain sentences, and nothing that cannot be stored."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from executors import inputs
from executors.inputs import (
    PATTERNED_LENGTH,
    InvalidInputs,
    PatternNotUsable,
    check_inputs,
    compile_pattern,
)


def schema(**properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name, rule in properties.items() if "default" not in rule],
        "additionalProperties": False,
    }


def problem(rule: dict[str, Any], value: Any) -> str:
    with pytest.raises(InvalidInputs) as caught:
        check_inputs(schema(x=rule), {"x": value})
    return caught.value.fields["x"]


def test_defaults_are_filled_in_and_the_given_left_untouched() -> None:
    given: dict[str, Any] = {"a": 1}
    rules = schema(a={"type": "integer"}, b={"type": "array", "default": [1]})

    filled = check_inputs(rules, given)
    filled["b"].append(2)  # type: ignore[union-attr]

    assert given == {"a": 1}
    assert check_inputs(rules, given) == {"a": 1, "b": [1]}


def test_every_wrong_input_is_named_at_once() -> None:
    rules = schema(n={"type": "integer"}, day={"type": "string", "format": "date"})

    with pytest.raises(InvalidInputs) as caught:
        check_inputs(rules, {"day": "31.01.2026", "speed": 1})

    assert caught.value.fields == {
        "n": "is required",
        "day": "must be a date such as 2026-01-31",
        "speed": "is not an input of this skill",
    }


@pytest.mark.parametrize(
    ("rule", "value", "sentence"),
    [
        ({"type": "integer"}, "3", "must be a whole number"),
        ({"type": "integer"}, True, "must be a whole number"),
        ({"type": "integer"}, 3.5, "must be a whole number"),
        ({"type": ["number", "null"]}, "3", "must be a number"),
        ({"type": "string"}, 3, "must be text"),
        ({"type": "boolean"}, "yes", "must be true or false"),
        ({"type": "array"}, {}, "must be a list"),
        ({"type": "string", "enum": ["a", "b"]}, "c", "must be one of: a, b"),
        ({"type": "integer", "minimum": 1}, 0, "must be at least 1"),
        ({"type": "number", "exclusiveMaximum": 1}, 1, "must be less than 1"),
        ({"type": "string", "minLength": 1}, "", "must not be empty"),
        ({"type": "string", "maxLength": 2}, "abc", "must have at most 2 characters"),
        ({"type": "string", "pattern": "^a"}, "b", "must match the pattern ^a"),
        (
            {"type": "array", "items": {"type": "integer"}},
            [1, "b"],
            "item 2: must be a whole number",
        ),
        ({"type": "array", "uniqueItems": True}, [1, 1], "must not contain the same item twice"),
        (
            {"type": "object", "properties": {"k": {"type": "string"}}, "required": ["k"]},
            {},
            "must contain k",
        ),
    ],
)
def test_each_rule_has_a_plain_sentence(rule: dict[str, Any], value: Any, sentence: str) -> None:
    assert problem(rule, value) == sentence


@pytest.mark.parametrize(
    ("format_name", "good", "bad"),
    [
        ("date", ["2026-02-28"], ["2026-02-30", "20260228", "2026-2-8", "", "٢٠٢٦-٠١-٠١"]),
        ("date-time", ["2026-01-31T14:30", "2026-01-31T14:30:00.5Z", "2026-01-31T14:30:00+02:00"],
         ["2026-01-31", "2026-01-31T25:00", "now"]),
        ("email", ["ana@example.com", "a.b+c@münchen.example"],
         ["ana", "a@b", "a b@c.de", ".a@b.de", "a@-b.de"]),
        ("uri", ["https://example.com/x?y=1", "mailto:ana@example.com"],
         ["example.com", "https://", "http://exa mple.com", "https://host:99999999/"]),
        ("time", ["14:30", "14:30:59"], ["24:00", "noon"]),
        ("uuid", ["123e4567-e89b-12d3-a456-426614174000"], ["123e4567"]),
    ],
)  # fmt: skip
def test_formats_are_checked(format_name: str, good: list[str], bad: list[str]) -> None:
    rule = {"type": "string", "format": format_name}
    for value in good:
        assert check_inputs(schema(x=rule), {"x": value}) == {"x": value}
    for value in bad:
        assert problem(rule, value).startswith("must be "), value


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), "a\0b", "\ud800", ["\0"], {"a\0": 1}, nested(30), nested(50_000),
     10**400, b"bytes", {1: 2}, {"deep": nested(25)}],
)  # fmt: skip
def test_what_cannot_be_stored_is_refused(value: Any) -> None:
    assert problem({}, value).startswith("must")


def test_all_inputs_together_are_bounded() -> None:
    with pytest.raises(InvalidInputs) as caught:
        check_inputs(schema(x={"type": "string"}), {"x": "y" * 1024 * 1024})

    assert caught.value.fields == {"inputs": "must not be larger than 1 MiB together"}


@pytest.mark.parametrize("given", [None, [], "x", 3, {1: 2}])
def test_inputs_that_are_no_object_are_refused(given: Any) -> None:
    with pytest.raises(InvalidInputs):
        check_inputs(schema(), given)


def test_a_name_that_cannot_be_stored_is_shown_harmlessly() -> None:
    with pytest.raises(InvalidInputs) as caught:
        check_inputs(schema(), {"a\0\ud800": 1})

    (name,) = caught.value.fields
    assert "\0" not in name
    name.encode()


class TestPatterns:
    """A pattern is the script author's; no text may keep the web server busy with it."""

    @pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "a*a*a*a*a*a*b", "(.*)(.*)(.*)!x"])
    def test_a_pattern_that_backtracks_is_checked_at_once(self, pattern: str) -> None:
        started = time.process_time()

        sentence = problem({"type": "string", "pattern": pattern}, "a" * 1999 + "!")

        assert sentence == f"must match the pattern {pattern}"
        assert time.process_time() - started < 1

    def test_the_text_it_binds_is_bounded(self) -> None:
        rule = {"type": "string", "pattern": "^a+$"}

        assert check_inputs(schema(x=rule), {"x": "a" * PATTERNED_LENGTH})
        assert problem(rule, "a" * (PATTERNED_LENGTH + 1)) == "must have at most 2000 characters"

    def test_many_texts_together_are_bounded_in_time(self, monkeypatch: Any) -> None:
        monkeypatch.setattr(inputs, "PATTERN_BUDGET_S", 0.2)
        rule = {
            "type": "array",
            "items": {"type": "string", "pattern": "(?:[ab]{0,99}a){0,99}c$"},
        }
        started = time.process_time()

        with pytest.raises(InvalidInputs):
            check_inputs(schema(x=rule), {"x": ["ab" * 900] * 500})

        assert time.process_time() - started < 3
        assert inputs._patterns_until.get() == math.inf

    def test_it_may_match_anywhere_and_binds_text_only(self) -> None:
        rule = {"type": ["string", "integer"], "pattern": "b"}

        assert check_inputs(schema(x=rule), {"x": "abc"}) == {"x": "abc"}
        assert check_inputs(schema(x=rule), {"x": 7}) == {"x": 7}

    @pytest.mark.parametrize("pattern", ["(", "(?=a)", r"(a)\1", "(a{999}){999}"])
    def test_one_that_cannot_be_bounded_is_not_usable(self, pattern: str) -> None:
        with pytest.raises(PatternNotUsable, match="cannot be used"):
            compile_pattern(pattern)

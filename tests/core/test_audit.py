"""Whatever an act was given, what is written down about it can be stored."""

from __future__ import annotations

import json
import math

import pytest

from execfabric.core.actor import Actor, Door
from execfabric.core.audit import DEEPEST, LONGEST_TEXT, describe, record
from execfabric.core.models import AuditEvent, Outcome


def nested(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [math.inf, -math.inf, math.nan, nested(5000), {"a\0": {"\ud800": [math.inf]}}],
    ids=["inf", "-inf", "nan", "deep", "odd"],
)
def test_a_refusal_of_odd_inputs_is_recorded(acme, value):
    actor = Actor.anonymous(door=Door.API)

    event = record("tests.odd.do", actor=actor, outcome=Outcome.REFUSED, inputs={"x": value})

    assert AuditEvent.objects.get(pk=event.pk).details["x"] is not None


def test_what_is_nested_deeper_is_cut_off_and_said_to_be():
    assert json.dumps(describe("x", nested(DEEPEST - 1))).count("[") == DEEPEST
    assert "(nested deeper)" in json.dumps(describe("x", nested(DEEPEST + 5)))


def test_long_names_are_cut():
    (name,) = describe("x", {"n" * 10_000: 1})

    assert len(name) == LONGEST_TEXT

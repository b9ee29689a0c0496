from __future__ import annotations

import pytest

from skills.executions.serializers import ExecutionIn, plainly_valid

PLAIN = [
    {"skill": "greet", "inputs": {}},
    {"skill": "a-B_9", "inputs": {"name": "\ud800", "n": 10**30, "on": True, "none": None}},
    {"skill": "x" * 60, "inputs": {"": ""}},
]
OTHERS = [
    None,
    [],
    "greet",
    {},
    {"skill": "greet"},
    {"inputs": {}},
    {"skill": "greet", "inputs": {}, "version": 1},
    {"skill": "greet", "inputs": {}, "reason": "Because."},
    {"skill": "greet", "inputs": {}, "nonsense": 1},
    {"skill": " greet ", "inputs": {}},
    {"skill": "greet\n", "inputs": {}},
    {"skill": "grüße", "inputs": {}},
    {"skill": "", "inputs": {}},
    {"skill": "x" * 61, "inputs": {}},
    {"skill": 1, "inputs": {}},
    {"skill": True, "inputs": {}},
    {"skill": None, "inputs": {}},
    {"skill": "greet", "inputs": []},
    {"skill": "greet", "inputs": None},
    {"skill": "greet", "inputs": {"n": float("inf")}},
    {"skill": "greet", "inputs": {"n": 1.5}},
    {"skill": "greet", "inputs": {"n": {"deep": 1}}},
]


@pytest.mark.parametrize("data", PLAIN)
def test_what_is_plainly_valid_is_read_as_the_form_reads_it(data):
    form = ExecutionIn(data=data)

    assert form.is_valid()
    assert plainly_valid(data) == form.validated_data


@pytest.mark.parametrize("data", OTHERS)
def test_anything_else_is_left_to_the_form(data):
    assert plainly_valid(data) is None

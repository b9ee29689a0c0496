from __future__ import annotations

from datetime import datetime, time

import pytest

from skills.batches.mapping import NOTHING, converted, match_columns
from skills.catalogue.models import SkillVersion


@pytest.mark.parametrize(
    ("columns", "mapping"),
    [
        (["top words", "TEXT"], {"text": "TEXT", "top_words": "top words"}),
        (["Top-Words", "Body"], {"top_words": "Top-Words", "text": "Body"}),
        (["How many", "topwords"], {"top_words": "topwords"}),
        (["other"], {}),
    ],
)
def test_columns_find_their_input_by_name_or_title(columns, mapping):
    properties = {"text": {"title": "Body"}, "top_words": {"title": "How many"}}
    version = SkillVersion(input_schema={"properties": properties})

    assert match_columns(version, columns) == mapping


@pytest.mark.parametrize(
    ("cell", "field", "value"),
    [
        ("", {"type": "string"}, NOTHING),
        ("  ", {"type": "integer"}, NOTHING),
        (None, {"type": "integer"}, NOTHING),
        (" 12 ", {"type": "integer"}, 12),
        ("12.0", {"type": "integer"}, 12),
        (12.0, {"type": "integer"}, 12),
        ("12.5", {"type": "integer"}, "12.5"),
        ("1,234", {"type": "integer"}, "1,234"),
        ("9" * 400, {"type": "integer"}, "9" * 400),
        ("1.5", {"type": "number"}, 1.5),
        ("3", {"type": "number"}, 3),
        ("1,5", {"type": "number"}, "1,5"),
        ("nan", {"type": "number"}, "nan"),
        ("Yes", {"type": "boolean"}, True),
        ("0", {"type": "boolean"}, False),
        (True, {"type": "boolean"}, True),
        ("maybe", {"type": "boolean"}, "maybe"),
        (12.0, {"type": "string"}, "12"),
        ("=1+1", {"type": "string"}, "=1+1"),
        ("a; b", {"type": "array", "items": {"type": "string"}}, ["a", "b"]),
        ("1;2", {"type": "array", "items": {"type": "integer"}}, [1, 2]),
        ('["a;b"]', {"type": "array", "items": {"type": "string"}}, ["a;b"]),
        ('{"a": 1}', {"type": "object"}, {"a": 1}),
        ("{a", {"type": "object"}, "{a"),
        ("2", {"enum": [1, 2]}, 2),
        (datetime(2026, 1, 31), {"type": "string", "format": "date"}, "2026-01-31"),
        (
            datetime(2026, 1, 31, 9),
            {"type": "string", "format": "date-time"},
            "2026-01-31T09:00:00",
        ),
        (time(9, 30), {"type": "string", "format": "time"}, "09:30:00"),
        ("7", {"anyOf": [{"type": "integer"}, {"type": "null"}]}, 7),
    ],
)
def test_cells_become_the_values_their_inputs_want(cell, field, value):
    assert converted(cell, field) == value

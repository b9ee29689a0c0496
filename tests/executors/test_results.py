from __future__ import annotations

from typing import Any

import pytest

from executors.results import summarise


@pytest.mark.parametrize(
    ("value", "files", "line"),
    [
        ({"data": {"id": 1}}, 0, "1 value"),
        ({"data": {}, "more": []}, 0, "2 values"),
        ([1], 1, "1 item; 1 file"),
        ([], 2, "0 items; 2 files"),
        ({"name": "Ada"}, 0, "name: Ada"),
        ({"summary": "All done."}, 3, "All done."),
        (None, 0, "Finished without a result."),
    ],
)
def test_one_line_says_what_a_run_gave(value: Any, files: int, line: str) -> None:
    assert summarise(value, files) == line

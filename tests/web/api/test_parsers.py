from __future__ import annotations

import io

import pytest
from rest_framework.exceptions import ParseError

from execfabric.web.api.parsers import DEEPEST, BoundedJSONParser


def parse(levels: int) -> object:
    text = "[" * levels + "]" * levels
    return BoundedJSONParser().parse(io.BytesIO(f'{{"inputs": {text}}}'.encode()))


@pytest.mark.parametrize("levels", [DEEPEST, 500, 900, 100_000])
def test_what_is_nested_too_deeply_is_a_readable_refusal(levels: int) -> None:
    with pytest.raises(ParseError, match="levels deep at most"):
        parse(levels)


def test_what_anybody_sends_is_read() -> None:
    assert parse(DEEPEST - 1)
    assert BoundedJSONParser().parse(io.BytesIO(b'"text"')) == "text"

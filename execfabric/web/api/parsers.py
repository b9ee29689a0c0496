from __future__ import annotations

from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

DEEPEST = 50
"""Levels of nested values in a body. Far below where Python's own recursion ends."""


class BoundedJSONParser(JSONParser):
    """JSON that every later step can walk through; anything nested deeper is a 400."""

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Any = None
    ) -> dict[str, Any]:
        try:
            parsed: dict[str, Any] = super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError(f"Nest values {DEEPEST} levels deep at most.") from None
        _check_depth(parsed)
        return parsed


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST):
        level = [
            part
            for item in level
            if isinstance(item, (dict, list))
            for part in (item.values() if isinstance(item, dict) else item)
            if isinstance(part, (dict, list))
        ]
        if not level:
            return
    raise ParseError(f"Nest values {DEEPEST} levels deep at most.")

"""Tags of the catalogue's pages: ``{% load catalogue %}``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django import template
from django.utils.translation import gettext as _

register = template.Library()

_LOOKS = {"+": "is-added", "-": "is-removed", "@": "is-place"}


@register.filter
def diff_lines(diff: str) -> Iterator[tuple[str, str]]:
    """Yield (class, line) of a unified diff, without its two lines of file names."""
    for line in diff.split("\n")[2:]:
        yield _LOOKS.get(line[:1], ""), line


@register.filter
def plain(value: Any) -> str:
    """Show a value of a version as people say it."""
    match value:
        case None | "" | []:
            return "–"
        case True:
            return _("yes")
        case False:
            return _("no")
        case str() | int() | float():
            return str(value)
        case list() if all(isinstance(one, str) for one in value):
            return ", ".join(value)
    return json.dumps(value, ensure_ascii=False)

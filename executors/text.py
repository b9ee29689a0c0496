"""Text that can be stored and shown."""

from __future__ import annotations

import re

UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""NUL breaks databases; ESC and the C1 characters drive terminals."""


def clean(text: str) -> str:
    """Return text with every control character but tab and the ends of lines replaced."""
    return UNPRINTABLE.sub("�", text)

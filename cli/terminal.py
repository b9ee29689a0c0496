"""Makes text from a server safe to show in a terminal."""

from __future__ import annotations

import re

_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
# C0 and C1 controls but tab and newline, direction overrides, invisible marks, line separators,
# lone surrogates: each could move the cursor, hide text or make a name look like another one.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ud800-\udfff]"
)


def clean(text: object) -> str:
    """Return text with colour codes removed and every other control character spelled out."""
    plain = _COLOUR.sub("", str(text)).replace("\r\n", "\n")
    return _UNSAFE.sub(_spell_out, plain)


def clean_line(text: object) -> str:
    """Like ``clean``, on one line: for names, table cells and messages."""
    return " ".join(clean(text).split())


def escape_in_json(document: str) -> str:
    """Return the JSON document with unsafe characters as ``\\uXXXX``; its meaning is the same."""
    return _UNSAFE.sub(lambda match: f"\\u{ord(match.group()):04x}", document)


def _spell_out(match: re.Match[str]) -> str:
    number = ord(match.group())
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"

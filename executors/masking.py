"""Keeps secrets out of everything a run leaves behind: log, result, messages, files."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from functools import cached_property
from urllib.parse import quote, quote_plus

from pydantic import JsonValue

from executors.text import clean

MASK = "***"
SHORTEST_SECRET = 4
"""Shorter values are not masked: they would blank out half of an ordinary log."""

HEAD = 8
MOST_TRIES = 64
"""How a secret whose end is missing is looked for: by its first characters, so often."""


class Masker:
    """Replaces secrets by ``***``: as they are, in base64, URL-escaped and JSON-escaped."""

    def __init__(self, secrets: Iterable[str]) -> None:
        variants: set[str] = set()
        for secret in secrets:
            for form in _forms(secret):
                variants |= _spellings(form)
        # Longest first, so that a secret that begins with another one goes as a whole.
        self._variants = sorted(variants, key=lambda text: (-len(text), text))
        joined = "|".join(re.escape(variant) for variant in self._variants)
        self._pattern = re.compile(joined) if joined else None

    @cached_property
    def byte_variants(self) -> list[bytes]:
        """What is looked for in files, the longest first."""
        texts = {*self._variants, *(text.replace("\n", "\r\n") for text in self._variants)}
        encodings = ("utf-8", "utf-16-le", "utf-16-be")
        found = {text.encode(name, "surrogatepass") for text in texts for name in encodings}
        return sorted(found, key=lambda variant: (-len(variant), variant))

    @cached_property
    def byte_pattern(self) -> re.Pattern[bytes] | None:
        joined = b"|".join(map(re.escape, self.byte_variants))
        return re.compile(joined, re.DOTALL) if joined else None

    @property
    def longest(self) -> int:
        """Length of the longest text that is looked for."""
        return max(map(len, self._variants), default=0)

    def mask(self, text: str) -> str:
        """Return text without any secret."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    def mask_json(self, value: JsonValue) -> JsonValue:
        """Return value with every string in it masked, keys included."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, list):
            return [self.mask_json(item) for item in value]
        if isinstance(value, dict):
            return {self.mask(key): self.mask_json(item) for key, item in value.items()}
        return value

    def safe_length(self, text: str) -> int:
        """Return how much of text can be masked and shown now.

        What comes after it may be the beginning of a secret that the next piece completes.
        """
        if self._pattern is None:
            return len(text)
        cut = min((_open_end(text, variant) for variant in self._variants), default=len(text))
        for match in self._pattern.finditer(text):
            if match.start() < cut < match.end():
                cut = match.end()
        return cut


class StreamMasker:
    """Masks a text that comes in pieces; a secret split over two pieces is still found."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._held = ""

    def feed(self, piece: str, *, final: bool = False) -> str:
        """Return what may be shown of all text fed so far and not yet returned."""
        text = self._held + piece
        cut = len(text) if final else self._masker.safe_length(text)
        self._held = text[cut:]
        return self._masker.mask(text[:cut])


class FileMasker:
    """Masks the bytes of one file that comes in pieces, text and binary.

    Every spelling is looked for in UTF-8 and UTF-16. In a text it becomes ``***``. In a binary
    file, which is one with a NUL in its first piece, as many bytes stay: what says where its parts
    lie remains true.
    """

    def __init__(self, masker: Masker) -> None:
        self._variants = masker.byte_variants
        self._pattern = masker.byte_pattern
        self._longest = max(map(len, self._variants), default=0)
        self._held = b""
        self._is_binary: bool | None = None

    def feed(self, piece: bytes, *, final: bool = False) -> bytes:
        """Return what may be kept of all bytes fed so far and not yet returned."""
        if self._pattern is None:
            return piece
        data = self._held + piece
        if self._is_binary is None and data:
            self._is_binary = b"\0" in data
        # A secret that begins before the cut ends within data, whichever it is.
        cut = len(data) if final else max(0, len(data) - self._longest + 1)
        if not any(variant in data for variant in self._variants):
            self._held = data[cut:]
            return data[:cut]
        parts, done = [], 0
        for match in self._pattern.finditer(data):
            if match.start() >= cut:
                break
            parts += [data[done : match.start()], self._mask(match[0])]
            done = match.end()
        cut = max(cut, done)
        parts.append(data[done:cut])
        self._held = data[cut:]
        return b"".join(parts)

    def _mask(self, found: bytes) -> bytes:
        if not self._is_binary:
            return MASK.encode()
        if found.startswith(b"\0"):
            return b"\0*" * (len(found) // 2)
        if found[1:2] == b"\0":
            return b"*\0" * (len(found) // 2)
        return b"*" * len(found)


def _open_end(text: str, variant: str) -> int:
    """Return where in text variant may begin that goes on behind its end; its length for nowhere.

    Looks at each character a bounded number of times: where very many places look alike, the first
    one that is left counts, and more is held back than need be.
    """
    head, end = variant[:HEAD], len(text)
    place, tries = max(0, end - len(variant) + 1), 0
    while (place := text.find(head, place)) >= 0:
        if tries == MOST_TRIES or variant.startswith(text[place:]):
            return place
        place, tries = place + 1, tries + 1
    for size in range(min(len(head) - 1, end), 0, -1):
        if text.endswith(head[:size]):
            return end - size
    return end


def _forms(secret: str) -> set[str]:
    """Return a secret as it is, with the lines of Unix, and both as a log shows them."""
    forms = {secret, secret.replace("\r\n", "\n").replace("\r", "\n")}
    return forms | {clean(form) for form in forms}


def _spellings(secret: str) -> set[str]:
    if len(secret) < SHORTEST_SECRET:
        return set()
    data = secret.encode("utf-8", "surrogatepass")
    spellings = {
        secret,
        quote(data, safe=""),
        quote(data),
        quote_plus(data),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
    }
    # Inside a longer text such as "user:secret" base64 shows one of three shifts. The characters
    # at both ends mix with the neighbours, so only those in between are looked for.
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + data).decode()
        first = (0, 2, 3)[shift]
        last = len(encoded) - (0, 3, 2)[(shift + len(data)) % 3]
        inner = encoded[first:last]
        spellings |= {inner, inner.replace("+", "-").replace("/", "_")}
    spellings |= {base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()}
    return {text for text in spellings if len(text) >= SHORTEST_SECRET}

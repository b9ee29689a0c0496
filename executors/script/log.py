"""A run's log: from the bytes a script prints to text that can be stored and shown."""

from __future__ import annotations

import codecs
import io
from collections import deque
from collections.abc import Callable

from executors.contract import Stream
from executors.masking import Masker, StreamMasker
from executors.text import clean

FLUSH_CHARS = 16 * 1024
FLUSH_S = 0.05
TAIL_CHARS = 8 * 1024
LAST_BYTES = 256 * 1024
"""Of a log that is too long the last of it is kept, too: failures stand at the end."""
JOINED_BYTES = 4 * 1024


class _Reader:
    """Turns the bytes of one stream into clean, masked text; characters may come in halves."""

    def __init__(self, masker: Masker) -> None:
        utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._decoder = io.IncrementalNewlineDecoder(utf8, translate=True)
        self._masker = StreamMasker(masker)

    def feed(self, data: bytes, *, final: bool = False) -> str:
        text = self._decoder.decode(data, final=final)
        return self._masker.feed(clean(text), final=final)


class _LastBytes:
    """The last ``room`` bytes of both streams together, in the order they came."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.pieces: deque[tuple[Stream, bytes]] = deque()
        self._bytes = 0

    def add(self, stream: Stream, data: bytes) -> None:
        if self.pieces and self.pieces[-1][0] == stream and len(self.pieces[-1][1]) < JOINED_BYTES:
            # A list of single bytes would take a hundred times their size.
            self.pieces[-1] = (stream, self.pieces[-1][1] + data)
        else:
            self.pieces.append((stream, data))
        self._bytes += len(data)
        while self._bytes > self.room:
            oldest_stream, oldest = self.pieces.popleft()
            rest = oldest[self._bytes - self.room :]
            self._bytes -= len(oldest) - len(rest)
            if rest:
                self.pieces.appendleft((oldest_stream, rest))


class RunLog:
    """Both streams of a run in the order they came, handed on in pieces of a sensible size.

    Of all bytes together ``keep_bytes`` are kept: the first of them are handed on as they come, the
    last LAST_BYTES (a quarter at most) at the end. What lay between is counted: ``left_out`` hears
    how much, just before the last part is handed on.
    """

    def __init__(
        self,
        write: Callable[[Stream, str], None],
        masker: Masker,
        *,
        keep_bytes: int,
        left_out: Callable[[int], None] = lambda _bytes: None,
    ) -> None:
        self._write = write
        self._left_out = left_out
        self._masker = masker
        self._keep_bytes = keep_bytes
        self._last = _LastBytes(min(LAST_BYTES, keep_bytes // 4))
        self._readers = self._new_readers()
        self._pending: list[tuple[Stream, str]] = []
        self._pending_chars = 0
        self._pending_since: float | None = None
        self._error_tail = b""
        self.total_bytes = 0

    @property
    def dropped_bytes(self) -> int:
        return max(0, self.total_bytes - self._keep_bytes)

    def feed(self, stream: Stream, data: bytes, now: float) -> None:
        """Take what was read from a stream at the moment now, in seconds of any clock."""
        room = max(0, self._keep_bytes - self._last.room - self.total_bytes)
        self.total_bytes += len(data)
        if stream == "stderr":
            keep = 4 * (TAIL_CHARS + self._masker.longest)
            self._error_tail = (self._error_tail + data)[-keep:]
        if room:
            self._add(stream, self._readers[stream].feed(data[:room]))
        if len(data) > room:
            self._last.add(stream, data[room:])
        if self._pending and self._pending_since is None:
            self._pending_since = now
        if self._pending_chars >= FLUSH_CHARS:
            self._flush()

    def tick(self, now: float) -> None:
        """Hand on what has waited long enough."""
        if self._pending_since is not None and now - self._pending_since >= FLUSH_S:
            self._flush()

    def finish(self) -> None:
        """Hand on everything; call when both streams have ended."""
        unsafe: dict[Stream, int] = {}
        if self.dropped_bytes:
            # What the readers hold back may be the half of a secret whose rest is left out.
            self._flush()
            self._left_out(self.dropped_bytes)
            self._readers = self._new_readers()
            unsafe = dict.fromkeys(self._readers, self._masker.longest)
        for stream, data in self._last.pieces:
            text = self._readers[stream].feed(data)
            skipped = min(unsafe.get(stream, 0), len(text))
            unsafe[stream] = unsafe.get(stream, 0) - skipped
            self._add(stream, text[skipped:])
        for stream, reader in self._readers.items():
            self._add(stream, reader.feed(b"", final=True))
        self._flush()

    def error_tail(self) -> str:
        """Return the end of stderr, clean and masked, also when the log itself was cut before."""
        reader = _Reader(self._masker)
        text = reader.feed(self._error_tail, final=True)
        # The cut may have gone through a secret; its rest lies in what is left out here.
        return text[-TAIL_CHARS:]

    def _new_readers(self) -> dict[Stream, _Reader]:
        return {"stdout": _Reader(self._masker), "stderr": _Reader(self._masker)}

    def _add(self, stream: Stream, text: str) -> None:
        if text:
            self._pending.append((stream, text))
            self._pending_chars += len(text)

    def _flush(self) -> None:
        pending, self._pending = self._pending, []
        self._pending_chars, self._pending_since = 0, None
        joined: list[tuple[Stream, list[str]]] = []
        for stream, text in pending:
            if not joined or joined[-1][0] != stream:
                joined.append((stream, []))
            joined[-1][1].append(text)
        for stream, texts in joined:
            whole = "".join(texts)
            for start in range(0, len(whole), FLUSH_CHARS):
                self._write(stream, whole[start : start + FLUSH_CHARS])

"""What a run tells while it goes on: gathered where it runs, stored by another thread."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import structlog
from django.db import Error as AnyDatabaseError
from django.db import connections
from django.utils import timezone
from django_tenants.utils import schema_context

from execfabric.core import wake
from execfabric.core.actor import current_schema
from execfabric.core.audit import storable
from executors.contract import Limits, Stream
from executors.text import clean

from . import lifecycle
from .models import Execution, LogChunk
from .news import UnstoredNews

logger = structlog.get_logger(__name__)

CHUNK_CHARS = 32 * 1024
MOST_AT_ONCE = 16
"""Chunks stored in one turn: the thread is that of all runs of the worker."""
RETRY_S = 1.0
"""How long a database that failed is left in peace."""
LAST_STORE_S = 2.0
"""How long the end of a run waits for pieces on their way to the database."""


class LiveSink:
    """Gathers the log and the newest progress of a run.

    The run only adds to it and never waits for the database: ``store`` is for another thread, which
    calls it a few times a second, and what is left in the end is in ``rest``. So a short run costs
    no statement of its own, and a database that is slow or away keeps no script waiting. Pieces are
    numbered once and stored in order; one that may have been stored is sent again and changes
    nothing. Held in memory are at most keep_chars characters; an executor that sends more has the
    rest counted.
    """

    def __init__(
        self,
        execution: Execution,
        alive: Callable[[], bool],
        *,
        keep_chars: int = Limits().log_bytes,
    ) -> None:
        self.execution = execution
        self.alive = alive
        self._schema = current_schema()
        self._lock = threading.Lock()
        """Held for moments only: the run waits for it."""
        self._storing = threading.Lock()
        self._gathered: list[tuple[Stream, str]] = []
        self._chunks: deque[LogChunk] = deque()
        self._seq = 0
        self._progress: tuple[float, str] | None = None
        self._room = keep_chars
        self._too_much = 0
        self._is_closed = False
        self._is_known_to_run = False
        self._not_before = 0.0

    def log(self, stream: Stream, text: str) -> None:
        text = clean(storable(text))
        with self._lock:
            self._too_much += max(0, len(text) - self._room)
            text = text[: self._room]
            self._room -= len(text)
            if text:
                self._gathered.append((stream, text))

    def left_out(self, size_bytes: int) -> None:
        with self._lock:
            self._make_chunks()
            self._add_chunk(LogChunk.NOTICE, notice(size_bytes))

    def progress(self, fraction: float, message: str) -> None:
        with self._lock:
            self._progress = (fraction, clean(storable(message)))

    def store(self) -> None:
        """Store what has gathered and wake those who wait for it, or look at it. Never raises."""
        with self._storing:
            if self._is_closed or time.monotonic() < self._not_before:
                return
            with self._lock:
                self._make_chunks()
                # It stays until it is stored: the end of the run may be faster, and takes it.
                progress = self._progress
                has_news = bool(self._chunks or progress)
            is_known, self._is_known_to_run = self._is_known_to_run, True
            if not has_news:
                if not is_known:
                    with schema_context(self._schema):
                        wake.announce(self.execution.live_topic, self.execution.status)
                return
            try:
                with schema_context(self._schema):
                    self._send(progress)
            except lifecycle.StaleLease:
                # The heartbeat hears of it, too, and ends the run. Whoever ends it has the rest.
                self._is_closed = True
            except AnyDatabaseError as error:
                logger.warning(
                    "execution.news_wait", execution=str(self.execution.pk), error=str(error)
                )
                connections.close_all()
                self._not_before = time.monotonic() + RETRY_S

    def rest(self) -> UnstoredNews:
        """Return what is not stored. Call once, at the end; ``store`` does nothing any more."""
        self._is_closed = True
        # One that hangs may still store what is returned here, or be refused: both do no harm.
        arrived = self._storing.acquire(timeout=LAST_STORE_S)
        try:
            with self._lock:
                self._make_chunks()
                if self._too_much:
                    self._add_chunk(LogChunk.NOTICE, notice(self._too_much))
                return UnstoredNews(tuple(self._chunks), self._progress)
        finally:
            if arrived:
                self._storing.release()

    def _send(self, progress: tuple[float, str] | None) -> None:
        if progress is not None:
            lifecycle.note_progress(self.execution, fraction=progress[0], message=progress[1])
            with self._lock:
                if self._progress is progress:
                    self._progress = None
        has_log = bool(self._chunks)
        for _ in range(min(len(self._chunks), MOST_AT_ONCE)):
            if self._is_closed:
                break
            chunk = self._chunks[0]
            lifecycle.append_log(
                self.execution, seq=chunk.seq, stream=chunk.stream, text=chunk.text
            )
            with self._lock:
                self._chunks.popleft()
        wake.announce(self.execution.live_topic, lifecycle.LOG if has_log else lifecycle.PROGRESS)

    def _make_chunks(self) -> None:
        gathered, self._gathered = self._gathered, []
        for pieces in _grouped(gathered):
            self._add_chunk(*LogChunk.packed(pieces))

    def _add_chunk(self, stream: str, text: str) -> None:
        self._seq += 1
        self._chunks.append(
            LogChunk(
                execution=self.execution,
                seq=self._seq,
                stream=stream,
                text=text,
                at=timezone.now(),
            )
        )


def notice(size_bytes: int) -> str:
    """Return the line that stands where so much of a log is left out."""
    size = (
        f"{size_bytes / 2**20:.1f} MiB" if size_bytes >= 2**20 else f"{size_bytes / 1024:.1f} KiB"
    )
    return f"\n[{size} left out here: the log is longer than is kept]\n"


def _grouped(
    pieces: Sequence[tuple[Stream, str]],
) -> Iterator[list[tuple[Stream, str]]]:
    """Yield pieces, in order, in groups of at most CHUNK_CHARS characters."""
    group: list[tuple[Stream, str]] = []
    room = CHUNK_CHARS
    for stream, whole in pieces:
        text = whole
        while text:
            if group and group[-1][0] == stream:
                group[-1] = (stream, group[-1][1] + text[:room])
            else:
                group.append((stream, text[:room]))
            text, room = text[room:], room - len(text[:room])
            if not room:
                yield group
                group, room = [], CHUNK_CHARS
    if group:
        yield group

"""What a run told while it went on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .models import LogChunk


@dataclass(frozen=True)
class UnstoredNews:
    """What a run told and nobody has stored yet; it is recorded together with its end."""

    log: Sequence[LogChunk] = ()
    progress: tuple[float, str] | None = None
    """Fraction in 0..1 and message."""


NO_NEWS = UnstoredNews()

"""What a run told while it went on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .models import LogChunk


@dataclass(frozen=True)
class UnstoredNews:
    """What a run told and nobody has stored yet; it is recorded together with its end."""

    log: Sequence[LogChunk] = ()
    progress: tuple[float, str] | None = None
    """Fraction in 0..1 and message."""

    def progress_fields(self) -> dict[str, Any]:
        """Return the fields of an execution that hold the progress; none where it told none."""
        if self.progress is None:
            return {}
        fraction, message = self.progress
        return {"progress_fraction": fraction, "progress_message": message[:200]}


NO_NEWS = UnstoredNews()

from __future__ import annotations

from django.utils import timezone


class StepLog:
    """What a step says about itself, a line each with its time (UTC)."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(f"{timezone.now():%H:%M:%S} {text}")

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

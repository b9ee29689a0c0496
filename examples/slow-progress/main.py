"""Takes its time and tells how far it is: for watching, cancelling and timing out a run."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any


def main(seconds: float = 10, steps: int = 10, fail_at_step: int = 0) -> dict[str, Any]:
    """Work for about seconds in equal steps; fail before step fail_at_step unless it is 0."""
    if seconds < 0 or steps < 1:
        raise SystemExit("Seconds must not be negative and there must be at least one step.")
    started = time.monotonic()
    for step in range(1, steps + 1):
        if step == fail_at_step:
            raise RuntimeError(f"Step {step} failed, as asked.")
        # Sleeping until a fixed moment keeps late steps from adding up.
        time.sleep(max(0.0, started + seconds * step / steps - time.monotonic()))
        # Without flush the lines would wait in a buffer and the log would not be live.
        print(f"Step {step} of {steps} done", flush=True)
        tell_progress(step / steps, f"Step {step} of {steps}")
    taken = round(time.monotonic() - started, 2)
    summary = f"Did {steps} steps in {taken} seconds."
    return {"summary": summary, "steps": steps, "seconds": taken}


def tell_progress(fraction: float, message: str) -> None:
    """Show the line as the run's progress; fraction is in 0..1."""
    if path := os.environ.get("EXECFABRIC_PROGRESS"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{fraction:.2f} {message}\n")

"""What the operator reads while the platform starts and runs."""

import os
import sys
import time
from pathlib import Path


class Progress:
    """Prints lines with the seconds since the start. A reader that went away is no error."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def step(self, text: str) -> None:
        """Print one step."""
        self.say(f"[{time.monotonic() - self._began:5.1f} s] {text}")

    def say(self, text: str) -> None:
        """Print text as it is."""
        try:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
        except OSError:
            # Keep the interpreter from failing on its last flush.
            sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - for good

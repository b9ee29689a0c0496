"""Which processes belong to a test: those that mention or work in its folder."""

import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of the living processes that belong to folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            cwd = str((entry / "cwd").readlink())
        except OSError:
            continue
        if command and (str(folder) in command or cwd.startswith(str(folder))):
            found.append(f"{entry.name} {command}")
    return found


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = 60.0) -> None:
    """Wait until condition holds. Raises AssertionError after timeout_s."""
    give_up_at = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < give_up_at, f"Not within {timeout_s} s: {what}"
        time.sleep(0.02)

"""What several attacks use."""

import ctypes
import os
from collections.abc import Callable, Iterable

LIBC = ctypes.CDLL(None, use_errno=True)


def files_with_secret(lab: dict, paths: Iterable[str]) -> list[str]:
    """Return the paths whose content shows the lab's secret."""
    return [path for path in paths if lab["secret"].encode() in content(path)]


def content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(1 << 20)
    except OSError:
        return b""


def that_work(attempts: dict[str, Callable[[], object]]) -> list[str]:
    """Return the names of the attempts that raise nothing."""
    worked = []
    for name, attempt in attempts.items():
        try:
            attempt()
        except (OSError, ValueError):
            continue
        worked.append(name)
    return worked


def that_open(paths: Iterable[str], flags: int) -> list[str]:
    return that_work({path: lambda path=path: os.close(os.open(path, flags)) for path in paths})


def visible_processes(*more: int) -> list[int]:
    try:
        listed = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except PermissionError:
        listed = range(1, os.getpid() + 200)
    return sorted({*listed, *more})


def calls_that_work(calls: dict[str, tuple]) -> list[str]:
    """Return the names of the system calls that do not fail; tuples are number and arguments."""
    return [name for name, words in calls.items() if LIBC.syscall(*words) >= 0]


def change_mode(path: str) -> None:
    """Raise PermissionError also when it only seems to work."""
    os.chmod(path, 0o777)
    if os.stat(path).st_mode & 0o777 != 0o777:
        raise PermissionError


def change_times(path: str) -> None:
    """The same for the times of a file."""
    os.utime(path, (1, 1))
    if os.stat(path).st_mtime != 1:
        raise PermissionError

"""Memory and CPU time of running processes, read from /proc (Linux).

Memory is PSS: a page shared by k processes counts 1/k in each, so a pre-forking server is not
counted several times. CPU time holds that of the children a process reaped, so short-lived
script processes are in it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


@dataclass(frozen=True)
class Memory:
    """What processes hold at one moment."""

    mebibytes: float
    processes: int


def memory(roots: Collection[int], *, without: str = "") -> Memory:
    """Return what the processes roots and all their descendants hold.

    without: a name of programs that do not count, such as "postgres".
    """
    pids = [pid for pid in _tree(roots) if not without or _name(pid) != without]
    kibibytes = sum(_pss_kibibytes(pid) for pid in pids)
    return Memory(kibibytes / 1024, len(pids))


def cpu_s(roots: Collection[int]) -> float:
    """Return the CPU seconds spent so far by roots and all their descendants."""
    return sum(_tree(roots).values())


def cpu_s_by_part(roots: Collection[int], parts: Mapping[str, str]) -> dict[str, float]:
    """Return the CPU seconds spent so far by roots and all their descendants, by part.

    parts: what a process's command line holds -> the part that it and all below it belong to.
    Others belong to none.
    """
    children, spent = _processes()
    found = dict.fromkeys(parts.values(), 0.0)
    waiting = [(pid, "") for pid in roots if pid in spent]
    while waiting:
        pid, part = waiting.pop()
        command = _command(pid)
        part = next((parts[word] for word in parts if word in command), part)
        if part:
            found[part] += spent[pid]
        waiting += [(child, part) for child in children.get(pid, ())]
    return found


def descendants(roots: Collection[int]) -> list[int]:
    """Return the processes roots and all their descendants."""
    return list(_tree(roots))


class Window:
    """From now on: how much of the machine goes to processes that are not ours."""

    def __init__(self) -> None:
        self._began_at = time.monotonic()
        self._busy_s = _machine_cpu_s()
        self._own_s = cpu_s([os.getpid()])

    def foreign_share(self) -> float:
        """Return the share so far: 0 nothing, 1 all processors."""
        elapsed_s = max(time.monotonic() - self._began_at, 0.01)
        busy_s = _machine_cpu_s() - self._busy_s
        own_s = cpu_s([os.getpid()]) - self._own_s
        return max(0.0, busy_s - own_s) / (elapsed_s * (os.cpu_count() or 1))


def _tree(roots: Collection[int]) -> dict[int, float]:
    """Return the CPU seconds of roots and their descendants, by process id."""
    children, spent = _processes()
    found: dict[int, float] = {}
    waiting = [pid for pid in roots if pid in spent]
    while waiting:
        pid = waiting.pop()
        found[pid] = spent[pid]
        waiting += children.get(pid, ())
    return found


def _processes() -> tuple[dict[int, list[int]], dict[int, float]]:
    """Return the children of every process, and the CPU seconds of each."""
    children: dict[int, list[int]] = {}
    spent: dict[int, float] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat_fields(entry)):
            pid = int(entry.name)
            children.setdefault(int(fields[1]), []).append(pid)
            # utime, stime, and the same of reaped children
            spent[pid] = sum(int(ticks) for ticks in fields[11:15]) / TICKS_PER_S
    return children, spent


def _command(pid: int) -> str:
    try:
        return (PROC / str(pid) / "cmdline").read_text(errors="replace")
    except OSError:
        return ""


def _name(pid: int) -> str:
    try:
        return (PROC / str(pid) / "comm").read_text().strip()
    except OSError:
        return ""


def _stat_fields(entry: Path) -> list[str]:
    """Return the fields of /proc/<pid>/stat from the state on; nothing if the process is gone."""
    try:
        # The command's name may hold anything, brackets and spaces included.
        return (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _pss_kibibytes(pid: int) -> int:
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def _machine_cpu_s() -> float:
    """Return the CPU seconds spent by everything on this machine."""
    with (PROC / "stat").open() as lines:
        fields = [int(field) for field in lines.readline().split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_S

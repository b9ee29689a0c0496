"""What is killed, and how its process is found among those of a running platform."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import redis

from bench.execution.target import BenchError
from execfabric.embedded.guard import descendants

Finder = Callable[[dict[int, str]], Collection[int]]
"""From the command lines of the platform's processes to those that may be killed."""


@dataclass(frozen=True)
class Fault:
    """One kind of fault. forgets: whether the broker's memory is emptied before."""

    name: str
    find: Finder
    forgets: bool = False

    def strike(self, supervisor: int, redis_url: str, choose: Callable[[list[int]], int]) -> bool:
        """Kill one such process with signal 9; return whether there was one."""
        found = sorted(self.find(command_lines(supervisor)))
        if not found:
            return False
        if self.forgets:
            redis.Redis.from_url(redis_url).flushall()
        try:
            os.kill(choose(found), signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True


def command_lines(root: int) -> dict[int, str]:
    """Return the command lines of all processes below root, by their ids."""
    found = {}
    for pid in descendants(root):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:  # gone meanwhile
            continue
        found[pid] = line.replace(b"\0", b" ").decode(errors="replace")
    return found


def parents(pids: Collection[int]) -> dict[int, int]:
    """Return the parent of each process that is still there."""
    found = {}
    for pid in pids:
        try:
            status = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        found[pid] = int(status.rpartition(")")[2].split()[1])
    return found


def _having(*words: str, without: str = "guard.py") -> Finder:
    def find(lines: dict[int, str]) -> Collection[int]:
        return [
            pid
            for pid, line in lines.items()
            if without not in line and all(word in line for word in words)
        ]

    return find


def _topmost(find: Finder) -> Finder:
    """Of processes with forks of the same command line those that are nobody's fork."""

    def topmost(lines: dict[int, str]) -> Collection[int]:
        found = find(lines)
        return [pid for pid, parent in parents(found).items() if parent not in found]

    return topmost


def _below(find: Finder) -> Finder:
    """The forks of such processes."""

    def below(lines: dict[int, str]) -> Collection[int]:
        found = find(lines)
        return [pid for pid, parent in parents(lines).items() if parent in found]

    return below


WORKER = Fault("worker", _topmost(_having("manage.py", "run_worker")))
BROKER = Fault("broker", _having("valkey-server"))
BROKER_EMPTIED = Fault("broker, its memory lost", BROKER.find, forgets=True)
POSTGRES = Fault("PostgreSQL", _topmost(_having("bin/postgres", "-D")))
WEB = Fault("web process", _below(_topmost(_having("execfabric.wsgi:application"))))
WEB_SERVER = Fault("web server, all of it", _topmost(_having("execfabric.wsgi:application")))
ZYGOTE = Fault("zygote", _topmost(_having("executors.script.warm.zygote")))
BEAT = Fault("beat", _topmost(_having("celery", "execfabric.celery", "worker")))
KINDS = (WORKER, BROKER, BROKER_EMPTIED, POSTGRES, WEB, WEB_SERVER, ZYGOTE, BEAT)


def kinds_named(names: Collection[str]) -> list[Fault]:
    """Return the kinds with these names. Raises BenchError."""
    known = {kind.name: kind for kind in KINDS}
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise BenchError(f"There is no kind {unknown[0]!r}. Known: {', '.join(known)}.")
    return [known[name] for name in names]

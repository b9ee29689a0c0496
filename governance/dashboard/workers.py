"""How the processes are that do the work, and how much waits for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import redis

from execfabric.core import presence
from execfabric.core.tasks import waiting_tasks
from skills.executions import queue

TASK_QUEUES = ("celery", "hot-update")


@dataclass(frozen=True, slots=True)
class QueueLength:
    name: str
    does: str
    waiting: int
    has_worker: bool
    """Whether a process serves it that was heard of lately."""


@dataclass(frozen=True, slots=True)
class Work:
    """workers is None where Redis, and so the queues, cannot be reached."""

    workers: list[tuple[presence.Presence, str]] | None
    """Each with "online" or "silent"."""
    queues: list[QueueLength]

    @property
    def is_reachable(self) -> bool:
        return self.workers is not None

    @property
    def unserved(self) -> list[QueueLength]:
        """Return the queues whose work nobody does."""
        return [one for one in self.queues if not one.has_worker]


def work_now(now: datetime) -> Work:
    """Return the workers of the last day, and every queue they serve or should."""
    known = presence.known_workers(now)
    if known is None:
        return Work(None, [])
    served: dict[str, set[str]] = {"runs": set(), "tasks": set()}
    names: dict[str, set[str]] = {"runs": {queue.DEFAULT_QUEUE}, "tasks": set(TASK_QUEUES)}
    for worker in known:
        names.setdefault(worker.does, set()).update(worker.queues)
        if not worker.is_silent(now):
            served.setdefault(worker.does, set()).update(worker.queues)
    try:
        waiting = {
            "runs": queue.lengths(sorted(names["runs"])),
            "tasks": waiting_tasks(sorted(names["tasks"])),
        }
    except redis.RedisError:
        return Work(None, [])
    queues = [
        QueueLength(name, does, length, name in served[does])
        for does, lengths in waiting.items()
        for name, length in lengths.items()
    ]
    shown = [(one, "silent" if one.is_silent(now) else "online") for one in known]
    return Work(shown, queues)

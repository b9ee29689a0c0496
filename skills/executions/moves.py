"""Moving an execution, and handing it to the workers."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

import redis
import structlog
from django.db.models import Q
from django.utils import timezone

from execfabric.core import wake
from execfabric.core.states import move
from skills.catalogue.selectors import known_version

from . import hooks, queue
from .models import Execution
from .states import EXECUTION_TRANSITIONS, FINAL, Status

logger = structlog.get_logger(__name__)

FORGOTTEN_AFTER = timedelta(seconds=10)
"""A queued run that was sent so long ago and waits in no queue has been forgotten there."""
MOST_RESENT = 500
LONGEST_PAUSE = timedelta(minutes=10)
"""Nothing is to be sent later than this; what says so was written before the clock was set back."""


def move_execution(execution: Execution, *, to: Status, **fields: Any) -> Execution:
    """Move execution by the table and wake those who wait for it. Raises InvalidTransition."""
    moved = move(execution, to=to, table=EXECUTION_TRANSITIONS, **fields)
    wake.announce(moved.topic, moved.status)
    if to in FINAL:
        hooks.tell_finished(moved.door, [moved.pk])
    return moved


def send_execution(execution: Execution) -> None:
    """Hand a queued execution to the workers, once the transaction at hand has committed."""
    Execution.objects.filter(pk=execution.pk).update(sent_at=timezone.now())
    enqueue_execution(execution)


def enqueue_execution(execution: Execution) -> None:
    """Hand over an execution that is stored as sent."""
    version = known_version(execution.version_id)
    queue.send([str(execution.pk)], queue=version.queue)


def resend_forgotten(now: datetime) -> None:
    """Send queued executions that no worker would hear of otherwise, oldest first.

    Those whose message was lost, with the broker or with the worker that had taken it; and those
    held by a concurrency limit, in case nobody was left to let them go; and retries whose pause is
    over. A second delivery does nothing.
    """
    queued = Execution.objects.filter(status=Status.QUEUED).order_by("id")
    # Of each skill one: those behind it follow when it ends.
    held = list(queued.filter(sent_at=None).order_by("skill_id", "id").distinct("skill_id"))
    sent: dict[str, dict[str, Execution]] = defaultdict(dict)
    forgotten = Q(sent_at__lt=now - FORGOTTEN_AFTER) | Q(sent_at__gt=now + LONGEST_PAUSE)
    for execution in queued.filter(forgotten)[:MOST_RESENT]:
        sent[known_version(execution.version_id).queue][str(execution.pk)] = execution
    try:
        lost = [
            executions[missing]
            for name, executions in sent.items()
            for missing in queue.missing(executions, queue=name)
        ]
    except redis.RedisError as error:
        logger.warning("queue.not_reached", error=str(error))
        return
    for execution in [*held, *lost]:
        send_execution(execution)

"""Moving an execution, and handing it to the workers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
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
    send_executions([execution])


def send_executions(executions: Sequence[Execution], *, tries_again: bool = True) -> None:
    """Hand queued executions over together: one statement, and one message for each label.

    tries_again: whether it is worth waiting for a broker that is not there at once.
    """
    ids = [execution.pk for execution in executions]
    Execution.objects.filter(pk__in=ids).update(sent_at=timezone.now())
    labelled: dict[str, list[str]] = defaultdict(list)
    for execution in executions:
        labelled[known_version(execution.version_id).queue].append(str(execution.pk))
    for label, some in labelled.items():
        queue.send(some, queue=label, tries_again=tries_again)


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
    old = queued.filter(Q(sent_at__lt=now - FORGOTTEN_AFTER) | Q(sent_at__gt=now + LONGEST_PAUSE))
    # Of each label some: what waits under one that no worker serves hides nothing of another.
    labels = old.order_by().values_list("version__queue", flat=True).distinct()
    lost: list[Execution] = []
    try:
        for label in labels:
            oldest = old.filter(version__queue=label)[:MOST_RESENT]
            unsure = {str(execution.pk): execution for execution in oldest}
            lost += [unsure[missing] for missing in queue.missing(unsure, queue=label)]
    except redis.RedisError as error:
        logger.warning("queue.not_reached", error=str(error))
        return
    if held or lost:
        send_executions([*held, *lost], tries_again=False)

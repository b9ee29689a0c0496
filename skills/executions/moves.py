"""Moving an execution, and handing it to the workers."""

from __future__ import annotations

from typing import Any

import redis
import structlog
from celery import current_app
from django.db.models import Q
from django.utils import timezone
from kombu.exceptions import OperationalError

from execfabric.core import wake
from execfabric.core.states import advance, move
from execfabric.core.tasks import enqueue

from . import hooks
from .models import Execution
from .states import EXECUTION_TRANSITIONS, FINAL, Status

logger = structlog.get_logger(__name__)

RUN_TASK = "executions.run_execution"


def move_execution(execution: Execution, *, to: Status, **fields: Any) -> Execution:
    """Move execution by the table and wake those who wait for it. Raises InvalidTransition."""
    moved = move(execution, to=to, table=EXECUTION_TRANSITIONS, **fields)
    wake.announce(moved.topic)
    if to in FINAL:
        hooks.tell_finished(moved.door, [moved.pk])
    return moved


def advance_execution(execution: Execution, *, to: Status, only_if: Q, **fields: Any) -> bool:
    """Move execution in one statement where its status and only_if still hold; wake waiters.

    Return whether they did. Raises InvalidTransition.
    """
    moved = advance(execution, to=to, table=EXECUTION_TRANSITIONS, only_if=only_if, **fields)
    if moved:
        wake.announce(execution.topic)
        if to in FINAL:
            hooks.tell_finished(execution.door, [execution.pk])
    return moved


def send_execution(execution: Execution) -> None:
    """Hand a queued execution to the workers, once the transaction at hand has committed."""
    Execution.objects.filter(pk=execution.pk).update(sent_at=timezone.now())
    enqueue_execution(execution)


def enqueue_execution(execution: Execution) -> None:
    """Hand over an execution that is stored as sent."""
    enqueue(RUN_TASK, execution_id=str(execution.pk))


def queue_is_empty() -> bool:
    """Return whether every run that was sent has been taken by a worker; False if nobody knows."""
    queue = current_app.amqp.router.route({}, RUN_TASK)["queue"].name
    try:
        # Not the default channel: that one would wait for a broker that is away.
        with current_app.connection_or_acquire() as broker, broker.channel() as channel:
            return not channel.queue_declare(queue).message_count
    except (OperationalError, redis.RedisError) as error:
        logger.warning("queue.not_reached", error=str(error))
        return False

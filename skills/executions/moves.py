"""Moving an execution, and handing it to the workers."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from execfabric.core import wake
from execfabric.core.states import move
from execfabric.core.tasks import enqueue

from .models import Execution
from .states import EXECUTION_TRANSITIONS, Status


def move_execution(execution: Execution, *, to: Status, **fields: Any) -> Execution:
    """Move execution by the table and wake those who wait for it. Raises InvalidTransition."""
    moved = move(execution, to=to, table=EXECUTION_TRANSITIONS, **fields)
    wake.announce(moved.topic)
    return moved


def send_execution(execution: Execution) -> None:
    """Hand a queued execution to the workers, once the transaction at hand has committed."""
    Execution.objects.filter(pk=execution.pk).update(sent_at=timezone.now())
    enqueue("executions.run_execution", execution_id=str(execution.pk))

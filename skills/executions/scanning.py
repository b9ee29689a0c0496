"""What a scan puts right in one schema: lost runs, old requests, forgotten messages."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import Q

from execfabric.core.actor import Actor
from execfabric.core.errors import Conflict

from . import lifecycle
from .approvals.rules import rules_in_force
from .approvals.voiding import OVERTAKEN, void_because
from .models import Execution
from .moves import resend_forgotten
from .states import WAITING, Status

logger = structlog.get_logger(__name__)


def scan_executions(
    now: datetime, *, takes_work: bool = True, give_chance: Callable[[], None] = lambda: None
) -> None:
    """In the current schema: end lost runs and requests that are old or void, send forgotten ones.

    now is by the database's clock. takes_work: whether anything may be sent. give_chance is called
    before runs are ended, and should wait until each living worker has renewed its leases: after a
    step of the clock, or an absence of the database, all of them look lost. A row that fails is
    logged and keeps no other from its turn.
    """
    scanner = Actor.system("scan")
    late = Execution.objects.filter(
        ~Q(lease_expires_at__gt=now, lease_expires_at__lte=now + lifecycle.LONGEST_LEASE),
        status=Status.RUNNING,
    )
    if late.exists():
        give_chance()
    for execution in late:
        with on_its_own(execution):
            lifecycle.lose_execution(actor=scanner, execution=execution, found_at=now)
    too_old = now - rules_in_force().expires_after
    undecided = Execution.objects.filter(
        Q(created_at__lt=too_old) | OVERTAKEN, status__in=WAITING
    ).select_related("skill")
    for execution in undecided:
        with on_its_own(execution), transaction.atomic():
            # Whoever decided about it just now was faster.
            fresh = undecided.select_for_update(of=("self",)).filter(pk=execution.pk).first()
            if fresh is None:
                continue
            if fresh.created_at < too_old:
                lifecycle.expire_execution(actor=scanner, execution=fresh, expired_at=now)
            else:
                lifecycle.refuse_execution(
                    actor=scanner,
                    execution=fresh,
                    to=Status.REJECTED,
                    reason=void_because(fresh),
                    refused_at=now,
                )
    if takes_work:
        resend_forgotten(now)


@contextlib.contextmanager
def on_its_own(execution: Execution) -> Iterator[None]:
    """What fails for one execution is logged, and keeps back no other in a scan."""
    try:
        yield
    except Conflict:
        pass  # Its worker or a person was faster; the refusal is in the trail.
    except Exception:  # The scan is the one that helps all the others.
        logger.exception("scan.execution_failed", execution=str(execution.pk))

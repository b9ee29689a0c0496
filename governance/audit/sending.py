"""Hands seals over to the channels: what does not arrive is tried again later, and is told.

Nothing here holds up sealing, nor the file of copies: it runs in another process.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import structlog
from django_tenants.utils import schema_context

from execfabric.core.connections import drop_dead_connections
from execfabric.core.models import AuditSeal
from execfabric.core.sealing.seals import Seal
from execfabric.core.seals import BrokenChain, genuine, last_seal_row

from .channels import Channel, NotCopied, mail_seals
from .models import Upkeep
from .services import note_failure, note_success

logger = structlog.get_logger(__name__)

AT_ONCE = 500
"""Seals in one hand-over; one takes about 700 bytes."""
MOST_AT_A_LOOK = 20
"""Hand-overs of one trail by one channel; the rest waits for the next look."""
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
EMAIL = "email"
COPIES = "copies"
"""Duty of looking at all, of the public schema: it says that somebody does."""
PUBLIC = "public"


def copy_everywhere(
    schemas: Sequence[str],
    *,
    channels: Iterable[Channel],
    addresses: Sequence[str],
    mail_every: timedelta,
    now: datetime,
) -> None:
    """Hand over what each channel has not got yet. Called in the public schema."""
    for channel in channels:
        if not _may_try(channel.name, now):
            continue
        for schema in schemas:
            if not _copy(schema, channel, now):
                break  # It would fail for the others as well, and each wait takes its time.
    if addresses and _may_try(EMAIL, now):
        _mail(schemas, addresses, mail_every, now)
    note_success(_upkeep(PUBLIC, COPIES), now=now)


def _copy(schema: str, channel: Channel, now: datetime) -> bool:
    """Hand over the seals of one trail; return whether the channel works."""
    upkeep = _upkeep(schema, channel.name)
    try:
        for _round in range(MOST_AT_A_LOOK):
            seals = _seals_after(schema, upkeep.up_to_seal)
            if not seals:
                if upkeep.failing_since is not None:
                    note_success(upkeep, now=now)
                break
            channel.send(schema, seals, at=int(now.timestamp()))
            note_success(upkeep, now=now, up_to_seal=seals[-1].number)
    except NotCopied as error:
        logger.error("audit.seals_not_sent", channel=channel.name, trail=schema, error=str(error))
        _note_failure(upkeep, now, str(error))
        return False
    except BrokenChain as error:  # Of this trail alone, and told by sealing, too.
        note_failure(upkeep, now=now, next_try_at=None, reason=str(error))
    except Exception as error:
        logger.exception("audit.seals_not_sent", channel=channel.name, trail=schema)
        drop_dead_connections()
        note_failure(upkeep, now=now, next_try_at=None, reason=type(error).__name__)
    return True


def _mail(
    schemas: Sequence[str], addresses: Sequence[str], every: timedelta, now: datetime
) -> None:
    upkeep = _upkeep(PUBLIC, EMAIL)
    if upkeep.done_at is not None and upkeep.done_at + every > now and not upkeep.failing_since:
        return
    try:
        seals = [seal for schema in schemas if (seal := _last_seal(schema)) is not None]
        if seals:
            mail_seals(addresses, seals)
    except (NotCopied, BrokenChain) as error:
        logger.error("audit.seals_not_mailed", error=str(error))
        _note_failure(upkeep, now, str(error))
    else:
        note_success(upkeep, now=now)


def _may_try(duty: str, now: datetime) -> bool:
    return not Upkeep.objects.filter(duty=duty, next_try_at__gt=now).exists()


def _note_failure(upkeep: Upkeep, now: datetime, reason: str) -> None:
    pause = min(FIRST_PAUSE * 2 ** min(upkeep.failures, 10), LONGEST_PAUSE)
    note_failure(upkeep, now=now, next_try_at=now + pause, reason=reason)


def _upkeep(schema: str, duty: str) -> Upkeep:
    known = Upkeep.objects.filter(schema=schema, duty=duty).first()
    return known or Upkeep(schema=schema, duty=duty)


def _seals_after(schema: str, number: int) -> list[Seal]:
    with schema_context(schema):
        rows = AuditSeal.objects.filter(number__gt=number).order_by("number")[:AT_ONCE]
        return [genuine(row) for row in rows]


def _last_seal(schema: str) -> Seal | None:
    with schema_context(schema):
        row = last_seal_row()
        return genuine(row) if row else None

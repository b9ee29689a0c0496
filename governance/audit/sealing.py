"""One look of the clock at every schema: seal what is settled, copy seals, note what is late."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import structlog
from django_tenants.utils import schema_context

from execfabric.core import seals
from execfabric.core.connections import drop_dead_connections
from execfabric.core.sealing.seals import Signer
from execfabric.core.sealing_state import SealingState, late_after

from .copies import copy_seals

logger = structlog.get_logger(__name__)


def seal_schemas(
    schemas: Iterable[str],
    *,
    signer: Signer,
    folder: Path,
    now: datetime,
    below_xid: int | None = None,
    everywhere: bool = False,
) -> SealingState:
    """Seal the trails of schemas, and return what there is to say; one that fails stops no other.

    folder: where copies go. below_xid: see seals.seal_events; by default what is settled now.
    everywhere: look for events that were missed before the last seal, too.
    """
    settled = seals.settled_xid() if below_xid is None else below_xid
    state = SealingState(at=now)
    started = time.monotonic()
    for schema in schemas:
        try:
            with schema_context(schema):
                state.sealed += seals.seal_events(
                    signer, below_xid=settled, sealed_at=now, everywhere=everywhere
                )
                since, _waiting = seals.waiting_since()
        except Exception as error:
            logger.exception("audit.sealing_failed", sealed=schema)
            state.failed[schema] = str(error)[:200]
            drop_dead_connections()
            continue
        if since is not None and now - since > late_after():
            state.late[schema] = since
            logger.error("audit.sealing_late", sealed=schema, since=since.isoformat())
        _copy(schema, folder, state)
    state.took_s = round(time.monotonic() - started, 3)
    return state


def _copy(schema: str, folder: Path, state: SealingState) -> None:
    try:
        with schema_context(schema):
            copy_seals(folder / f"{schema}.jsonl")
    except Exception as error:
        logger.exception("audit.seals_not_copied", sealed=schema)
        state.failed[schema] = str(error)[:200]
        drop_dead_connections()

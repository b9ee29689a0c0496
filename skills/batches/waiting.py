from __future__ import annotations

from execfabric.core import wake
from execfabric.core.actor import Actor

from .models import Batch
from .states import FINAL, WAITING, BatchStatus

STANDING = FINAL | WAITING | {BatchStatus.DRAFT, BatchStatus.PAUSED}
"""States that a batch leaves only when a person does something."""


def settled(batch: Batch, *, actor: Actor, wait_s: float) -> Batch:
    """Return batch as soon as it is over or needs a person, else as it is after wait_s."""
    if wait_s <= 0 or batch.status in STANDING:
        return batch

    def look() -> str:
        return Batch.objects.values_list("status", flat=True).get(pk=batch.pk)

    wake.wait_until(
        batch.topic,
        look,
        enough=lambda status: status in STANDING,
        timeout_s=wait_s,
        waiter=actor.username,
        heeds=lambda news: news in STANDING,
    )
    return Batch.objects.select_related("skill", "version", "requested_by").get(pk=batch.pk)

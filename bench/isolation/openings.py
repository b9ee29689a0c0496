"""How long it takes to open a tenant, as an operator does it."""

from __future__ import annotations

import time
from collections.abc import Iterator

from execfabric.core.actor import Actor, Door
from tenants.registry.services import OwnerRequest, open_tenant


def open_tenants(numbers: range) -> Iterator[tuple[str, float]]:
    """Open a tenant for each number; yield its name and the seconds it took.

    The owner gets a link to choose a password, so that no hashing of one is in the figure.
    """
    actor = Actor.system("bench", door=Door.COMMAND)
    for number in numbers:
        name = f"bench-{number}"
        began_at = time.perf_counter()
        open_tenant(
            actor=actor,
            name=name,
            title=f"Benchmark {number}",
            owner=OwnerRequest("owner"),
        )
        yield name, time.perf_counter() - began_at

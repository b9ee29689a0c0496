"""How long it takes to open a tenant, as an operator does it."""

from __future__ import annotations

import time

from execfabric.core.actor import Actor, Door
from tenants.registry.services import OwnerRequest, open_tenant

PASSWORD = "benchmark benchmark"


def open_tenants(count: int) -> dict[str, float]:
    """Open count tenants and return the seconds each took, by name; the owner's password
    included.
    """
    actor = Actor.system("bench", door=Door.COMMAND)
    seconds = {}
    for number in range(count):
        name = f"bench-{number}"
        began_at = time.perf_counter()
        open_tenant(
            actor=actor,
            name=name,
            title=f"Benchmark {number}",
            owner=OwnerRequest("owner", password=PASSWORD),
        )
        seconds[name] = time.perf_counter() - began_at
    return seconds

"""From host name to tenant, without a statement when it is known. Every process has a cache.

While this process listens for changes an entry lives ENTRY_S; when the connection for that is down
it lives UNHEARD_ENTRY_S, so a suspended tenant is refused within a second either way.
"""

from __future__ import annotations

import math
import os
import threading
import time
from dataclasses import dataclass, field

import redis
import structlog
from django.db import transaction
from django_tenants.utils import get_public_schema_name, schema_context

from execfabric.core.redis import client

from .models import Domain, Tenant

logger = structlog.get_logger(__name__)

CHANNEL = "execfabric:tenants-changed"
ENTRY_S = 30.0
UNHEARD_ENTRY_S = 0.8
HEARD_S = 0.7
"""How long after its last sign of life the listener still counts as connected."""
MOST_ENTRIES = 10_000


@dataclass(slots=True)
class _Cache:
    """What one process knows. Unknown hosts are kept too, so that guessing costs no statement."""

    pid: int = field(default_factory=os.getpid)
    entries: dict[str, tuple[float, Tenant | None]] = field(default_factory=dict)
    generation: int = 0
    heard_at: float = -math.inf

    def get(self, host: str) -> tuple[bool, Tenant | None]:
        stored_at, tenant = self.entries.get(host, (-math.inf, None))
        now = time.monotonic()
        lifetime = ENTRY_S if now - self.heard_at < HEARD_S else UNHEARD_ENTRY_S
        return now - stored_at < lifetime, tenant

    def put(self, host: str, tenant: Tenant | None, *, generation: int) -> None:
        if generation != self.generation:
            return  # Something changed while we read.
        if len(self.entries) >= MOST_ENTRIES:
            self.entries.clear()
        self.entries[host] = (time.monotonic(), tenant)

    def forget(self) -> None:
        self.generation += 1
        self.entries.clear()


_cache = _Cache()
_lock = threading.Lock()


def tenant_for_host(host: str) -> Tenant | None:
    """Return the tenant of a host name (lower case, no port), whatever its status, or None."""
    cache = _this_process_cache()
    known, tenant = cache.get(host)
    if known:
        return tenant
    generation = cache.generation
    with schema_context(get_public_schema_name()):
        domain = Domain.objects.select_related("tenant").filter(domain=host).first()
    tenant = domain.tenant if domain else None
    cache.put(host, tenant, generation=generation)
    return tenant


def schema_is_open(schema: str) -> bool:
    """Return whether the tenant of schema takes requests and work, as soon as others know it.

    As cheap as ``tenant_for_host``, so that it can be asked several times a second.
    """
    cache = _this_process_cache()
    key = f"={schema}"  # No host name looks like this.
    known, tenant = cache.get(key)
    if not known:
        generation = cache.generation
        with schema_context(get_public_schema_name()):
            tenant = Tenant.objects.filter(schema_name=schema).first()
        cache.put(key, tenant, generation=generation)
    return tenant is not None and tenant.is_open


def announce_tenant_change() -> None:
    """Make every process forget its hosts, once the transaction at hand has committed."""

    def publish() -> None:
        _this_process_cache().forget()
        try:
            client().publish(CHANNEL, "1")
        except redis.RedisError as error:
            logger.warning("hosts.publish_failed", error=str(error))

    transaction.on_commit(publish)


def _this_process_cache() -> _Cache:
    global _cache
    if _cache.pid != os.getpid() or _cache.generation == 0:
        with _lock:
            if _cache.pid != os.getpid() or _cache.generation == 0:
                _cache = _Cache(generation=1)
                threading.Thread(
                    target=_listen, args=(_cache,), name="tenant-changes", daemon=True
                ).start()
    return _cache


def _listen(cache: _Cache) -> None:
    """Forget on every announcement; ping in between, so that a dead connection is noticed."""
    while True:
        try:
            with client().pubsub() as subscription:
                subscription.subscribe(CHANNEL)
                cache.forget()
                while True:
                    subscription.ping()
                    message = subscription.get_message(timeout=0.3)
                    while message is not None:
                        cache.heard_at = time.monotonic()
                        if message["type"] == "message":
                            cache.forget()
                        message = subscription.get_message(timeout=0.3)
        except Exception as error:  # noqa: BLE001  # whatever it is, keep on listening
            logger.warning("hosts.listener_down", error=str(error))
            time.sleep(1.0)

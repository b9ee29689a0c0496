"""Who carries out a publication now: one worker at a time, and the next one soon after it died.

The claim lies in Redis or Valkey and runs out unless it is renewed. Should two workers have it all
the same, no harm is done: each step can be done twice, and what they write is locked.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Iterator

import redis
import structlog

from execfabric.core.redis import client

logger = structlog.get_logger(__name__)

HELD_S = 30
RENEW_EVERY_S = 10.0
_PREFIX = "execfabric:hot-update"
_GIVE_BACK = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""


@contextlib.contextmanager
def claimed(what: str) -> Iterator[bool]:
    """Hold a claim for as long as the block takes; yield whether it was free."""
    key, token = f"{_PREFIX}:{what}", secrets.token_hex(8)
    if not client().set(key, token, nx=True, ex=HELD_S):
        yield False
        return
    done = threading.Event()
    keeper = threading.Thread(target=_renew, args=(key, done), name="claim", daemon=True)
    keeper.start()
    try:
        yield True
    finally:
        done.set()
        keeper.join()
        with contextlib.suppress(redis.RedisError):
            client().eval(_GIVE_BACK, 1, key, token)


def _renew(key: str, done: threading.Event) -> None:
    while not done.wait(RENEW_EVERY_S):
        try:
            client().expire(key, HELD_S)
        except redis.RedisError as error:
            logger.warning("claim.not_renewed", error=str(error))

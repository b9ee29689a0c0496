"""The run queue: which executions wait for a worker, and whose turn it is.

It lies in Redis or Valkey and holds ids only. What may run, and whether it still waits, stands in
the database: a worker claims it there. So a message that is lost, doubled or forged does no harm: a
scan sends again what was lost, and the rest claims nothing.

For each worker queue (a label that skills name and workers serve) there is a list of ids for each
tenant, and a ring of the tenants that have any. Tenants take turns, one execution each; who comes
back to the ring goes before those who have been waiting in it for less than ``HEAD_START_S``.
Labels of one worker take turns, too, whatever waits under each of them.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import redis
import structlog
from django.db import transaction

from execfabric.core.actor import current_schema
from execfabric.core.redis import ask, client

logger = structlog.get_logger(__name__)

DEFAULT_QUEUE = "default"
HEAD_START_S = 10.0
"""So long, and no longer, tenants who queue much stay behind tenants who queue little."""
PAUSES_S = (0.1, 0.3, 0.8)
"""Before each further attempt to send, which a request waits for: a broker that is started again is
there by then. What was sent twice does no harm."""
_PREFIX = "execfabric:runs"
_TAKE_NEXT = """
local id = redis.call('LPOP', KEYS[1])
if redis.call('LLEN', KEYS[1]) > 0 then
    redis.call('ZADD', KEYS[2], 'NX', ARGV[1], ARGV[2])
end
return {id, redis.call('EXISTS', KEYS[2])}
"""
"""Takes the oldest id of a tenant and lets it queue up again; all or nothing."""
_TAKE_ONE_OF = """
for place, ring in ipairs(KEYS) do
    local schema = redis.call('ZPOPMIN', ring)[1]
    if schema then
        local waiting = ARGV[place + 1] .. schema
        local id = redis.call('LPOP', waiting)
        if redis.call('LLEN', waiting) > 0 then
            redis.call('ZADD', ring, 'NX', ARGV[1], schema)
        end
        return {place, schema, id, redis.call('EXISTS', ring)}
    end
end
return false
"""
"""The same, of the tenant whose turn it is, where one has something now: without waiting, and so in
one message."""
_GIVE_BACK = """
redis.call('LPUSH', KEYS[1], ARGV[3])
redis.call('ZADD', KEYS[2], 'LT', ARGV[1], ARGV[2])
"""
"""Undoes that: the id is the oldest of its tenant again, and that is next."""
_looks = itertools.count()
"""Numbers the looks for a turn, so that each of a worker's labels comes first in its turn."""

_has_more = threading.Event()
"""Whether somebody was waiting when this process took the last turn: then nothing has to be waited
for at the next one, most likely."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a worker is to try next."""

    schema: str
    execution_id: str
    queue: str


def send(execution_ids: Sequence[str], *, queue: str, tries_again: bool = True) -> None:
    """Hand queued executions of this schema to the workers, once the transaction has committed.

    A broker that cannot be reached is logged and no error: the scan sends them later. The scan
    itself need not wait for it (tries_again).
    """
    schema = current_schema()
    pauses_s = PAUSES_S if tries_again else ()

    def push() -> None:
        for pause_s in (*pauses_s, None):
            try:
                ask(
                    ("RPUSH", _list(queue, schema), *execution_ids),
                    ("ZADD", _ring(queue), "NX", time.time() - HEAD_START_S, schema),
                )
            except redis.ConnectionError as error:
                if pause_s is None:
                    _say_not_reached(error, execution_ids)
                else:
                    time.sleep(pause_s)
            except redis.RedisError as error:
                _say_not_reached(error, execution_ids)
                return
            else:
                return

    if execution_ids:
        transaction.on_commit(push)


def _say_not_reached(error: redis.RedisError, execution_ids: Sequence[str]) -> None:
    logger.warning("queue.not_reached", error=str(error), waiting=len(execution_ids))


def has_more() -> bool:
    """Return whether a worker of this process that takes a turn now is likely to get one."""
    return _has_more.is_set()


def take(
    queues: Sequence[str], *, timeout_s: float, before_wait: Callable[[], None] = lambda: None
) -> Turn | None:
    """Return whose turn it is, waiting up to timeout_s for one. Raises redis.RedisError.

    before_wait is called where it is not known that there is one.
    """
    first = next(_looks) % len(queues)
    # Of several rings that are not empty the first one named is served.
    in_turn = (*queues[first:], *queues[:first])
    if _has_more.is_set():
        found, turn = _take_one_of(in_turn)
        if found:
            return turn
    before_wait()
    rings = [_ring(queue) for queue in in_turn]
    (waited_for,) = ask(("BZPOPMIN", *rings, timeout_s))
    if not waited_for:
        return None
    ring, schema, _ = cast("tuple[str, str, float]", waited_for)
    queue = ring.rpartition(":")[2]
    execution_id, more = _run(_TAKE_NEXT, _list(queue, schema), ring, args=[time.time(), schema])
    _note(more=more)
    return Turn(schema, execution_id, queue) if execution_id else None


def _take_one_of(queues: Sequence[str]) -> tuple[bool, Turn | None]:
    """Return whether any tenant waits in queues now, and its turn, as ``take`` does."""
    rings, lists = [_ring(queue) for queue in queues], [_list(queue, "") for queue in queues]
    taken = _run(_TAKE_ONE_OF, *rings, args=[time.time(), *lists])
    if not taken:
        _note(more=0)
        return False, None
    place, schema, execution_id, more = taken
    _note(more=more)
    return True, Turn(schema, execution_id, queues[place - 1]) if execution_id else None


def _note(*, more: int) -> None:
    if more:
        _has_more.set()
    else:
        _has_more.clear()


def give_back(turn: Turn) -> None:
    """Let another worker have a turn that was taken and not used. Raises redis.RedisError."""
    _run(
        _GIVE_BACK,
        *(_list(turn.queue, turn.schema), _ring(turn.queue)),
        args=[time.time() - HEAD_START_S, turn.schema, turn.execution_id],
    )


def forget(schema: str) -> None:
    """Drop what waits for a tenant that is deleted. Raises redis.RedisError."""
    for key in client().scan_iter(match=_list("*", schema), count=1_000):
        client().zrem(_ring(str(key).split(":")[-2]), schema)
        client().delete(key)


def lengths(queues: Iterable[str]) -> dict[str, int]:
    """Return how many runs wait in each of queues, of all tenants. Raises redis.RedisError."""
    found = {}
    for queue in queues:
        schemas = cast("list[str]", client().zrange(_ring(queue), 0, -1))
        with client().pipeline(transaction=False) as commands:
            for schema in schemas:
                commands.llen(_list(queue, schema))
            found[queue] = sum(commands.execute())
    return found


def answers() -> bool:
    """Return whether the queue can be reached now."""
    try:
        return bool(client().ping())
    except redis.RedisError as error:
        _say_not_reached(error, ())
        return False


def missing(execution_ids: Iterable[str], *, queue: str) -> list[str]:
    """Return those of execution_ids of this schema that do not wait in the queue.

    Brings the tenant back into the ring if it has fallen out. Raises redis.RedisError.
    """
    wanted = list(execution_ids)
    waiting = _list(queue, current_schema())
    with client().pipeline(transaction=False) as commands:
        for execution_id in wanted:
            commands.lpos(waiting, execution_id)
        commands.llen(waiting)
        *places, length = commands.execute()
    if length:
        client().zadd(_ring(queue), {current_schema(): time.time()}, nx=True)
    return [each for each, place in zip(wanted, places, strict=True) if place is None]


def _run(text: str, *keys: str, args: Sequence[str | float]) -> Any:
    """Run a script and return its answer; its text goes only where it is not known there yet."""
    try:
        (answer,) = ask(("EVALSHA", _digest_of(text), len(keys), *keys, *args))
    except redis.exceptions.NoScriptError:
        (answer,) = ask(("EVAL", text, len(keys), *keys, *args))
    return answer


@functools.cache
def _digest_of(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def _ring(queue: str) -> str:
    return f"{_PREFIX}:turns:{queue}"


def _list(queue: str, schema: str) -> str:
    return f"{_PREFIX}:waiting:{queue}:{schema}"

from __future__ import annotations

import redis
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.utils import timezone

from execfabric.core.redis import client
from execfabric.core.sealing_state import is_in_time, known_state


def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200 when the database and Redis answer, else 503 with what does not.

    Seals that are late are told and change no status: another web process would not help.
    """
    checks = {"database": _database_answers(), "redis": _redis_answers()}
    healthy = all(checks.values())
    return JsonResponse(
        {
            "status": "ok" if healthy else "failing",
            "checks": checks,
            "audit_seals": "ok" if is_in_time(known_state(), now=timezone.now()) else "late",
        },
        status=200 if healthy else 503,
    )


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            return cursor.fetchone() == (1,)
    except DatabaseError:
        return False


def _redis_answers() -> bool:
    try:
        return bool(client().ping())
    except redis.RedisError:
        return False

"""Sessions in the schema at hand, with what their owner is shown of them (SESSION_ENGINE).

Idle and absolute time-out are part of the look-up: what they have ended is not found. A row that is
deleted ends its session at once, and a request that still goes on cannot bring it back.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.utils import timezone

STARTED_AT = "started_at"
ADDRESS = "address"
AGENT = "agent"
PROVEN_AT = "proven_at"
"""Keys of a session's data; moments in seconds since 1970."""


class SessionStore(DatabaseStore):
    last_seen_at: datetime | None = None
    """When the loaded session was seen before this request."""

    @classmethod
    def get_model_class(cls) -> Any:
        from ..models import Session

        return Session

    @property
    def _sessions(self) -> Any:
        return self.get_model_class().objects

    def _get_session_from_db(self) -> Any:
        now = timezone.now()
        row = self._sessions.filter(
            session_key=self.session_key,
            last_seen_at__gt=now - timedelta(seconds=settings.SESSION_IDLE_S),
            started_at__gt=now - timedelta(seconds=settings.SESSION_COOKIE_AGE),
        ).first()
        if row is None:
            self._session_key = None
            return None
        self.last_seen_at = row.last_seen_at
        return row

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        now = timezone.now()
        data.setdefault(STARTED_AT, now.timestamp())
        account_id = data.get(SESSION_KEY)
        started_at = datetime.fromtimestamp(data[STARTED_AT], UTC)
        return self._sessions.model(
            session_key=self._get_or_create_session_key(),  # type: ignore[attr-defined]
            session_data=self.encode(data),
            expire_date=ends_at(started_at, seen_at=now),
            account_id=int(account_id) if account_id else None,
            address=data.get(ADDRESS, ""),
            agent=data.get(AGENT, ""),
            started_at=started_at,
            last_seen_at=now,
        )


def ends_at(started_at: datetime, *, seen_at: datetime) -> datetime:
    """Return when a session ends of which nobody hears anything after seen_at."""
    return min(
        seen_at + timedelta(seconds=settings.SESSION_IDLE_S),
        started_at + timedelta(seconds=settings.SESSION_COOKIE_AGE),
    )

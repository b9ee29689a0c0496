from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from ..models import Account, ApiToken, Session


def live_sessions(account: Account) -> QuerySet[Session]:
    """Return the sessions of account that are not over, the one seen last first."""
    now = timezone.now()
    return Session.objects.filter(
        account=account,
        last_seen_at__gt=now - timedelta(seconds=settings.SESSION_IDLE_S),
        started_at__gt=now - timedelta(seconds=settings.SESSION_COOKIE_AGE),
    ).order_by("-last_seen_at")


def live_tokens(account: Account) -> QuerySet[ApiToken]:
    """Return the API tokens of account that have not expired, the one used last first."""
    alive = Q(expiry__isnull=True) | Q(expiry__gt=timezone.now())
    return ApiToken.objects.filter(alive, user=account).order_by("-last_used_at")

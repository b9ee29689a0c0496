"""Proving credentials, for page and API alike."""

from __future__ import annotations

from django.contrib.auth import authenticate
from django.http import HttpRequest

from .models import Account


def prove(request: HttpRequest, username: str, password: str) -> tuple[Account | None, bool]:
    """Return the account the credentials belong to, or None, and whether attempts are locked out.

    Runs outside the transaction of the login action, so that a failed attempt is counted even
    though the action is undone.
    """
    account = authenticate(request, username=username, password=password)
    locked_out = bool(getattr(request, "axes_locked_out", False))
    return (account if isinstance(account, Account) else None), locked_out

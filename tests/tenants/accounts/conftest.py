from __future__ import annotations

import secrets

import pytest

from tenants.accounts import lockout


@pytest.fixture(autouse=True)
def own_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed logins are counted for each test by itself: all share one server, which must not
    forget what others count there."""
    mark, key_of = secrets.token_hex(8), lockout._key
    monkeypatch.setattr(lockout, "_key", lambda *parts: f"{mark}:{key_of(*parts)}")

"""Codes of an authenticator app (RFC 6238: SHA-1, 6 digits, 30 seconds) and recovery codes."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterator

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from django.utils.crypto import constant_time_compare

STEP_S = 30
DIGITS = 6
SECRET_BYTES = 20
TOLERATED_STEPS = 1
"""So many steps of 30 seconds a clock may be wrong, either way."""
RECOVERY_CODES = 10
_RECOVERY_BYTES = 10  # 80 bits: nobody tries that many, so that a plain digest keeps them.


def new_secret() -> str:
    """Return a new secret as authenticator apps take it (base32)."""
    return base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode()


def code_at(secret: str, step: int) -> str:
    """Return the code of one step, counted from 1970."""
    return _totp(secret).generate(step * STEP_S).decode()


def step_of(code: str, secret: str, *, now: float) -> int | None:
    """Return the step whose code this is, among those tolerated around now; None for none."""
    digits = re.sub(r"\s", "", code)
    if not re.fullmatch(r"[0-9]{6}", digits):
        return None
    present = int(now) // STEP_S
    for step in range(present - TOLERATED_STEPS, present + TOLERATED_STEPS + 1):
        if constant_time_compare(code_at(secret, step), digits):
            return step
    return None


def setup_uri(secret: str, *, username: str, issuer: str) -> str:
    """Return the otpauth: address that an authenticator app reads off the picture."""
    return _totp(secret).get_provisioning_uri(username, issuer)


def new_recovery_codes() -> Iterator[str]:
    """Return codes such as ``k3xq-7mda-p2vt-hh4c``."""
    for _ in range(RECOVERY_CODES):
        text = base64.b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode().lower()
        yield "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def recovery_digest(code: str, *, schema: str, account_id: int) -> str:
    """Return what is stored of a recovery code, however it was typed."""
    plain = re.sub(r"[^a-z0-9]", "", code.lower())
    return hashlib.sha256(f"recovery|{schema}|{account_id}|{plain}".encode()).hexdigest()


def _totp(secret: str) -> TOTP:
    return TOTP(base64.b32decode(secret), DIGITS, SHA1(), STEP_S)  # noqa: S303 - what apps know

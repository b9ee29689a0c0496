"""Secrets of credentials at rest: the platform's vault, bound to the row of their version."""

from __future__ import annotations

from collections.abc import Mapping

from execfabric.core import vault
from execfabric.core.vault import NoKey, NotReadable, Sealed, newest_key_id

__all__ = ["NoKey", "NotReadable", "Sealed", "newest_key_id", "place_of", "seal", "unseal"]

PURPOSE = "http credentials"


def seal(secret: Mapping[str, str], *, place: str) -> Sealed:
    """Encrypt with the newest key. place: where it is stored, see ``place_of``. Raises NoKey."""
    return vault.seal(secret, purpose=PURPOSE, place=place)


def unseal(sealed: Sealed, *, place: str) -> dict[str, str]:
    """Decrypt. Raises NoKey, NotReadable."""
    return vault.unseal(sealed, purpose=PURPOSE, place=place)


def place_of(schema: str, credential_id: object, number: int) -> str:
    """Return what binds a ciphertext to its row."""
    return f"{schema}|http-credential|{credential_id}|{number}"

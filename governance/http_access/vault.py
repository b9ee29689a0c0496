"""Secrets at rest: AES-256-GCM, bound to where they lie.

What is stored is a nonce and a ciphertext whose associated data name the schema, the credential and
the version: moved to another row, it decrypts nowhere. The keys are the operator's and lie in no
database; the first one encrypts, the others only decrypt.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from execfabric.core.errors import Conflict

NONCE_BYTES = 12
KEY_ID_DIGITS = 12


class NoKey(Conflict):
    """There is no key, or not the one a secret was encrypted with."""

    code = "no_credential_key"


class NotReadable(Conflict):
    """What is stored is not what this platform stored here."""

    code = "credential_damaged"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A secret as it is stored."""

    key_id: str
    text: str
    """Nonce and ciphertext, base64."""


def seal(secret: Mapping[str, str], *, place: str) -> Sealed:
    """Encrypt with the newest key. place: where it is stored, see ``place_of``. Raises NoKey."""
    keys = _keys()
    if not keys:
        raise NoKey(
            "There is no key to encrypt credentials with. The operator sets "
            "EXECFABRIC_CREDENTIAL_KEYS."
        )
    key_id = next(iter(keys))
    nonce = os.urandom(NONCE_BYTES)
    data = json.dumps(dict(secret), ensure_ascii=False).encode()
    return Sealed(
        key_id, base64.b64encode(nonce + keys[key_id].encrypt(nonce, data, place.encode())).decode()
    )


def unseal(sealed: Sealed, *, place: str) -> dict[str, str]:
    """Decrypt. Raises NoKey, NotReadable."""
    key = _keys().get(sealed.key_id)
    if key is None:
        raise NoKey(
            "The key this credential was encrypted with is missing from EXECFABRIC_CREDENTIAL_KEYS."
        )
    data = base64.b64decode(sealed.text)
    try:
        plain = key.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], place.encode())
    except InvalidTag:
        raise NotReadable("The stored credential was changed, or belongs elsewhere.") from None
    return dict(json.loads(plain))


def place_of(schema: str, credential_id: object, number: int) -> str:
    """Return what binds a ciphertext to its row."""
    return f"{schema}|http-credential|{credential_id}|{number}"


def newest_key_id() -> str:
    """Return which key encrypts; empty where there is none."""
    return next(iter(_keys()), "")


def _keys() -> dict[str, AESGCM]:
    """Return the keys by their ids, the newest first."""
    return _derived(tuple(settings.CREDENTIAL_KEYS))


@functools.lru_cache(maxsize=4)
def _derived(texts: tuple[str, ...]) -> dict[str, AESGCM]:
    keys = {}
    for text in texts:
        key_id = hashlib.sha256(f"id of {text}".encode()).hexdigest()[:KEY_ID_DIGITS]
        derived = HKDF(SHA256(), length=32, salt=None, info=b"execfabric http credentials").derive(
            text.encode()
        )
        keys[key_id] = AESGCM(derived)
    return keys

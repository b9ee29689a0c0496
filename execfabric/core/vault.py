"""Secrets at rest: AES-256-GCM, bound to where they lie.

What is stored is a nonce and a ciphertext whose associated data name the schema, the row and its
version: moved to another row, it decrypts nowhere. The keys are the operator's and lie in no
database; the first one encrypts, the others only decrypt. Each purpose has keys of its own, derived
from them.
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

from .errors import Conflict

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


def seal(secret: Mapping[str, str], *, purpose: str, place: str) -> Sealed:
    """Encrypt with the newest key. place: schema, row and version it is stored at. Raises NoKey."""
    keys = _keys(purpose)
    if not keys:
        raise NoKey(
            "There is no key to encrypt secrets with. The operator sets EXECFABRIC_CREDENTIAL_KEYS."
        )
    key_id = next(iter(keys))
    nonce = os.urandom(NONCE_BYTES)
    data = json.dumps(dict(secret), ensure_ascii=False).encode()
    return Sealed(
        key_id, base64.b64encode(nonce + keys[key_id].encrypt(nonce, data, place.encode())).decode()
    )


def unseal(sealed: Sealed, *, purpose: str, place: str) -> dict[str, str]:
    """Decrypt. Raises NoKey, NotReadable."""
    key = _keys(purpose).get(sealed.key_id)
    if key is None:
        raise NoKey(
            "The key this secret was encrypted with is missing from EXECFABRIC_CREDENTIAL_KEYS."
        )
    data = base64.b64decode(sealed.text)
    try:
        plain = key.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], place.encode())
    except InvalidTag:
        raise NotReadable("The stored secret was changed, or belongs elsewhere.") from None
    return dict(json.loads(plain))


def newest_key_id() -> str:
    """Return which key encrypts; empty where there is none."""
    return next(map(_id_of, settings.CREDENTIAL_KEYS), "")


def _keys(purpose: str) -> dict[str, AESGCM]:
    """Return the keys by their ids, the newest first."""
    return _derived(tuple(settings.CREDENTIAL_KEYS), purpose)


def _id_of(text: str) -> str:
    return hashlib.sha256(f"id of {text}".encode()).hexdigest()[:KEY_ID_DIGITS]


@functools.lru_cache(maxsize=8)
def _derived(texts: tuple[str, ...], purpose: str) -> dict[str, AESGCM]:
    keys = {}
    for text in texts:
        info = f"execfabric {purpose}".encode()
        derived = HKDF(SHA256(), length=32, salt=None, info=info).derive(text.encode())
        keys[_id_of(text)] = AESGCM(derived)
    return keys

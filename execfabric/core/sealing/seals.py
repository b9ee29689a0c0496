"""A seal: the signed root over some events of one schema, chained to the seal before."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from execfabric.core.sealing.canonical import as_text, canonical, from_text

PURPOSE = b"execfabric audit seal 1\x00"
"""Stands before what is signed: a signature for anything else is none for a seal."""
FIRST_PREVIOUS = ""
"""What the first seal of a schema has in place of a digest of the seal before."""


class NotASeal(ValueError):
    """A document has not the form of a seal."""


@dataclass(frozen=True, slots=True)
class Seal:
    """Digests are sha256, hexadecimal; key and signature are Ed25519, base64."""

    schema: str
    number: int
    """1, 2, 3, … in its schema."""
    previous: str
    """``digest`` of the seal before; empty for the first."""
    count: int
    """Events under this seal."""
    total: int
    """Events under this seal and all before it."""
    root: str
    ids: str
    """Digest of the ids of its events in their order (canonical.ids_digest)."""
    sealed_at: str
    """ISO 8601, UTC."""
    key: str
    signature: str = ""

    @property
    def body(self) -> bytes:
        """What is signed."""
        document = self.document()
        del document["signature"]
        return PURPOSE + canonical(document)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.body + self.signature.encode()).hexdigest()

    def document(self) -> dict[str, Any]:
        return asdict(self)

    def is_genuine(self) -> bool:
        """Return whether its own key signed it. Whose key that is, is another question."""
        try:
            key = Ed25519PublicKey.from_public_bytes(from_text(self.key))
            key.verify(from_text(self.signature), self.body)
        except (InvalidSignature, ValueError):
            return False
        return True


def seal_from(document: Any) -> Seal:
    """Return the seal of a document as ``Seal.document`` makes it. Raises NotASeal."""
    numbers = ("number", "count", "total")
    if not isinstance(document, Mapping) or set(document) != set(Seal.__dataclass_fields__):
        raise NotASeal("It has other fields than a seal has.")
    for name, value in document.items():
        if type(value) is not (int if name in numbers else str):
            raise NotASeal(f"Its {name} is not of the right kind.")
    return Seal(**document)


class Signer:
    """Holds the private key, made of a secret text of at least 32 random characters."""

    def __init__(self, secret: str) -> None:
        seed = hashlib.sha256(b"execfabric audit key\x00" + secret.encode()).digest()
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.key = as_text(self._private.public_key().public_bytes_raw())

    def sign(self, seal: Seal) -> Seal:
        """Return seal with this key and its signature."""
        named = replace(seal, key=self.key, signature="")
        return replace(named, signature=as_text(self._private.sign(named.body)))

"""What super-admins do with credentials, and their use by workers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pydantic
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate
from django.utils import timezone

from execfabric.core.actions import action
from execfabric.core.actor import Actor, current_schema
from execfabric.core.errors import Conflict, InvalidInput
from execfabric.core.roles import PLATFORM, SYSTEM
from executors.http.resource import CLIENT_CERTIFICATE, SECRETS, Authentication

from .. import vault
from ..models import HttpCredential, HttpCredentialVersion, Style
from ..services import checked_json, checked_name, checked_reason

LONGEST_SECRET = 100_000


class CredentialRevoked(Conflict):
    """It must not be used any more."""

    code = "credential_revoked"


@action("http_access.credential.create", title="Store a credential", roles=PLATFORM)
def create_credential(
    *,
    actor: Actor,
    name: str,
    title: str,
    style: str,
    settings: Mapping[str, Any],
    secrets: Mapping[str, str],
    expires_at: datetime | None = None,
) -> HttpCredential:
    """Store a credential, encrypted; nobody is ever shown its secrets. Raises InvalidInput, NoKey.

    settings: words of Authentication beside the style. secrets: by the names of ``secret_names``.
    """
    checked_name(name)
    if style not in Style.values:
        wrong = f"One of: {', '.join(Style.values)}."
        raise InvalidInput("Choose a style.", fields={"style": wrong})
    checked_json("settings", settings)
    _check_settings(style, settings)
    if HttpCredential.objects.filter(name=name).exists():
        wrong = "There is a credential of this name. Choose another one, or replace its secret."
        raise InvalidInput(wrong, fields={"name": wrong})
    now = timezone.now()
    credential = HttpCredential.objects.create(
        name=name,
        title=title.strip()[:120] or name,
        style=style,
        settings=dict(settings),
        created_by=actor.username,
        created_at=now,
    )
    _store(actor, credential, secrets, expires_at, now)
    return credential


@action(
    "http_access.credential.replace",
    title="Replace the secret of a credential",
    roles=PLATFORM,
    target="credential",
    needs_proof=True,
)
def replace_credential(
    *,
    actor: Actor,
    credential: HttpCredential,
    secrets: Mapping[str, str],
    expires_at: datetime | None = None,
) -> HttpCredential:
    """Store another secret; every call from the commit on uses it. Raises InvalidInput, NoKey,
    CredentialRevoked."""
    fresh = HttpCredential.objects.select_for_update().get(pk=credential.pk)
    if fresh.revoked_at:
        raise CredentialRevoked("This credential is revoked. Store a new one.")
    _store(actor, fresh, secrets, expires_at, timezone.now())
    return fresh


@action(
    "http_access.credential.revoke",
    title="Revoke a credential",
    roles=PLATFORM,
    target="credential",
    needs_proof=True,
)
def revoke_credential(*, actor: Actor, credential: HttpCredential, reason: str) -> HttpCredential:
    """Let nobody use it any more, from the commit on, and forget its secrets.

    Raises InvalidInput, Conflict.
    """
    reason = checked_reason(reason)
    fresh = HttpCredential.objects.select_for_update().get(pk=credential.pk)
    if fresh.revoked_at:
        raise Conflict("This credential is revoked already.")
    fresh.revoked_at = timezone.now()
    fresh.revoked_by, fresh.revoked_reason = actor.username, reason
    fresh.save(update_fields=["revoked_at", "revoked_by", "revoked_reason"])
    fresh.versions.update(sealed="", key_id="")
    return fresh


@action(
    "http_access.credential.use",
    title="Use a credential",
    roles=SYSTEM,
    target="credential",
)
def use_credential(
    *, actor: Actor, credential: HttpCredential, purpose: str, schema: str
) -> Unsealed:
    """Decrypt the secret in use. purpose and schema: what for, and for whom, for the trail.

    Raises CredentialRevoked, NoKey, NotReadable.
    """
    fresh = HttpCredential.objects.get(pk=credential.pk)
    if fresh.revoked_at:
        raise CredentialRevoked("The credential of this resource is revoked.")
    if fresh.expires_at and fresh.expires_at <= timezone.now():
        raise CredentialRevoked("The credential of this resource has expired.")
    version = fresh.versions.get(number=fresh.version)
    place = vault.place_of(current_schema(), fresh.pk, version.number)
    return Unsealed(vault.unseal(vault.Sealed(version.key_id, version.sealed), place=place))


class Unsealed(dict[str, str]):
    """Secrets by name. Says nothing of them when it is shown."""

    def __repr__(self) -> str:
        return "Unsealed(***)"

    __str__ = __repr__


@action(
    "http_access.credential.rotate_keys",
    title="Encrypt credentials with the newest key",
    roles=SYSTEM,
)
def rotate_credential_keys(*, actor: Actor) -> int:
    """Encrypt again what is not encrypted with the newest key; return how many there were.

    All or nothing. Raises NoKey, NotReadable.
    """
    newest = vault.newest_key_id()
    if not newest:
        raise vault.NoKey("There is no key. Set EXECFABRIC_CREDENTIAL_KEYS.")
    old = HttpCredentialVersion.objects.select_for_update().exclude(sealed="")
    count = 0
    for version in old.exclude(key_id=newest):
        place = vault.place_of(current_schema(), version.credential_id, version.number)
        secrets = vault.unseal(vault.Sealed(version.key_id, version.sealed), place=place)
        sealed = vault.seal(secrets, place=place)
        version.key_id, version.sealed = sealed.key_id, sealed.text
        version.save(update_fields=["key_id", "sealed"])
        count += 1
    return count


def secret_names(style: str) -> tuple[str, ...]:
    """Return the names of the secrets a style takes."""
    return CLIENT_CERTIFICATE if style == Style.CLIENT_CERTIFICATE else SECRETS[style]


def _store(
    actor: Actor,
    credential: HttpCredential,
    secrets: Mapping[str, str],
    expires_at: datetime | None,
    now: datetime,
) -> None:
    checked = _checked_secrets(credential.style, secrets)
    if expires_at and expires_at <= now:
        wrong = "This moment is over."
        raise InvalidInput("The credential has expired already.", fields={"expires_at": wrong})
    number = credential.version + 1
    sealed = vault.seal(checked, place=vault.place_of(current_schema(), credential.pk, number))
    HttpCredentialVersion.objects.create(
        credential=credential,
        number=number,
        key_id=sealed.key_id,
        sealed=sealed.text,
        expires_at=expires_at,
        created_by=actor.username,
        created_at=now,
    )
    # What was replaced is of no use to anybody any more.
    credential.versions.exclude(number=number).update(sealed="", key_id="")
    credential.version, credential.expires_at = number, expires_at
    credential.save(update_fields=["version", "expires_at"])


def _checked_secrets(style: str, secrets: Mapping[str, str]) -> dict[str, str]:
    wanted = secret_names(style)
    wrong = {}
    for name in wanted:
        value = secrets.get(name)
        if not isinstance(value, str) or not value:
            wrong[name] = "Give it."
        elif len(value) > LONGEST_SECRET or "\0" in value:
            wrong[name] = "It is too long, or has characters that cannot be sent."
        elif style != Style.CLIENT_CERTIFICATE and any(end in value for end in "\r\n"):
            wrong[name] = "It has a line break. Give it on one line."
    for name in set(secrets) - set(wanted):
        wrong[str(name)] = f"The style {style} has no such secret."
    if style == Style.CLIENT_CERTIFICATE and not wrong:
        wrong = _problems_of_pair(secrets["client_certificate"], secrets["client_key"])
    if wrong:
        raise InvalidInput("The credential cannot be stored like this.", fields=wrong)
    return {name: secrets[name] for name in wanted}


def _problems_of_pair(certificate: str, key: str) -> dict[str, str]:
    """Return what is wrong with a client certificate or its key, by name."""
    try:
        certified = load_pem_x509_certificate(certificate.strip().encode()).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return {"client_certificate": "It is no certificate in PEM form."}
    try:
        own = load_pem_private_key(key.strip().encode(), password=None).public_key()
    except TypeError:
        return {"client_key": "It is protected by a password. Give it without one."}
    except (ValueError, UnsupportedAlgorithm):
        return {"client_key": "It is no private key in PEM form."}
    if own != certified:
        return {"client_key": "It is the key of another certificate."}
    return {}


def _check_settings(style: str, settings: Mapping[str, Any]) -> None:
    if style == Style.CLIENT_CERTIFICATE:
        if settings:
            raise InvalidInput("A client certificate has no settings.")
        return
    try:
        Authentication.model_validate({**settings, "style": style})
    except pydantic.ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = str(problem["loc"][0]) if problem["loc"] else "settings"
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = f"The style {style} has no such setting."
        raise InvalidInput(
            "The settings of the credential are wrong.", fields={where: message}
        ) from None

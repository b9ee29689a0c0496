"""Ways by which copies of seals leave the platform, besides the file (copies.py)."""

from __future__ import annotations

import hashlib
import hmac
import io
from collections.abc import Sequence
from typing import Protocol

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils.translation import gettext as _

from execfabric.core.sealing.canonical import canonical
from execfabric.core.sealing.seals import Seal
from execfabric.core.storage import SEALS, store_aside
from executors.http import guard
from executors.http.calling import Caller, context_for
from executors.http.errors import CallFailed
from executors.http.guard import GuardedBackend, Patience
from executors.http.rendering import Request
from executors.http.urls import Url, parse_url
from executors.network.policy import Policy, parse_rule, parse_rules

WEBHOOK_FORMAT = "execfabric-seals/1"
SIGNATURE = "X-ExecFabric-Signature"
WEBHOOK_S = 10.0
LONGEST_ANSWER = 64 * 1024


class NotCopied(Exception):
    """A copy did not arrive; the message may be shown to the operator and names no secret."""


class Channel(Protocol):
    name: str

    def send(self, schema: str, seals: Sequence[Seal], *, at: int) -> None:
        """Hand over seals that follow each other. at: now, in seconds. Raises NotCopied.

        What was handed over may be again, after a failure: schema and number tell.
        """


class StoredCopies:
    """One object for each hand-over; none is ever replaced."""

    name = "storage"

    def send(self, schema: str, seals: Sequence[Seal], *, at: int) -> None:
        name = f"{schema}/{seals[0].number:012}-{seals[-1].number:012}-{at}.jsonl"
        try:
            store_aside(SEALS, name, io.BytesIO(as_lines(seals)))
        except Exception as error:  # The library of the storage has errors of its own.
            raise NotCopied(f"The storage does not take them: {type(error).__name__}.") from error


class PostedCopies:
    """Posts to the webhook, through the guard that every call of a skill goes through."""

    name = "webhook"

    def __init__(self, *, url: str, secret: str, allowed: Sequence[str]) -> None:
        self._url = parse_url(url)
        self._secret = secret.encode()
        self._policy = Policy(
            (parse_rule(_host_of(self._url)),),
            parse_rules(allowed),
            named_in="EXECFABRIC_SEALS_WEBHOOK_URL",
        )

    def send(self, schema: str, seals: Sequence[Seal], *, at: int) -> None:
        body = canonical(
            {
                "format": WEBHOOK_FORMAT,
                "schema": schema,
                "seals": [seal.document() for seal in seals],
            }
        )
        request = Request(
            "POST",
            self._url,
            {
                "Content-Type": "application/json",
                SIGNATURE: f"t={at},v1={signature_of(self._secret, at, body)}",
            },
            body,
        )
        backend = GuardedBackend(
            self._policy,
            Patience(WEBHOOK_S, lambda: True),
            resolve=guard.resolve,
            connect=guard.connect,
            tell=lambda _line: None,
        )
        try:
            with Caller(backend, context_for(""), lambda: context_for("")) as caller:
                answer = caller.exchange(request, most_bytes=LONGEST_ANSWER)
        except CallFailed as error:
            raise NotCopied(f"{error} {error.detail}".strip()) from error
        if not 200 <= answer.status < 300:
            raise NotCopied(f"{self._url.host} answered {answer.status}.")


def signature_of(secret: bytes, at: int, body: bytes) -> str:
    """Return the HMAC-SHA256, hexadecimal, of ``<seconds>.<body>``."""
    return hmac.new(secret, b"%d." % at + body, hashlib.sha256).hexdigest()


def channels() -> list[Channel]:
    """Return the ways that are configured, but for e-mail, which tells of all trails at once."""
    found: list[Channel] = []
    if SEALS in settings.STORAGES:
        found.append(StoredCopies())
    if settings.SEALS_WEBHOOK_URL:
        found.append(
            PostedCopies(
                url=settings.SEALS_WEBHOOK_URL,
                secret=settings.SEALS_WEBHOOK_SECRET,
                allowed=sorted(settings.NETWORK_ALLOW),
            )
        )
    return found


def mail_seals(addresses: Sequence[str], seals: Sequence[Seal]) -> None:
    """Send the last seals of all trails. Raises NotCopied."""
    lines = [f"{one.schema}: {one.number} ({one.sealed_at}) {one.digest}" for one in seals]
    mail = EmailMessage(
        subject=_("Last seals of the audit trails"),
        body="\n".join(
            [
                _("Keep this message, or the file with it, where the platform cannot change it."),
                _("With it, execfabric-cli audit verify --seals tells when a trail was cut off."),
                "",
                *lines,
            ]
        ),
        to=list(addresses),
        attachments=[("seals.jsonl", as_lines(seals), "application/octet-stream")],
    )
    try:
        mail.send()
    except Exception as error:  # Of the mail server, the network, or a backend of somebody else's.
        raise NotCopied(f"The mail was not taken: {type(error).__name__}.") from error


def as_lines(seals: Sequence[Seal]) -> bytes:
    return b"".join(canonical(seal.document()) + b"\n" for seal in seals)


def _host_of(url: Url) -> str:
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{host}:{url.port}"

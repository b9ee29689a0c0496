"""Who asks, how, and what may be compared in two answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.core.files.base import File
from django.db import connection, transaction
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from django.test.utils import CaptureQueriesContext

from .fillings import Ids

REQUEST_ID = "the-same-for-all"
CSRF = re.compile(r'(csrf[a-z-]*token(?:" value)?=")\w{64}')
AGO = re.compile(r"(<time [^>]*>)[^<]*(?=</time>)")
"""How long ago it was: another word a second later, of the same moment."""
NOT_COUNTED = ('"registry_domain"', 'SET "last_seen_at" =', 'SET "last_used_at" =')
"""The look-up of the host, and the note of who was seen: done again whenever it is too long ago."""


@dataclass(frozen=True, slots=True)
class Person:
    """Credentials of one host: its session's cookie and a bearer token, sent together."""

    name: str
    session: str = ""
    token: str = ""


ANONYMOUS = Person("anonymous")
MADE_UP = Person("somebody who made up credentials", "n" * 32, "0" * 64)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    cookies: dict[str, str]
    body: str
    statements: int
    error: str
    """Which exception became this answer; for the reader of a failure."""

    def text(self) -> str:
        """Return everything the other side receives."""
        lines = [f"{name}: {value}" for name, value in {**self.headers, **self.cookies}.items()]
        return "\n".join([*lines, self.body])

    def without(self, ids: Ids) -> tuple[int, dict[str, str], list[str], str, int]:
        """Return all that must be alike in two answers which differ in the ids asked for."""

        def clean(text: str) -> str:
            for each in ids.texts():
                text = text.replace(each, "ID")
            return AGO.sub(r"\1AGO", CSRF.sub(r"\1CSRF", text))

        headers = {name: clean(value) for name, value in self.headers.items()}
        headers.pop("Content-Length", None)  # An id of another length.
        return self.status, headers, sorted(self.cookies), clean(self.body), self.statements


class Asker:
    """Sends requests as somebody. Whatever a request changed is undone before the next one."""

    def __init__(self) -> None:
        self._client = Client(raise_request_exception=False)

    def ask(
        self,
        host: str,
        person: Person,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        keep: bool = False,
        **headers: str,
    ) -> Answer:
        """Send body as a form, to the API as JSON, with a file in it as multipart.

        With keep, what it changes stays.
        """
        raw, media_type = _encoded(path, body)
        around = nullcontext() if keep else undone()
        with around:
            return self.send(host, person, method, path, raw, media_type, headers)

    def send(
        self,
        host: str,
        person: Person,
        method: str,
        path: str,
        raw: bytes = b"",
        media_type: str = "application/octet-stream",
        headers: Mapping[str, str] | None = None,
        **environ: Any,
    ) -> Answer:
        """Send raw as it is; environ is put into the request's WSGI environment."""
        sent = {"host": host, "x-request-id": REQUEST_ID, **(headers or {})}
        self._client.cookies = SimpleCookie()
        if person.session:
            self._client.cookies[settings.SESSION_COOKIE_NAME] = person.session
        if person.token:
            sent["authorization"] = f"Bearer {person.token}"
        with CaptureQueriesContext(connection) as captured:
            response = self._client.generic(
                method, path, raw, media_type, headers=sent, SERVER_NAME=host, **environ
            )
            content = b"".join(response) if response.streaming else response.content
        statements = [
            one for one in captured if not any(text in (one["sql"] or "") for text in NOT_COUNTED)
        ]
        return Answer(
            status=response.status_code,
            headers={name: str(value) for name, value in response.headers.items()},
            cookies={name: one.OutputString() for name, one in response.cookies.items()},
            body=content.decode("utf-8", "replace"),
            statements=len(statements),
            error=repr(response.exc_info[1]) if getattr(response, "exc_info", None) else "",
        )


def _encoded(path: str, body: dict[str, Any] | None) -> tuple[bytes, str]:
    if body is None:
        return b"", "application/octet-stream"
    if any(isinstance(value, File) for value in body.values()):
        return encode_multipart(BOUNDARY, body), MULTIPART_CONTENT
    if path.startswith("/api/"):
        return json.dumps(body).encode(), "application/json"
    return urlencode(body).encode(), "application/x-www-form-urlencoded"


class _Undo(Exception):
    pass


@contextmanager
def undone() -> Iterator[None]:
    """Undo in the database whatever the block did."""
    try:
        with transaction.atomic():
            yield
            raise _Undo
    except _Undo:
        pass


def found_in(answer: Answer, words: Iterable[str], *, asked_for: Ids | None = None) -> list[str]:
    """Return which of words stand in answer. What the asker sent is theirs, not found."""
    text = answer.text()
    for each in asked_for.texts() if asked_for else []:
        text = text.replace(each, "")
    text = text.lower()
    return sorted(word for word in words if word in text)

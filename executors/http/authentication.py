"""Puts the proof of who calls onto a request; nothing here sends anything but ``fetch_token``."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from executors.contract import MEBIBYTE
from executors.http.errors import BadAnswer, CallFailed, Refused
from executors.http.rendering import Request, checked_header
from executors.http.resource import Authentication
from executors.http.urls import parse_url
from executors.masking import MASK

TOKEN_BYTES = MEBIBYTE // 4
TOKEN_DEFAULT_S = 300
TOKEN_MOST_S = 86_400
EARLY_S = 30
"""A token is not used in the last seconds of its life."""


class Reply(Protocol):
    @property
    def status(self) -> int: ...
    @property
    def body(self) -> bytes: ...


class Exchange(Protocol):
    def __call__(self, request: Request, *, most_bytes: int) -> Reply: ...


@dataclass(frozen=True, slots=True)
class Proof:
    """One header or parameter that proves something."""

    name: str
    value: str
    prefix: str = ""
    in_query: bool = False
    is_secret: bool = True


def authenticate(
    how: Authentication,
    request: Request,
    secrets: Mapping[str, str],
    *,
    token: str = "",
    now: float,
) -> Request:
    """Return request with the proof on it. token: of oauth2, fetched before. Raises Refused."""
    return _put(request, _proofs(how, request, secrets, token, now))


def with_masks(how: Authentication, request: Request) -> Request:
    """Return request as it would go out, with a mask wherever a secret, or what it made, stands."""
    nothing = dict.fromkeys(
        ("value", "token", "username", "password", "key_id", "secret"), "unknown"
    )
    proofs = _proofs(how, request, nothing, "unknown", now=0)
    return _put(
        request,
        [
            Proof(each.name, MASK, each.prefix, each.in_query) if each.is_secret else each
            for each in proofs
        ],
    )


def made_of(how: Authentication, secrets: Mapping[str, str]) -> list[str]:
    """Return further texts that tell the secrets to whoever sees them."""
    return [_basic(secrets["username"], secrets["password"])] if how.style == "basic" else []


def _proofs(
    how: Authentication, request: Request, secrets: Mapping[str, str], token: str, now: float
) -> list[Proof]:
    match how.style:
        case "api_key":
            in_query = how.place == "query"
            return [Proof(how.name, secrets["value"], "" if in_query else how.prefix, in_query)]
        case "bearer":
            return [Proof("Authorization", secrets["token"], "Bearer ")]
        case "oauth2":
            return [Proof("Authorization", token, "Bearer ")]
        case "basic":
            pair = _basic(secrets["username"], secrets["password"])
            return [Proof("Authorization", pair, "Basic ")]
        case "hmac":
            return _signature(how, request, secrets, now)
        case _:
            return []


def _signature(
    how: Authentication, request: Request, secrets: Mapping[str, str], now: float
) -> list[Proof]:
    """Sign method, target, time and the digest of the body, one a line."""
    stamp = str(int(now))
    digest = hashlib.new(how.algorithm, request.body).hexdigest()
    text = "\n".join((request.method, request.url.target, stamp, digest))
    made = hmac.new(secrets["secret"].encode(), text.encode(), how.algorithm).digest()
    shown = made.hex() if how.encoding == "hex" else base64.b64encode(made).decode()
    return [
        Proof(how.key_header, secrets["key_id"]),
        Proof(how.timestamp_header, stamp if now else "(time)", is_secret=False),
        Proof(how.name, shown),
    ]


def _put(request: Request, proofs: list[Proof]) -> Request:
    for proof in proofs:
        if proof.in_query:
            more = f"{quote(proof.name, safe='')}={quote(proof.value, safe='*')}"
            query = f"{request.url.query}&{more}" if request.url.query else more
            request = Request(
                request.method, request.url.with_query(query), request.headers, request.body
            )
        else:
            # What the resource itself says under this name, in whatever case, must not stay.
            others = {
                name: text
                for name, text in request.headers.items()
                if name.lower() != proof.name.lower()
            }
            value = checked_header(proof.name, f"{proof.prefix}{proof.value}")
            request = Request(
                request.method, request.url, {**others, proof.name: value}, request.body
            )
    return request


class Tokens:
    """Access tokens by what they were asked for with, as long as they hold. In memory only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[str, float]] = {}

    def get(self, how: Authentication, secrets: Mapping[str, str], exchange: Exchange) -> str:
        """Return a token, a known one or a new one. Raises CallFailed."""
        key = _key_of(how, secrets)
        with self._lock:
            token, until = self._known.get(key, ("", 0.0))
        if time.monotonic() < until:
            return token
        token, seconds = fetch_token(how, secrets, exchange)
        with self._lock:
            now = time.monotonic()
            self._known = {name: one for name, one in self._known.items() if one[1] > now}
            self._known[key] = (token, now + seconds - EARLY_S)
        return token

    def forget(self, how: Authentication, secrets: Mapping[str, str]) -> bool:
        """Forget the token; return whether there was one."""
        with self._lock:
            return self._known.pop(_key_of(how, secrets), None) is not None


def fetch_token(
    how: Authentication, secrets: Mapping[str, str], exchange: Exchange
) -> tuple[str, float]:
    """Ask the token endpoint (RFC 6749, client credentials); return the token and its seconds."""
    form = {"grant_type": "client_credentials"}
    if how.scope:
        form["scope"] = how.scope
    if how.audience:
        form["audience"] = how.audience
    headers = {
        "Accept": "application/json",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    client_id, client_secret = secrets["client_id"], secrets["client_secret"]
    if how.client_in == "header":
        pair = _basic(quote(client_id, safe=""), quote(client_secret, safe=""))
        headers["Authorization"] = f"Basic {pair}"
    else:
        form |= {"client_id": client_id, "client_secret": client_secret}
    url = parse_url(how.token_url)
    reply = exchange(
        Request("POST", url, headers, urlencode(form).encode()), most_bytes=TOKEN_BYTES
    )
    if reply.status != 200:
        raise CallFailed(
            f"The token endpoint {url.host} answered {reply.status}: it gives no token for this "
            "credential."
        )
    try:
        answer: Any = json.loads(reply.body)
        token = answer["access_token"]
        seconds = float(answer.get("expires_in", TOKEN_DEFAULT_S))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadAnswer(f"What the token endpoint {url.host} answered holds no token.") from error
    if not isinstance(token, str) or not token:
        raise BadAnswer(f"What the token endpoint {url.host} answered holds no token.")
    return token, min(max(seconds, 0), TOKEN_MOST_S)


def _key_of(how: Authentication, secrets: Mapping[str, str]) -> str:
    parts = [how.token_url, how.scope, how.audience, how.client_in]
    parts += [secrets["client_id"], secrets["client_secret"]]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _basic(username: str, password: str) -> str:
    if ":" in username:
        raise Refused("A user name for Basic authentication has no colon.")
    return base64.b64encode(f"{username}:{password}".encode()).decode()

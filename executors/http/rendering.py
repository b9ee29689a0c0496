"""From a resource and inputs to the one request that is sent, and whether it may be."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlencode

from jsonschema.exceptions import ValidationError

from executors.http.errors import Refused, without_tls
from executors.http.resource import HttpResource, Write
from executors.http.templates import LEFT_OUT, as_text, fill, fill_json, is_single, names_in
from executors.http.urls import NotUsable, Url, parse_url
from executors.inputs import FORMATS, InputValidator

CONTENT_TYPES = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
    "text": "text/plain; charset=utf-8",
}
ACCEPT = "application/json, */*;q=0.5"
NOT_IN_HEADER = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
NUMBERS = (int, float)
BOUND_KINDS: tuple[tuple[frozenset[str], Any], ...] = tuple(
    (frozenset(words.split()), kinds)
    for words, kinds in (
        ("minimum maximum exclusiveMinimum exclusiveMaximum multipleOf", NUMBERS),
        ("minLength maxLength pattern format", str),
        ("items prefixItems contains minItems maxItems uniqueItems", list),
        (
            "properties required additionalProperties propertyNames minProperties maxProperties",
            dict,
        ),
        ("dependentRequired dependentSchemas unevaluatedProperties", dict),
    )
)
"""Words of JSON Schema, and the only kind of values that they bind."""
LEADS_ELSEWHERE = re.compile(r"[/\\\x00-\x1f\x7f]")
"""Servers differ in how they read these, escaped, in a path."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, complete but for what the transport adds (Host, Content-Length)."""

    method: str
    url: Url
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def with_headers(self, **headers: str) -> Request:
        return self.with_more({name.replace("_", "-"): text for name, text in headers.items()})

    def with_more(self, headers: Mapping[str, str]) -> Request:
        return replace(self, headers={**self.headers, **headers})


def render(resource: HttpResource, inputs: Mapping[str, Any]) -> Request:
    """Return the request, without authentication. Raises Refused where an input does not fit."""
    query: list[tuple[str, str]] = []
    for name, template in resource.query.items():
        value = _single(template, inputs)
        if isinstance(value, list):
            query.extend((name, as_text(each)) for each in value)
        elif value is not LEFT_OUT:
            query.append((name, as_text(value)))
    headers = {}
    for name, template in resource.headers.items():
        value = fill(template, inputs)
        if value is not LEFT_OUT:
            headers[name] = checked_header(name, value)
    if not any(name.lower() == "accept" for name in headers):
        headers["Accept"] = ACCEPT
    body, content_type = _body(resource, inputs)
    if content_type:
        headers["Content-Type"] = content_type
    base = resource.base
    try:
        url = parse_url(
            str(
                replace(base, path=_path(resource, inputs), query=urlencode(query, quote_via=quote))
            )
        )
    except NotUsable as error:
        raise Refused(f"The address of the request cannot be used: {error}.") from None
    return Request(resource.method, url, headers, body)


def check_write(resource: HttpResource, request: Request, inputs: Mapping[str, Any]) -> None:
    """Raise Refused unless a request that changes something is on the whitelist."""
    if resource.is_safe:
        return
    entries = [
        entry
        for entry in resource.writes
        if entry.method == request.method and _fits(entry.path, request.url.path)
    ]
    if not entries:
        raise Refused(
            f"Writes are denied unless they are on the whitelist, and {request.method} "
            f"{request.url.path} is not."
        )
    problems = [_over_limit(entry, inputs) for entry in entries]
    if all(problems):
        raise Refused(f"The whitelist does not allow this write: {problems[0]}.")


def check_secrecy(resource: HttpResource) -> None:
    """Raise Refused where a secret would go out without TLS to a host not approved for that."""
    if urls := resource.unapproved_plain_urls():
        raise Refused(without_tls(" and ".join(url.authority for url in urls)))


def checked_header(name: str, value: str) -> str:
    """Return value, fit for a header. Raises Refused."""
    if NOT_IN_HEADER.search(value):
        raise Refused(f"The header {name} cannot hold this value: it has a line break or "
                      "characters that headers do not have.")  # fmt: skip
    return value.strip()


def _path(resource: HttpResource, inputs: Mapping[str, Any]) -> str:
    def escaped(text: str) -> str:
        # Also what becomes such a thing where a server, or one before it, unescapes twice.
        for read in (text, unquote(text), unquote(unquote(text))):
            if LEADS_ELSEWHERE.search(read) or read in ("", ".", ".."):
                raise Refused(f"{text[:80]!r} cannot stand in the path of a request.")
        return quote(text, safe="")

    path = fill(resource.url_path, inputs, escaped)
    if path is LEFT_OUT:
        missing = sorted(n for n in names_in(resource.url_path) if inputs.get(n) is None)
        raise Refused(f"The path of the request needs the input {missing[0]}.")
    if any(unquote(part) in (".", "..") for part in path.split("/")):
        raise Refused("The path of the request leads elsewhere.")
    return str(path)


def _single(template: str, inputs: Mapping[str, Any]) -> Any:
    """Return the filled template; a list where it is a single input that is a list."""
    value = fill_json(template, inputs)
    return LEFT_OUT if value is None else value


def _body(resource: HttpResource, inputs: Mapping[str, Any]) -> tuple[bytes, str]:
    wanted = resource.body
    if wanted.kind == "none":
        return b"", ""
    content_type = wanted.content_type or CONTENT_TYPES[wanted.kind]
    if wanted.kind == "text":
        template = str(wanted.content)
        # One input alone is the whole body: there is nothing around it that it could break out of.
        escaping = str if is_single(template) else _escape_for(content_type)
        text = fill(template, inputs, escaping)
        return ("" if text is LEFT_OUT else text).encode(), content_type
    content = fill_json(wanted.content, inputs)
    if wanted.kind == "json":
        content = None if content is LEFT_OUT else content
        return json.dumps(content, ensure_ascii=False).encode(), content_type
    pairs = [(name, as_text(each)) for name, each in content.items() if each is not None]
    return urlencode(pairs).encode(), content_type


def _escape_for(content_type: str) -> Callable[[str], str]:
    """Return what keeps an input within its place in a text of that type.

    Else an input could end the place it stands in, and say anew what the whitelist has limited.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind.endswith(("/json", "+json")):
        return lambda text: json.dumps(text)[1:-1]
    if kind.endswith(("/xml", "+xml", "/html")):
        return lambda text: escape(text, quote=True)
    if kind == "application/x-www-form-urlencoded":
        return quote_plus
    return str


def _binds(limit: Any, value: Any) -> bool:
    """Return whether every word of a limit is about values of this kind.

    JSON Schema has ``maximum`` hold for whatever is no number: a text "999" would pass it.
    """
    if not isinstance(limit, Mapping):
        return True
    return all(
        isinstance(value, kinds) and not (kinds == NUMBERS and isinstance(value, bool))
        for words, kinds in BOUND_KINDS
        if words & limit.keys()
    )


def _fits(pattern: str, path: str) -> bool:
    wanted, given = pattern.split("/"), path.split("/")
    return len(wanted) == len(given) and all(
        (part == "*" and is_ != "") or unquote(part) == unquote(is_)
        for part, is_ in zip(wanted, given, strict=True)
    )


def _over_limit(entry: Write, inputs: Mapping[str, Any]) -> str:
    """Return how the inputs break the limits of an entry; empty when they do not."""
    given = {name: value for name, value in inputs.items() if value is not None}
    for name, limit in entry.limits.items():
        if name in given and not _binds(limit, given[name]):
            return f"{name}: it is of a kind that its limit says nothing about"
    schema = {"properties": entry.limits, "required": list(entry.limits)}
    try:
        InputValidator(schema, format_checker=FORMATS).validate(given)
    except ValidationError as error:
        where = ".".join(map(str, error.absolute_path))
        return f"{where}: {error.message}" if where else error.message
    return ""

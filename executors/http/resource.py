"""What is to be called: the resource spec of kind ``http``, complete and without secrets."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

import jmespath
import pydantic
from jmespath.exceptions import JMESPathError
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, model_validator

from executors.contract import MEBIBYTE, InvalidResource
from executors.http.templates import BadTemplate, names_in, names_in_json
from executors.http.urls import NotUsable, Url, parse_url
from executors.inputs import PatternNotUsable, compile_pattern
from executors.manifest.model import REFUSED_WORDS
from executors.network.policy import Policy, are_naming, parse_rules

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
WRITE_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
TOKEN = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$"  # noqa: S105 - what RFC 9110 calls a token
OWN_HEADERS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer",
     "keep-alive", "expect", "accept-encoding", "content-type", "cookie", "authorization",
     "proxy-authorization"}
)  # fmt: skip
"""Made by the platform, the body or the authentication; no header of a resource is one of them."""
REDIRECTING_HEADERS = frozenset(
    {"x-http-method", "x-http-method-override", "x-method-override", "x-original-url",
     "x-original-uri", "x-rewrite-url"}
)  # fmt: skip
"""By these some servers take another method or path than those that were compared."""
METHOD_PARAMETERS = frozenset({"_method", "_httpmethod"})
HOSTS = "allowed hosts of the resource"

Method = Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]
Style = Literal["none", "api_key", "bearer", "basic", "oauth2", "hmac"]
HeaderName = Annotated[str, StringConstraints(pattern=TOKEN)]
Text = Annotated[str, StringConstraints(max_length=4000)]
Line = Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\r\n\x00]*$")]


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Body(Model):
    kind: Literal["none", "json", "form", "text"] = "none"
    content: JsonValue = None
    """json: any value; form: names and texts; text: a text. Texts in it are templates."""
    content_type: Line = ""
    """Empty for that of the kind."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kind == "text" and not isinstance(self.content, str):
            raise ValueError("a body of kind text is one text")
        if self.kind == "form" and not (
            isinstance(self.content, dict)
            and all(isinstance(each, str) for each in self.content.values())
        ):
            raise ValueError("a body of kind form is names with texts")
        if self.kind == "none" and self.content is not None:
            raise ValueError("a request without body has no content")
        return self


class Authentication(Model):
    """How the caller proves who it is. The secrets themselves come apart from the spec."""

    style: Style = "none"
    place: Literal["header", "query"] = "header"
    """api_key."""
    name: HeaderName = "X-Api-Key"
    """api_key: of the header or parameter. hmac: of the header with the signature."""
    prefix: Line = ""
    """api_key in a header: what stands before the key."""
    token_url: Line = ""
    """oauth2."""
    scope: Line = ""
    audience: Line = ""
    client_in: Literal["header", "body"] = "header"
    """oauth2: where the token endpoint looks for id and secret of the client."""
    algorithm: Literal["sha256", "sha512"] = "sha256"
    timestamp_header: HeaderName = "X-Timestamp"
    key_header: HeaderName = "X-Key-Id"
    encoding: Literal["hex", "base64"] = "hex"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.style == "oauth2":
            _url(self.token_url, "the token URL")
        if self.place == "header" and self.name.lower() in OWN_HEADERS - {"authorization"}:
            raise ValueError(f"the header {self.name} cannot hold a key")
        return self


SECRETS: dict[str, tuple[str, ...]] = {
    "none": (),
    "api_key": ("value",),
    "bearer": ("token",),
    "basic": ("username", "password"),
    "oauth2": ("client_id", "client_secret"),
    "hmac": ("key_id", "secret"),
}
"""Names of the secrets that each style needs."""
SENT_SECRETS = frozenset({"api_key", "bearer", "basic", "oauth2"})
"""Styles by which a secret itself goes over the wire; a signature tells nobody the key."""
CLIENT_CERTIFICATE = ("client_certificate", "client_key")
"""Names of the secrets of a client certificate; PEM."""


class Tls(Model):
    ca: Annotated[str, StringConstraints(max_length=100_000)] = ""
    """PEM. Only what it signed is trusted then; empty for the public authorities."""
    client_certificate: bool = False


class Write(Model):
    """One entry of the whitelist: what may be written, and within which limits."""

    method: Literal["POST", "PUT", "PATCH", "DELETE"]
    path: Annotated[str, StringConstraints(max_length=1000, pattern=r"^/[!-~]*$")]
    """Path of the URL; ``*`` stands for one whole part between two slashes."""
    limits: dict[str, JsonValue] = {}
    """Input name -> JSON Schema that its value must fit; an input named here must be given."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if any("*" in part and part != "*" for part in self.path.split("/")):
            raise ValueError("in a path, * stands for one whole part, as in /customers/*/notes")
        check_schema({"type": "object", "properties": self.limits})
        return self


class HttpResource(Model):
    """The resource spec of kind ``http``: one operation of one API."""

    base_url: Line
    method: Method = "GET"
    path: Line = "/"
    """Template below the base URL; values are escaped and stay within one part of the path."""
    query: dict[Line, Text] = {}
    headers: dict[HeaderName, Line] = {}
    body: Body = Body()
    outputs: dict[str, Annotated[str, StringConstraints(max_length=2000)]] = {}
    """Output name -> JMESPath over the answer; empty for the whole answer."""
    output_schema: dict[str, JsonValue] = {}
    """JSON Schema the output must fit; empty for any."""
    authentication: Authentication = Authentication()
    tls: Tls = Tls()
    timeout_s: Annotated[int, Field(ge=1, le=600)] = 30
    retries: Annotated[int, Field(ge=0, le=5)] = 0
    """For safe methods only."""
    response_bytes: Annotated[int, Field(ge=1, le=64 * MEBIBYTE)] = MEBIBYTE
    redirects: Annotated[int, Field(ge=0, le=5)] = 0
    """How many are followed; of safe methods only."""
    allowed_hosts: Annotated[list[str], Field(max_length=50)] = []
    """Hosts that may be called beside that of the base URL, see ``executors/network/policy.py``."""
    open_addresses: Annotated[list[str], Field(max_length=50)] = []
    """What this resource was approved for beyond public addresses, in the same words."""
    writes: Annotated[list[Write], Field(max_length=100)] = []
    traced: bool = False
    """Whether the log may say where a call went and what was sent; for the platform only."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        base = _url(self.base_url, "the base URL")
        if base.query or set("{}") & set(base.path):
            raise ValueError("the base URL has neither query nor inputs; use path and parameters")
        if not re.fullmatch(r"(/[!-~]*)?", self.path):
            raise ValueError("the path begins with a slash and has neither spaces nor letters "
                             "beyond ASCII")  # fmt: skip
        if set("?#\\") & set(self.path):
            raise ValueError("the path has no ?, # or backslash; use the parameters")
        for name in self.headers:
            if name.lower() in OWN_HEADERS | REDIRECTING_HEADERS:
                raise ValueError(f"the header {name} cannot be set here")
        for name in self.query:
            if name.lower() in METHOD_PARAMETERS:
                raise ValueError(f"the parameter {name} cannot be set here: say the method")
        if self.body.kind != "none" and self.method not in WRITE_METHODS:
            raise ValueError(f"a {self.method} request has no body")
        self._check_words()
        self.placeholders()
        return self

    def _check_words(self) -> None:
        for name, expression in self.outputs.items():
            try:
                jmespath.compile(expression)
            except (JMESPathError, RecursionError) as error:
                first = str(error).partition("\n")[0]
                raise ValueError(f"output {name}: this is no JMESPath: {first}") from None
        check_schema(self.output_schema)
        parse_rules(self.allowed_hosts)
        parse_rules(self.open_addresses)

    def placeholders(self) -> set[str]:
        """Return the names of the inputs the request is made of. Raises ValueError."""
        texts = [self.path, *self.query.values(), *self.headers.values()]
        try:
            return set[str]().union(*map(names_in, texts), names_in_json(self.body.content))
        except BadTemplate as error:
            raise ValueError(str(error)) from None

    @property
    def base(self) -> Url:
        return parse_url(self.base_url)

    @property
    def is_safe(self) -> bool:
        return self.method in SAFE_METHODS

    @property
    def url_path(self) -> str:
        """The template of the URL's whole path."""
        return self.base.path.rstrip("/") + (self.path or "/")

    @property
    def summary(self) -> str:
        """Method, host and path: all of the request that a tenant may know."""
        return f"{self.method} {self.base.authority}{self.url_path}"

    def policy(self, **options: Any) -> Policy:
        """Return what its calls may reach."""
        hosts = [_rule_of(self.base), *self.allowed_hosts]
        if self.authentication.style == "oauth2":
            hosts.append(_rule_of(parse_url(self.authentication.token_url)))
        return Policy(
            parse_rules(hosts), parse_rules(self.open_addresses), named_in=HOSTS, **options
        )

    def plain_urls(self) -> list[Url]:
        """Return where a secret goes without TLS, for whoever stands between to read."""
        if self.authentication.style not in SENT_SECRETS:
            return []
        called = [self.base]
        if self.authentication.style == "oauth2":
            called.append(parse_url(self.authentication.token_url))
        return [url for url in called if url.scheme == "http"]

    def unapproved_plain_urls(self) -> list[Url]:
        """Return those whose host no approval of addresses names: no secret goes there."""
        plain = self.plain_urls()
        approved = parse_rules(self.open_addresses) if plain else ()
        return [url for url in plain if not are_naming(approved, url.host, url.port)]

    def secret_names(self) -> tuple[str, ...]:
        extra = CLIENT_CERTIFICATE if self.tls.client_certificate else ()
        return (*SECRETS[self.authentication.style], *extra)


def parse_resource(spec: dict[str, Any]) -> HttpResource:
    """Return spec, checked. Raises InvalidResource."""
    try:
        return HttpResource.model_validate(spec)
    except pydantic.ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(map(str, problem["loc"]))
        message = problem["msg"].removeprefix("Value error, ")
        raise InvalidResource(
            f"The HTTP resource is wrong: {f'{where}: ' if where else ''}{message}."
        ) from error


def check_schema(schema: Any) -> None:
    """Raise ValueError where a JSON Schema is none, or uses what takes unbounded time."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        where = ".".join(map(str, error.absolute_path)) or "it"
        raise ValueError(f"no valid JSON Schema: {where}: {error.message}") from None
    _check_words(schema)


def _check_words(schema: Any) -> None:
    if isinstance(schema, list):
        for each in schema:
            _check_words(each)
    if not isinstance(schema, dict):
        return
    for word, part in schema.items():
        if word in REFUSED_WORDS:
            raise ValueError(f"{word} cannot be used in a schema here")
        if word == "pattern" and isinstance(part, str):
            try:
                compile_pattern(part)
            except PatternNotUsable as error:
                raise ValueError(str(error)) from None
        _check_words(part)


def _rule_of(url: Url) -> str:
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{host}:{url.port}"


def _url(text: str, what: str) -> Url:
    try:
        return parse_url(text)
    except NotUsable as error:
        raise ValueError(f"{what} cannot be used: {error}") from None

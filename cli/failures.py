"""Turns what went wrong with a call into a CliError a person understands."""

from __future__ import annotations

import contextlib
import re
import ssl
from collections.abc import Iterator
from typing import Any

import httpx

from cli.errors import CliError
from cli.exit_codes import ExitCode
from cli.terminal import clean_line

_EXIT_CODES = {
    400: ExitCode.INVALID_INPUTS,
    401: ExitCode.NOT_LOGGED_IN,
    403: ExitCode.REFUSED,
    404: ExitCode.NOT_FOUND,
    413: ExitCode.INVALID_INPUTS,
    415: ExitCode.INVALID_INPUTS,
    422: ExitCode.INVALID_INPUTS,
}


def from_answer(answer: httpx.Response, base_url: str) -> CliError:
    """Return the error for an answer that is not a success. Its body must have been read."""
    status = answer.status_code
    had_token = "Authorization" in answer.request.headers
    document = _document(answer)
    message = clean_line(document.get("message") or "")
    code = clean_line(document.get("code") or "")
    request_id = clean_line(answer.headers.get("X-Request-ID", ""))
    if 300 <= status < 400:
        target = clean_line(answer.headers.get("Location", ""))
        return CliError(
            f"{base_url} sends us elsewhere: {target or 'it does not say where'}.",
            ExitCode.UNREACHABLE,
            hint="Log in with the address it names.",
        )
    if status >= 500:
        return CliError(
            message or f"The server has a problem of its own (HTTP {status}).",
            ExitCode.UNREACHABLE,
            code=code,
            request_id=request_id,
            hint="Try again later. If it stays, tell the operator the request id."
            if request_id
            else "Try again later.",
        )
    if not message:
        message = f"The server at {base_url} refused without a reason (HTTP {status})."
        if status == 404:
            message = f"Nothing was found at {base_url}. Are the name and the server address right?"
    return CliError(
        message,
        _EXIT_CODES.get(status, ExitCode.REFUSED),
        code=code,
        fields=_fields(document.get("fields")),
        request_id=request_id,
        hint=_hint(code, base_url, expired=status == 401 and had_token),
    )


def _hint(code: str, base_url: str, *, expired: bool) -> str:
    login = f"execfabric-cli login {base_url}"
    if code == "proof_needed":
        return f"Log in again, and do it within the next minutes: {login}"
    return f"Log in: {login}" if expired else ""


def from_transport(error: httpx.HTTPError, base_url: str) -> CliError:
    """Return the error for a call that got no whole answer."""
    tls = _cause(error, ssl.SSLError)
    if isinstance(tls, ssl.SSLCertVerificationError):
        return CliError(
            f"The certificate of {base_url} is not trusted: {clean_line(tls.verify_message)}.",
            ExitCode.UNREACHABLE,
            hint="If your organisation has its own authority, set SSL_CERT_FILE to its file.",
        )
    if tls is not None:
        return CliError(
            f"No secure connection to {base_url}: the server does not answer in TLS.",
            ExitCode.UNREACHABLE,
            hint="Does the server speak plain http:// on this port?",
        )
    if isinstance(error, httpx.TimeoutException):
        message = f"{base_url} did not answer in time."
    elif isinstance(error, httpx.ProxyError):
        message = f"The proxy on the way to {base_url} refused: {_reason(error)}."
    elif isinstance(error, httpx.ConnectError):
        message = f"{base_url} cannot be reached: {_reason(error)}."
    elif isinstance(error, httpx.TooManyRedirects):
        message = f"{base_url} sends us in a circle."
    else:
        message = f"The connection to {base_url} broke: {_reason(error)}."
    return CliError(message, ExitCode.UNREACHABLE)


def not_understood(base_url: str) -> CliError:
    return CliError(
        f"{base_url} does not answer like an ExecFabric server. Is the address right?",
        ExitCode.UNREACHABLE,
    )


@contextlib.contextmanager
def missing(message: str) -> Iterator[None]:
    """Say message where the server only says that something is not there."""
    try:
        yield
    except CliError as error:
        # Without the code it was no ExecFabric server, or a host that leads to no tenant.
        if error.code == "not_found":
            error.message = clean_line(message)
        raise


def may_pass(error: httpx.HTTPError) -> bool:
    """Return whether the same call may get through a moment later."""
    return isinstance(error, httpx.TransportError) and _cause(error, ssl.SSLError) is None


def retry_after_s(answer: httpx.Response) -> float:
    """Return the seconds the server asks us to wait, 0 when it does not say or gives a date."""
    try:
        return max(0.0, float(answer.headers.get("Retry-After", "0")))
    except ValueError:
        return 0.0


def _reason(error: Exception) -> str:
    """Return the system's own words without its error number and full stop."""
    words = re.sub(r"^\[Errno -?\d+\] ", "", clean_line(error)).rstrip(".")
    return words or "no reason given"


def _document(answer: httpx.Response) -> dict[str, Any]:
    try:
        document = answer.json()
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _fields(value: object) -> dict[str, str]:
    """Return one line per field; the server may send one message or several for each."""
    if not isinstance(value, dict):
        return {}
    return {
        clean_line(name): "; ".join(map(clean_line, said if isinstance(said, list) else [said]))
        for name, said in value.items()
    }


def _cause(error: BaseException, kind: type[ssl.SSLError]) -> ssl.SSLError | None:
    seen: BaseException | None = error
    for _ in range(10):
        if seen is None or isinstance(seen, kind):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None

"""Calls one operation of an HTTP API: kind ``http``."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import JsonValue

from executors.contract import (
    ExecutionRequest,
    ExecutionResult,
    Executor,
    ExecutorError,
    InvalidResource,
    Outcome,
    Sink,
    StopReason,
    Usage,
)
from executors.http import guard
from executors.http.authentication import Tokens, authenticate, made_of, with_masks
from executors.http.calling import (
    TRANSIENT,
    Answer,
    Caller,
    context_for,
    context_with_certificate,
    pause_before,
)
from executors.http.errors import CallFailed, Refused
from executors.http.guard import GuardedBackend, Patience
from executors.http.mapping import map_answer, read_content
from executors.http.rendering import Request, check_secrecy, check_write, render
from executors.http.resource import HttpResource, parse_resource
from executors.http.urls import Url
from executors.masking import MASK, Masker
from executors.network.addresses import Address
from executors.network.policy import is_own_address
from executors.registry import EXECUTORS
from executors.results import SUMMARY_CHARS, summarise
from executors.text import clean

ERROR_CHARS = 2000
OUTCOMES = {
    StopReason.TIME_LIMIT: Outcome.TIMED_OUT,
    StopReason.CANCEL_REQUESTED: Outcome.CANCELLED,
}
KEY_LIKE = re.compile(r"(?i)(key|token|secret|signature|password|authorization|cookie)")


@EXECUTORS.register("http")
class HttpExecutor(Executor):
    """Calls what a resource describes, and nothing else.

    Tokens of OAuth2 are kept in memory, per process.
    """

    def __init__(
        self,
        *,
        resolve: guard.Resolve = guard.resolve,
        connect: guard.Connect = guard.connect,
        is_own: Callable[[Address], bool] = is_own_address,
    ) -> None:
        """resolve, connect: the ways to names and addresses. is_own: see ``Policy``."""
        self._resolve = resolve
        self._connect = connect
        self._is_own = is_own
        self._tokens = Tokens()

    def check(self) -> None:
        context_for("")

    def validate(self, spec: dict[str, Any]) -> None:
        resource = parse_resource(spec)
        if resource.tls.ca:
            try:
                context_for(resource.tls.ca)
            except ExecutorError as error:
                raise InvalidResource(str(error)) from error

    def dry_run(self, request: ExecutionRequest) -> dict[str, JsonValue]:
        """Return the exact request. No secret is needed, and none that is given is looked at."""
        resource = parse_resource(request.resource)
        try:
            rendered = render(resource, request.inputs)
        except Refused as error:
            return {"summary": resource.summary, "refused": str(error)}
        shown = with_masks(resource.authentication, rendered)
        refused = ""
        try:
            check_write(resource, rendered, request.inputs)
            check_secrecy(resource)
        except Refused as error:
            refused = str(error)
        return {
            "summary": resource.summary,
            "method": shown.method,
            "url": str(shown.url),
            "headers": cast("JsonValue", {"Host": shown.url.authority, **shown.headers}),
            "body": shown.body.decode("utf-8", "replace"),
            "refused": refused,
            "timeout_s": min(resource.timeout_s, request.limits.timeout_s),
            "response_bytes": resource.response_bytes,
            "retries": resource.retries if resource.is_safe else 0,
        }

    def execute(self, request: ExecutionRequest, sink: Sink, *, workdir: Path) -> ExecutionResult:
        started = time.monotonic()
        call = _Call(self, request, sink, workdir)
        try:
            result = call.make()
        except CallFailed as error:
            result = call.failed(error)
        except ExecutorError as error:
            result = call.failed(Refused(str(error)))
        result.usage = Usage(wall_s=time.monotonic() - started)
        return result

    def backend(
        self, resource: HttpResource, patience: Patience, tell: guard.Tell
    ) -> GuardedBackend:
        return GuardedBackend(
            resource.policy(is_own=self._is_own),
            patience,
            resolve=self._resolve,
            connect=self._connect,
            tell=tell,
            unsafe=frozenset((url.host, url.port) for url in resource.unapproved_plain_urls()),
        )

    @property
    def tokens(self) -> Tokens:
        return self._tokens


class _Call:
    """One call, from the inputs to the result."""

    def __init__(
        self, executor: HttpExecutor, request: ExecutionRequest, sink: Sink, workdir: Path
    ) -> None:
        self._executor = executor
        self._request = request
        self._sink = sink
        self._workdir = workdir
        self._secrets: Mapping[str, str] = request.secrets
        self._masker = Masker(request.secrets.values())
        self._hidden: list[str] = []
        self._is_traced = False

    def make(self) -> ExecutionResult:
        """Return the result. Raises CallFailed, ExecutorError."""
        resource = parse_resource(self._request.resource)
        self._is_traced = resource.traced
        if missing := [n for n in resource.secret_names() if not self._secrets.get(n)]:
            raise Refused(f"The credential of this resource lacks {', '.join(missing)}.")
        self._hide(made_of(resource.authentication, self._secrets))
        rendered = render(resource, self._request.inputs)
        check_write(resource, rendered, self._request.inputs)
        seconds = min(resource.timeout_s, self._request.limits.timeout_s)
        patience = Patience(seconds, self._sink.alive)
        backend = self._executor.backend(resource, patience, self._trace)
        with Caller(
            backend, self._context(resource), lambda: context_for(resource.tls.ca)
        ) as caller:
            answer = self._answer(resource, rendered, caller, patience)
        return self._result(resource, answer)

    def failed(self, error: CallFailed) -> ExecutionResult:
        text = self._clean(str(error))
        if error.detail:
            self._trace(error.detail)
        self._say(text, stream="stderr")
        return ExecutionResult(
            outcome=OUTCOMES.get(error.stop_reason, Outcome.FAILED),
            stop_reason=error.stop_reason,
            summary=text[:SUMMARY_CHARS],
            error=text,
        )

    def _answer(
        self, resource: HttpResource, rendered: Request, caller: Caller, patience: Patience
    ) -> Answer:
        """Call until there is an answer that stands."""
        retries = resource.retries if resource.is_safe else 0
        may_renew = resource.authentication.style == "oauth2"
        attempt = 0
        while True:
            answer: Answer | None = None
            try:
                answer = self._attempt(resource, rendered, caller)
            except CallFailed as error:
                if not error.is_transient or attempt >= retries:
                    raise
                self._say(f"{error} Trying again.", stream="stderr")
            if answer is not None:
                if (
                    answer.status == 401
                    and may_renew
                    and self._executor.tokens.forget(resource.authentication, self._secrets)
                ):
                    # It was not carried out, and the token may have been revoked before its time.
                    may_renew = False
                    self._trace("The token was refused; asking for another one.")
                    continue
                if answer.status not in TRANSIENT or attempt >= retries:
                    return answer
            patience.sleep(pause_before(attempt, answer))
            attempt += 1

    def _attempt(self, resource: HttpResource, rendered: Request, caller: Caller) -> Answer:
        how, token = resource.authentication, ""
        if how.style == "oauth2":

            def exchange(request: Request, *, most_bytes: int) -> Answer:
                self._trace(f"Asking {request.url.host} for a token")
                return caller.exchange(request, most_bytes=most_bytes, is_own=False)

            token = self._executor.tokens.get(how, self._secrets, exchange)
            self._hide([token])
        request = authenticate(how, rendered, self._secrets, token=token, now=time.time())
        self._trace_request(with_masks(how, rendered))
        began = time.monotonic()
        answer = caller.follow(
            request, most_bytes=resource.response_bytes, redirects=resource.redirects
        )
        took_ms = (time.monotonic() - began) * 1000
        self._say(
            f"{rendered.method} {_without_query(rendered.url)} → {answer.status}, "
            f"{len(answer.body)} bytes in {took_ms:.0f} ms"
        )
        self._trace_answer(answer)
        return answer

    def _result(self, resource: HttpResource, answer: Answer) -> ExecutionResult:
        if not 200 <= answer.status < 300:
            error = f"The API answered {answer.status}."
            try:
                content = read_content(answer)
            except CallFailed:
                content = None
            if content and not isinstance(content, bytes):
                error += f"\n{answer.body.decode('utf-8', 'replace')}"
            error = self._clean(error)[:ERROR_CHARS]
            return ExecutionResult(
                outcome=Outcome.FAILED,
                stop_reason=StopReason.EXITED,
                exit_code=answer.status,
                summary=error.partition("\n")[0],
                error=error,
            )
        output = map_answer(
            resource,
            answer,
            self._masker,
            self._workdir,
            most_bytes=self._request.limits.result_bytes,
        )
        return ExecutionResult(
            outcome=Outcome.SUCCEEDED,
            stop_reason=StopReason.EXITED,
            exit_code=0,
            output=output.value,
            summary=summarise(output.value, len(output.files))[:SUMMARY_CHARS],
            artifacts=output.files,
        )

    def _context(self, resource: HttpResource) -> ssl.SSLContext:
        if not resource.tls.client_certificate:
            return context_for(resource.tls.ca)
        certificate, key = self._secrets["client_certificate"], self._secrets["client_key"]
        return context_with_certificate(resource.tls.ca, certificate, key, self._workdir)

    def _trace_request(self, request: Request) -> None:
        self._trace(f"{request.method} {request.url}")
        for name, value in request.headers.items():
            self._trace(f"> {name}: {value}")
        if request.body:
            self._trace(f"> {len(request.body)} bytes of body")

    def _trace_answer(self, answer: Answer) -> None:
        for name, value in answer.headers.items():
            # What a server sets may be as good as a key.
            self._trace(f"< {name}: {MASK if KEY_LIKE.search(name) else value}")

    def _hide(self, more: list[str]) -> None:
        self._hidden += more  # A token that was refused may be told by a later answer.
        self._masker = Masker([*self._secrets.values(), *self._hidden])

    def _trace(self, line: str) -> None:
        if self._is_traced:
            self._say(line)

    def _say(self, line: str, *, stream: str = "stdout") -> None:
        text = self._clean(line)
        self._sink.log("stderr" if stream == "stderr" else "stdout", f"{text}\n")

    def _clean(self, text: str) -> str:
        return self._masker.mask(clean(text))


def _without_query(url: Url) -> str:
    return f"{url.authority}{url.path}"

"""The platform's HTTP API, one method per call. Retries what is safe to repeat."""

from __future__ import annotations

import contextlib
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from cli import failures
from cli.errors import usage_error
from cli.transport import open_http
from cli.version import user_agent

API = "/api/v1"
PATIENCE_S = 4.0
"""How long a call that is safe to repeat is tried again before it is given up."""
CHECKING_S = 120
"""How long the server may take to check the rows of a batch, beside the usual time."""
PAGE_SIZE = 200
LONGEST_LIST = 1000
_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_TRY_AGAIN = frozenset({429, 502, 503, 504})

Json = dict[str, Any]


class Client:
    """Speaks to one server as one user. Every method raises CliError when the call fails.

    on_retry is told in one sentence why a call is tried again. Usable from several threads.
    """

    def __init__(
        self,
        base_url: str,
        token: str = "",
        *,
        on_retry: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self.base_url = base_url
        self._on_retry = on_retry
        self._http = open_http(base_url)
        self._http.headers["User-Agent"] = user_agent()
        if token:
            self._http.headers["Authorization"] = f"Bearer {token}"

    def close(self) -> None:
        self._http.close()

    def login(self, username: str, password: str, code: str = "") -> Json:
        """code: of the second factor, for accounts that have one."""
        body = {"username": username, "password": password}
        return self._post("auth/login", {**body, **({"code": code} if code else {})})

    def logout(self) -> None:
        self._send("POST", "auth/logout")

    def me(self) -> Json:
        return self._get("me")

    def skills(self, *, query: str = "", tag: str = "", limit: int = LONGEST_LIST) -> list[Json]:
        return self._list("skills", {"q": query, "tag": tag}, limit)

    def skill(self, name: str, *, version: int | None = None) -> Json:
        """Return the skill. version picks whose input schema to return; None is the live one."""
        params = {"version": version} if version else {}
        with failures.missing(f"There is no skill {name!r} that you may see."):
            return self._get(f"skills/{_reference(name)}", params)

    def versions(self, name: str, *, limit: int) -> Json:
        """Return the newest versions as ``results``; ``next_before`` where there are more."""
        with _managed(name) as path:
            return self._get(f"{path}/versions", {"limit": limit})

    def changes(self, name: str, old: int, new: int | None) -> Json:
        """Return what differs between two versions; new is by default the one in use."""
        params = {"old": old, **({"new": new} if new else {})}
        with _managed(name) as path:
            return self._get(f"{path}/changes", params)

    def grants(self, name: str) -> Json:
        with _managed(name) as path:
            return self._get(f"{path}/grants")

    def manage(self, name: str, act: str, body: Json) -> Json:
        """Do one of: bind, rollback, edit, enable, disable, grants (a change of them)."""
        with _managed(name) as path:
            return self._post(f"{path}/{act}", body)

    def start(self, body: Json, *, idempotency_key: str) -> Json:
        """Request an execution. Safe to repeat: the key makes the server run it once."""
        headers = {"Idempotency-Key": idempotency_key}
        answer = self._send("POST", "executions", body, headers=headers, repeat=True)
        return self._with_id(self._object(answer))

    def executions(self, *, status: str = "", skill: str = "", limit: int) -> list[Json]:
        return self._list("executions", {"status": status, "skill": skill}, limit)

    def execution(self, reference: str, *, wait_s: int = 0, patience_s: float = PATIENCE_S) -> Json:
        """Return the execution; with wait_s (at most 30), once it is final or needs a person."""
        params = {"wait": wait_s} if wait_s else {}
        with _execution(reference) as path:
            return self._get(path, params, wait_s, patience_s)

    def inbox(self) -> Json:
        """Return ``count`` and ``results``: what waits for this account."""
        found = self._get("inbox")
        rows = found.get("results")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise failures.not_understood(self.base_url)
        return found

    def confirm(self, reference: str) -> Json:
        with _execution(reference) as path:
            return self._post(f"{path}/confirm")

    def approve(self, reference: str) -> Json:
        with _execution(reference) as path:
            return self._post(f"{path}/approve")

    def reject(self, reference: str, reason: str) -> Json:
        with _execution(reference) as path:
            return self._post(f"{path}/reject", {"reason": reason})

    def cancel(self, reference: str) -> Json:
        with _execution(reference) as path:
            return self._post(f"{path}/cancel")

    def log(
        self, reference: str, *, after: int, wait_s: int = 0, patience_s: float = PATIENCE_S
    ) -> Json:
        """Return ``chunks`` after the cursor, the new ``cursor``, whether that was ``final``."""
        params = {"after": after, **({"wait": wait_s} if wait_s else {})}
        with _execution(reference) as path:
            return self._get(f"{path}/log", params, wait_s, patience_s)

    def artifacts(self, reference: str) -> list[Json]:
        with _execution(reference) as path:
            return self._list(f"{path}/artifacts", {}, LONGEST_LIST)

    def upload(self, path: Path) -> str:
        """Send a file and return the id to use as the value of a file input."""
        try:
            with path.open("rb") as file:
                answer = self._send("POST", "files", files={"file": (path.name, file)})
        except OSError as error:
            raise usage_error(f"The file {path} cannot be read: {error.strerror}.") from error
        return str(self._with_id(self._object(answer))["id"])

    def submit(self, packed: bytes, answers: dict[str, str], *, revise: str = "") -> Json:
        """Submit a packed script folder; revise names the submission it is a new revision of."""
        files = {"bundle": ("bundle.tar.gz", packed, "application/gzip")}
        if not revise:
            answer = self._send("POST", "submissions", files=files, data=answers)
            return self._with_id(self._object(answer))
        with _submission(revise) as path:
            answer = self._send("POST", f"{path}/revisions", files=files, data=answers)
        return self._with_id(self._object(answer))

    def submissions(self, *, status: str = "", limit: int) -> list[Json]:
        return self._list("submissions", {"status": status}, limit)

    def submission(self, reference: str) -> Json:
        with _submission(reference) as path:
            return self._get(path)

    def make_batch(self, body: Json, *, idempotency_key: str) -> Json:
        """Prepare a batch; every row is checked, which can take a while. Safe to repeat."""
        headers = {"Idempotency-Key": idempotency_key}
        answer = self._send(
            "POST", "batches", body, headers=headers, wait_s=CHECKING_S, repeat=True
        )
        return self._with_id(self._object(answer))

    def batches(self, *, status: str = "", skill: str = "", limit: int) -> list[Json]:
        return self._list("batches", {"status": status, "skill": skill}, limit)

    def batch(self, reference: str, *, wait_s: int = 0, patience_s: float = PATIENCE_S) -> Json:
        """Return the batch; with wait_s (at most 30), once it is over or needs a person."""
        params = {"wait": wait_s} if wait_s else {}
        with _batch(reference) as path:
            return self._get(path, params, wait_s, patience_s)

    def batch_rows(self, reference: str, *, status: str = "", limit: int) -> list[Json]:
        with _batch(reference) as path:
            return self._list(f"{path}/rows", {"status": status}, limit)

    def act_on_batch(self, reference: str, act: str, body: Json | None = None) -> Json:
        """Start, confirm, approve, reject, pause, resume, cancel or retry a batch."""
        with _batch(reference) as path:
            return self._post(f"{path}/{act}", body)

    @contextlib.contextmanager
    def batch_file(self, reference: str, name: str) -> Iterator[Iterator[bytes]]:
        """Open result.csv, result.xlsx or artifacts.zip of a batch as a stream of pieces."""
        with _batch(reference) as path, self._stream(f"{path}/{name}") as pieces:
            yield pieces

    def content(self, artifact_id: str) -> AbstractContextManager[Iterator[bytes]]:
        """Open an artifact as a stream of pieces."""
        return self._stream(f"artifacts/{_reference(artifact_id)}/content")

    @contextlib.contextmanager
    def archive(self, reference: str) -> Iterator[Iterator[bytes]]:
        """Open the ZIP file of all artifacts of an execution as a stream of pieces."""
        with (
            _execution(reference) as path,
            self._stream(f"{path}/artifacts.zip") as pieces,
        ):
            yield pieces

    @contextlib.contextmanager
    def evidence(self, reference: str) -> Iterator[Iterator[bytes]]:
        """Open the evidence pack of an execution as a stream of pieces."""
        with _execution(reference) as path, self._stream(f"{path}/evidence") as pieces:
            yield pieces

    def export_trail(self, wanted: Json) -> AbstractContextManager[Iterator[bytes]]:
        """Open an export of the audit trail; wanted: its ``form``, and filters."""
        return self._stream("audit/export", "POST", wanted)

    def seals(self) -> AbstractContextManager[Iterator[bytes]]:
        return self._stream("audit/seals.jsonl")

    def sessions(self) -> list[Json]:
        return self._list("sessions", {}, LONGEST_LIST)

    def end_session(self, handle: str) -> None:
        with failures.missing(f"You have no session {handle!r}."):
            self._send("DELETE", f"sessions/{_reference(handle)}")

    def tokens(self) -> list[Json]:
        return self._list("tokens", {}, LONGEST_LIST)

    def end_token(self, handle: str) -> None:
        with failures.missing(f"You have no token {handle!r}."):
            self._send("DELETE", f"tokens/{_reference(handle)}")

    @contextlib.contextmanager
    def _stream(
        self, address: str, method: str = "GET", body: Json | None = None
    ) -> Iterator[Iterator[bytes]]:
        path = f"{API}/{address}"
        try:
            # Object storage answers through a redirect; httpx takes the token off for other hosts.
            with self._http.stream(
                method, path, json=body, headers={"Accept": "*/*"}, follow_redirects=True
            ) as answer:
                if not answer.is_success:
                    answer.read()
                    raise failures.from_answer(answer, self.base_url)
                yield answer.iter_bytes(64 * 1024)
        except httpx.HTTPError as error:
            raise failures.from_transport(error, self.base_url) from error

    def _get(
        self, path: str, params: Json | None = None, wait_s: int = 0, patience_s: float = PATIENCE_S
    ) -> Json:
        return self._object(
            self._send(
                "GET", path, params=params, wait_s=wait_s, patience_s=patience_s, repeat=True
            )
        )

    def _post(self, path: str, body: Json | None = None) -> Json:
        return self._object(self._send("POST", path, body))

    def _list(self, path: str, params: Json, limit: int) -> list[Json]:
        """Follow the pages until limit rows. Rows past it are not fetched."""
        rows: list[Json] = []
        query = {name: value for name, value in params.items() if value}
        query["limit"] = min(limit, PAGE_SIZE)
        while True:
            page = self._get(path, query)
            results = page.get("results")
            if not isinstance(results, list) or not all(isinstance(row, dict) for row in results):
                raise failures.not_understood(self.base_url)
            rows += results
            # Only the query of the next page's address is used: the token never leaves this server.
            following = dict(parse_qsl(urlsplit(str(page.get("next") or "")).query))
            if len(rows) >= limit or not following or not results or following == query:
                return rows[:limit]
            query = following

    def _send(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        params: Json | None = None,
        headers: dict[str, str] | None = None,
        files: Any = None,
        data: dict[str, str] | None = None,
        wait_s: int = 0,
        patience_s: float = PATIENCE_S,
        repeat: bool = False,
    ) -> httpx.Response:
        """Send one call. repeat says a second delivery does no harm, so it may be tried again."""
        timeout = httpx.Timeout(30.0 + wait_s, connect=10.0, write=60.0)
        give_up_at = time.monotonic() + patience_s
        pause_s = 0.25
        while True:
            delay_s = pause_s * random.uniform(0.8, 1.2)  # noqa: S311 - not a secret
            try:
                answer = self._http.request(
                    method, f"{API}/{path}", json=body, params=params, headers=headers,
                    files=files, data=data, timeout=timeout,
                )  # fmt: skip
            except httpx.HTTPError as error:
                failure = failures.from_transport(error, self.base_url)
                lasting = not repeat or not failures.may_pass(error)
            else:
                if answer.is_success:
                    return answer
                failure = failures.from_answer(answer, self.base_url)
                lasting = not repeat or answer.status_code not in _TRY_AGAIN
                delay_s = max(delay_s, failures.retry_after_s(answer))
            if lasting or time.monotonic() + delay_s > give_up_at:
                raise failure
            self._on_retry(failure.message)
            time.sleep(delay_s)
            pause_s = min(pause_s * 2, 5.0)

    def _object(self, answer: httpx.Response) -> Json:
        try:
            document = answer.json()
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise failures.not_understood(self.base_url)
        return document

    def _with_id(self, document: Json) -> Json:
        if not document.get("id"):
            raise failures.not_understood(self.base_url)
        return document


@contextlib.contextmanager
def _execution(reference: str) -> Iterator[str]:
    """Give the path of an execution, and name it when the server has none of that id."""
    with failures.missing(f"There is no execution {reference!r} that you may see."):
        yield f"executions/{_reference(reference)}"


@contextlib.contextmanager
def _managed(name: str) -> Iterator[str]:
    """Give the path of a skill, for those who manage or develop it."""
    with failures.missing(f"There is no skill {name!r} whose versions or rights you may see."):
        yield f"skills/{_reference(name)}"


@contextlib.contextmanager
def _submission(reference: str) -> Iterator[str]:
    with failures.missing(f"There is no submission {reference!r} that you may see."):
        yield f"submissions/{_reference(reference)}"


@contextlib.contextmanager
def _batch(reference: str) -> Iterator[str]:
    """Give the path of a batch, and name it when the server has none of that id."""
    with failures.missing(f"There is no batch {reference!r} that you may see."):
        yield f"batches/{_reference(reference)}"


def _reference(text: str) -> str:
    """Return an id or a name for use in a path. Raises CliError (usage) when it can't be one."""
    if not _REFERENCE.fullmatch(text) or ".." in text:
        raise usage_error(f"{text!r} is neither an id nor a name.")
    return text

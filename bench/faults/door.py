"""The platform's API as a client sees it that does not give up while servers come and go."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from typing import Any

from bench.execution.instance import Facts
from bench.execution.target import BenchError

TIMEOUT_S = 40.0
PAUSE_S = 0.2
Answer = tuple[int, Any]
NO_ANSWER = 0


class Door:
    """One person's way in. Safe to use from several threads; counts what was not answered."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.troubles: Counter[str] = Counter()
        """Requests without a usable answer: by status, or by kind of error."""
        self._token = ""
        self._lock = threading.Lock()

    def log_in(self) -> None:
        login = {"username": self.facts.username, "password": self.facts.password}
        status, said = self.ask("POST", "/api/v1/auth/login", login)
        if status != http.client.OK:
            raise BenchError(f"Login failed: {status} {said}")
        self._token = said["token"]

    def ask(self, method: str, path: str, body: object = None, key: str = "") -> Answer:
        """Return status and content; NO_ANSWER where there was none. Server errors are counted."""
        headers = {"Accept": "application/json", "Host": self.facts.host}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if key:
            headers["Idempotency-Key"] = key
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection("127.0.0.1", self.facts.port, timeout=TIMEOUT_S)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, headers)
            response = connection.getresponse()
            status, raw = response.status, response.read()
            content = json.loads(raw)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._count(type(error).__name__)
            return NO_ANSWER, None
        finally:
            connection.close()
        if status >= http.client.INTERNAL_SERVER_ERROR:
            self._count(str(status))
        return status, content

    def insist(self, method: str, path: str, body: object, key: str, *, give_up_at: float) -> Any:
        """Ask with the same key until it is answered. Raises BenchError when it is refused."""
        while time.monotonic() < give_up_at:
            status, content = self.ask(method, path, body, key)
            if status in (http.client.OK, http.client.CREATED):
                return content
            if status != NO_ANSWER and status < http.client.INTERNAL_SERVER_ERROR:
                raise BenchError(f"{method} {path}: {status} {content}")
            time.sleep(PAUSE_S)
        raise BenchError(f"{method} {path} was not answered in time.")

    def _count(self, trouble: str) -> None:
        with self._lock:
            self.troubles[trouble] += 1

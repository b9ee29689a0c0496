"""An API on the loopback that the platform calls as api.example.com, and a resource of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpcore
import pytest

from executors.registry import EXECUTORS
from governance.http_access.credentials.services import create_credential
from governance.http_access.models import HttpCredential, HttpResource
from governance.http_access.services import Description, create_resource, open_addresses
from tests.executors.http.conftest import PUBLIC, Api
from tests.executors.http.conftest import api as api

SECRET = "sk-live-0123456789-very-secret"


@pytest.fixture
def world(api: Api) -> Iterator[Api]:
    """The executor of this process resolves by a table and connects to the test's server only."""

    def resolve(host: str, port: int) -> list[str]:
        return {"api.example.com": [PUBLIC], "intra.example.com": ["10.1.2.3"]}[host]

    def connect(address: str, port: int, timeout_s: float) -> httpcore.NetworkStream:
        here = api.server.server_port
        return httpcore.SyncBackend().connect_tcp("127.0.0.1", here, timeout=timeout_s)

    EXECUTORS.configure("http", resolve=resolve, connect=connect, is_own=lambda address: False)
    yield api
    EXECUTORS.configure("http")


@pytest.fixture
def key(platform: Any, person: Any) -> HttpCredential:
    return create_credential(
        actor=person("sam").actor,
        name="crm-key",
        title="Key of the CRM",
        style="api_key",
        settings={"name": "X-Api-Key"},
        secrets={"value": SECRET},
    )


READING: dict[str, Any] = {
    "base_url": "http://api.example.com/v1",
    "path": "/customers/{customer}",
    "query": {"internal": "region-7"},
    "outputs": {"name": "data.name"},
}
WRITING: dict[str, Any] = {
    "base_url": "http://api.example.com/v1",
    "method": "POST",
    "path": "/customers/{customer}/notes",
    "body": {"kind": "json", "content": {"text": "{text}"}},
}
INPUTS = {"customer": {"type": "integer", "title": "Number of the customer", "minimum": 1}}


@pytest.fixture
def make_resource(platform: Any, person: Any) -> Callable[..., HttpResource]:
    def make(name: str = "find-customer", spec: Any = READING, **words: Any) -> HttpResource:
        inputs = {**INPUTS, "text": {"type": "string"}} if spec is WRITING else INPUTS
        described = {"title": name.replace("-", " ").title(), "spec": spec, "inputs": inputs}
        sam = person("sam").actor
        resource = create_resource(
            actor=sam, name=name, description=Description(**{**described, **words})
        )
        if words.get("credential") is None:
            return resource
        # The test's server speaks no TLS.
        return open_addresses(
            actor=sam, resource=resource, addresses=["api.example.com:80"], reason="In the rack."
        )

    return make

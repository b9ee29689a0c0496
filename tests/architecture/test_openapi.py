"""The description of the API is valid, complete, and the same on the page and on disk."""

from __future__ import annotations

import pytest
from django.test import Client
from openapi_spec_validator import validate

pytestmark = pytest.mark.usefixtures("acme")
HOSTS = {"acme.localhost": "/api/v1/executions", "admin.localhost": "/api/v1/tenants"}


def schema_of(host):
    answer = Client(headers={"host": host}).get("/api/v1/schema/?format=json")
    assert answer.status_code == 200
    return answer.json()


@pytest.mark.parametrize("host", HOSTS)
def test_it_is_valid_openapi(host):
    validate(schema_of(host))


def test_each_host_describes_its_own_addresses_only():
    tenant, platform = schema_of("acme.localhost"), schema_of("admin.localhost")

    assert "/api/v1/executions" in tenant["paths"]
    assert not any("tenants" in path for path in tenant["paths"])
    assert "/api/v1/tenants" in platform["paths"]
    assert not any("skills" in path or "executions" in path for path in platform["paths"])


@pytest.mark.parametrize("host", HOSTS)
def test_every_operation_names_its_errors_and_wants_a_token(host):
    for path, operations in schema_of(host)["paths"].items():
        for method, operation in operations.items():
            responses = operation["responses"]
            assert any(code.startswith("2") for code in responses), (method, path)
            assert any(code.startswith("4") for code in responses), (method, path)
            if not path.endswith("auth/login"):
                assert operation["security"] == [{"bearerAuth": []}], (method, path)


def test_the_interactive_page_loads_nothing_from_elsewhere():
    page = Client(headers={"host": "acme.localhost"}).get("/api/v1/docs/")

    assert page.status_code == 200
    assert "http://" not in page.content.decode()
    assert "https://" not in page.content.decode()

"""Operations out of OpenAPI documents; hostile ones among them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from execfabric.core.errors import InvalidInput
from governance.http_access.models import HttpResource
from governance.http_access.openapi import description_of, operations_of, parse_document

CRM = Path(__file__).parents[3] / "examples" / "apis" / "crm" / "openapi.yaml"


def document(**operation: Any) -> dict[str, Any]:
    return {
        "openapi": "3.0.3",
        "servers": [{"url": "https://{region}.example.com/v1/",
                     "variables": {"region": {"default": "eu"}}}],
        "paths": {"/x": {"get": {"responses": {}, **operation}}},
    }  # fmt: skip


def test_an_operation_becomes_a_resource_that_can_be_stored(
    make_resource: Callable[..., HttpResource],
) -> None:
    parsed = parse_document(CRM.read_text())
    keys = [one.key for one in operations_of(parsed)]
    assert keys == ["GET /customers/{customer-id}", "POST /customers/{customer-id}/notes"]

    for key in keys:
        found = description_of(parsed, key)
        resource = make_resource(**found)
        version = resource.versions.get()
        assert version.spec["path"].startswith("/customers/{customer_id}")
        assert version.inputs["customer_id"]["minimum"] == 1


def test_servers_queries_and_headers_are_taken() -> None:
    found = description_of(
        document(
            parameters=[
                {"name": "since", "in": "query", "schema": {"type": "string", "format": "date"}},
                {"name": "X-Team", "in": "header", "required": True, "schema": {}},
                {"name": "session", "in": "cookie", "schema": {}},
                # What OpenAPI says is none: it comes of the body, or of a credential.
                {"name": "Authorization", "in": "header", "schema": {}},
                {"name": "content-type", "in": "header", "schema": {}},
            ]
        ),
        "GET /x",
    )

    assert found["spec"]["base_url"] == "https://eu.example.com/v1"
    assert found["spec"]["query"] == {"since": "{since}"}
    assert found["spec"]["headers"] == {"X-Team": "{X_Team}"}
    assert found["inputs"]["since"] == {
        "type": "string", "format": "date", "description": "", "optional": True,
    }  # fmt: skip
    assert set(found["inputs"]) == {"since", "X_Team"}


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{", "swagger: '2.0'", "a: &a [1]\nb: *a\nopenapi: 3.0.0",
        "!!python/object/apply:os.system ['true']", "[" * 20_000, "x" * 2_000_001,
    ],
    ids=range(8),
)  # fmt: skip
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_document(text)


def test_references_in_circles_and_to_elsewhere_end() -> None:
    loop: dict[str, Any] = {"type": "object", "properties": {"x": {"$ref": "#/components/a"}}}
    hostile = {
        **document(
            parameters=[
                {"$ref": "#/paths/~1x/get/parameters/0"},
                {"$ref": "http://evil.example.com/"},
                {"name": "deep", "in": "query", "schema": {"$ref": "#/components/a"}},
            ]
        ),
        "components": {"a": loop},
    }

    found = description_of(hostile, "GET /x")

    assert list(found["inputs"]) == ["deep"]
    assert len(json.dumps(found)) < 5000


def test_an_operation_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidInput):
        description_of(document(), "GET /y")

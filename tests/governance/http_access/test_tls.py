"""Credentials that would go out without TLS, and certificates."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import certifi
import pytest

from execfabric.core.errors import InvalidInput
from governance.http_access.models import HttpCredential, HttpResource
from governance.http_access.selectors import latest_version
from governance.http_access.services import open_addresses
from governance.http_access.trials.services import dry_run, try_resource
from skills.executions.running import run_execution
from tests.executors.http.conftest import Api

from .conftest import READING

REFUSED = "every call is refused"


def page_of(person: Any, resource: HttpResource) -> str:
    return str(
        person("sam").browser.get(f"/platform/http-resources/{resource.name}/").content.decode()
    )


def test_the_page_warns_calls_are_refused_and_an_approval_lets_them_go(
    world: Api, key: HttpCredential, make_resource: Callable[..., HttpResource], person: Any
) -> None:
    sam = person("sam").actor
    resource = make_resource(credential=key)
    open_addresses(actor=sam, resource=resource, addresses=[], reason="Nothing is, at first.")

    shown = page_of(person, resource)
    assert "would go to api.example.com without TLS" in shown
    assert REFUSED in shown
    version = latest_version(resource)
    assert "without TLS" in str(
        dry_run(actor=sam, version=version, inputs={"customer": 7})["refused"]
    )
    trial = try_resource(actor=sam, version=version, inputs={"customer": 7})
    run_execution(trial.pk)
    trial.refresh_from_db()
    assert (trial.stop_reason, world.asked) == ("could_not_start", [])

    open_addresses(
        actor=sam, resource=resource, addresses=["api.example.com"], reason="In the same rack."
    )

    shown = page_of(person, resource)
    assert REFUSED not in shown
    assert "whoever is on the way can read it" in shown
    assert (
        dry_run(actor=sam, version=latest_version(resource), inputs={"customer": 7})["refused"]
        == ""
    )


@pytest.mark.parametrize("spec", [READING, {**READING, "base_url": "https://api.example.com/v1"}])
def test_nothing_is_said_where_no_secret_goes_or_it_goes_by_tls(
    platform: Any, key: HttpCredential, make_resource: Callable[..., HttpResource], person: Any,
    spec: Any,
) -> None:  # fmt: skip
    by_tls = spec["base_url"].startswith("https")
    resource = make_resource(spec=spec, credential=key if by_tls else None)

    assert "without TLS" not in page_of(person, resource)


def test_a_certificate_without_tls_is_refused_at_once(
    platform: Any, make_resource: Callable[..., HttpResource]
) -> None:
    some = ssl.DER_cert_to_PEM_cert(ssl.create_default_context(cafile=certifi.where())
                                    .get_ca_certs(binary_form=True)[0])  # fmt: skip

    with pytest.raises(InvalidInput, match="must begin with https"):
        make_resource(spec={**READING, "tls": {"ca": some}})


def test_an_authority_that_is_none_is_refused_at_once(
    platform: Any, make_resource: Callable[..., HttpResource]
) -> None:
    spec = {**READING, "base_url": "https://api.example.com", "tls": {"ca": "nonsense"}}

    with pytest.raises(InvalidInput) as refused:
        make_resource(spec=spec)

    assert "ca" in refused.value.fields

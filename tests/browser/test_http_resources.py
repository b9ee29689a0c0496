"""An HTTP API from credential to a tenant's run, in a real browser, with a real worker."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from tests.journeys.test_http_api import CRM, KEY
from tests.journeys.test_http_api import crm as crm


def shoot(page: Any, name: str) -> None:
    """Keep a picture where EXECFABRIC_PICTURES says; for whoever looks at the pages."""
    if place := os.environ.get("EXECFABRIC_PICTURES"):
        page.screenshot(path=f"{place}/{name}.png", full_page=True)


def fill(page: Any, **texts: str) -> None:
    for name, text in texts.items():
        page.locator(f"main [name={name}]").fill(text)


def send(page: Any, name: str) -> None:
    page.locator("main").get_by_role("button", name=name, exact=True).click()


def test_an_api_is_described_tried_granted_and_run(as_person: Callable[..., Any], crm: str) -> None:
    page = as_person("sam", "admin")
    page.get_by_role("link", name="Credentials").first.click()
    page.get_by_role("link", name="API key").click()
    fill(page, slug="crm-key", value=KEY)
    send(page, "Store")
    page.get_by_text("Nobody is shown its secrets again").wait_for()

    page.get_by_role("link", name="HTTP resources").first.click()
    page.get_by_role("link", name="Import").click()
    fill(page, document=(CRM / "openapi.yaml").read_text().replace("127.0.0.1:9090", crm))
    send(page, "Next")
    page.get_by_text("GET /customers/{customer-id}").wait_for()
    send(page, "Next")
    fill(page, outputs="name = data.name", output_fields="")
    page.locator("[name=credential]").select_option("crm-key")
    shoot(page, "http-form")
    send(page, "Create")

    page.get_by_text("Approve addresses").click()
    approval = page.locator("form[action$='/addresses/']")
    approval.get_by_label("Hosts, addresses, ranges").fill(crm)
    approval.get_by_label("Reason").fill("It runs on this machine.")
    approval.get_by_role("button", name="Save").click()
    page.get_by_text("It holds from the next call on").wait_for()
    page.get_by_role("link", name="Try it").click()
    page.get_by_label("Customer id").fill("1")
    send(page, "Dry run")
    page.get_by_text("X-Api-Key: ***").wait_for()
    shoot(page, "http-dry-run")
    send(page, "Call it")
    page.get_by_text("name: Ada Lovelace Ltd").wait_for()
    shoot(page, "http-trial")

    page.goto(page.url.partition("trials/")[0])
    page.get_by_text("Grant it, or bring").click()
    page.locator("[name=tenant]").select_option("acme")
    page.locator("[name=level]").select_option("run")
    send(page, "Grant")
    page.get_by_text("Granted to").wait_for()
    shoot(page, "http-resource")

    page = as_person("oscar")
    page.get_by_role("link", name="HTTP resources").first.click()
    page.get_by_text(f"GET {crm}/v1/customers/").wait_for()
    shoot(page, "http-ledger")
    page.get_by_role("link", name="find-a-customer").click()
    page.get_by_label("Customer id").fill("2")
    send(page, "Run")
    page.get_by_text("Grace Hopper Inc").first.wait_for()
    shoot(page, "http-run")

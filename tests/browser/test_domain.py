"""The overview and the ledgers in a real browser: wide and narrow, light and dark."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.test_http_resources import fill, send, shoot
from tests.live import Live

NAME = "soylent"
SETTLED_MS = 300
"""After which colours and the sidebar have stopped moving."""
PHONE = {"width": 375, "height": 800}


def in_all_looks(page: Any, name: str) -> None:
    """Look at the page wide and on a phone, light and dark; nothing may stick out sideways."""
    wide = page.viewport_size
    for look in ("light", "dark"):
        page.evaluate("look => document.documentElement.dataset.bsTheme = look", look)
        page.wait_for_timeout(SETTLED_MS)
        shoot(page, f"{name}-{look}")
        page.set_viewport_size(PHONE)
        page.wait_for_timeout(SETTLED_MS)
        sticks_out = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        shoot(page, f"{name}-{look}-phone")
        assert sticks_out <= 0, f"{name}, {look}: {sticks_out} px"
        page.set_viewport_size(wide)
    page.evaluate("document.documentElement.dataset.bsTheme = 'light'")


def in_dialog(page: Any, opener: str, action: str, reason: str = "") -> None:
    page.get_by_role("button", name=opener, exact=True).first.click()
    dialog = page.locator("dialog[open]")
    if reason:
        dialog.get_by_label("Reason").fill(reason)
    dialog.get_by_role("button", name=action, exact=True).click()
    page.wait_for_load_state()


@pytest.fixture
def soylent(live: Live) -> None:
    owner = {"username": "gavin", "password": "correct horse battery"}
    body = {"name": NAME, "title": "Soylent", "owner": owner}
    live.api("admin", "sam").post("/api/v1/tenants", json=body).raise_for_status()


@pytest.fixture
def counted(live: Live) -> None:
    """Something ran, and the clock has counted it."""
    oscar, sam = live.api("acme", "oscar"), live.api("admin", "sam")
    body = {"skill": "text-statistics", "inputs": {"text": "one two"}}
    for _ in range(3):
        oscar.post("/api/v1/executions?wait=30", json=body).raise_for_status()
    deadline = time.monotonic() + 240
    while not (sam.get("/api/v1/tenants/acme").json()["usage"] or {}).get("runs_30d"):
        assert time.monotonic() < deadline
        time.sleep(1)


def test_a_customer_and_its_tenant_from_the_first_day_to_the_last(
    as_person: Callable[..., Any], soylent: None, counted: None
) -> None:
    page = as_person("sam", "admin")
    page.get_by_role("heading", name="Executions by tenant").wait_for()
    page.get_by_role("img", name="Executions by tenant").wait_for()
    page.get_by_text("As a table").click()
    page.get_by_role("cell", name="Platform's tasks").wait_for()
    assert page.get_by_text("Nobody serves").count() == 0
    in_all_looks(page, "overview")

    page.get_by_role("link", name="Customers").first.click()
    page.get_by_role("link", name="Add a customer").click()
    fill(page, name="Soylent Inc", reference="K-1", contract_ends_on="2030-12-31", notes="Nice.")
    send(page, "Save")
    page.get_by_text("Add a contact").click()
    page.get_by_label("Name").fill("Gavin")
    page.get_by_label("E-mail").fill("gavin@soylent.example")
    send(page, "Add")
    page.locator("[name=tenant]").select_option(NAME)
    send(page, "Link")
    in_all_looks(page, "customer")
    page.get_by_role("link", name="Customers").first.click()
    in_all_looks(page, "customers")

    page.get_by_role("link", name="Tenants").first.click()
    page.get_by_role("link", name="Executions, 30 days").click()
    in_all_looks(page, "tenants")
    page.goto(page.url.partition("tenants/")[0] + "tenants/acme/")
    in_all_looks(page, "tenant-used")

    page.goto(page.url.partition("tenants/")[0] + f"tenants/{NAME}/")
    page.get_by_role("link", name="Change").first.click()
    fill(page, expires_on="2030-12-31")
    send(page, "Save")
    page.get_by_text("2030-12-31").wait_for()
    in_dialog(page, "Suspend", "Suspend", "They did not pay.")
    in_dialog(page, "Resume", "Resume", "They paid.")
    in_dialog(page, "Close", "Close", "They leave.")
    page.get_by_text("They leave.").first.wait_for()
    in_dialog(page, "Export everything", "Export", "They leave.")
    page.get_by_role("button", name="Download").wait_for(timeout=120_000)
    in_all_looks(page, "export")
    with page.expect_download() as download:
        send(page, "Download")
    assert download.value.suggested_filename.endswith(".zip")

    page.goto(page.url.partition("exports/")[0] + f"tenants/{NAME}/delete/")
    fill(page, confirmation="wrong", reason="They left.")
    send(page, "Schedule the deletion")
    page.get_by_text(f"Type the name of the tenant: {NAME}").wait_for()
    in_all_looks(page, "deletion-form")
    fill(page, confirmation=NAME)
    send(page, "Schedule the deletion")
    page.get_by_text("Until then you can cancel it").wait_for()
    in_all_looks(page, "deletion")
    page.get_by_role("link", name="Soylent").first.click()
    page.get_by_text("It is going to be deleted").wait_for()
    in_all_looks(page, "tenant-leaving")
    page.get_by_role("link", name="Overview").first.click()
    page.get_by_text("Deletions of tenants").wait_for()
    in_all_looks(page, "overview-waiting")
    page.get_by_role("link", name="See the deletion").or_(
        page.locator(".waiting").get_by_role("link", name="Soylent")
    ).first.click()
    send(page, "Cancel the deletion")
    page.get_by_text("The tenant stays closed").wait_for()

"""A workspace demands two approvals; two people see what will run, and only then it does."""

from __future__ import annotations

import re

from tests.live import ROOT, Live

INVOICES = next((ROOT / "examples" / "invoice-reminder-drafts" / "samples").glob("*.csv"))


def rule(page, risk: str):
    return page.locator(f"section[aria-labelledby=rule-{risk}]")


def put_in_force(page, live: Live, approvals: str) -> None:
    page.goto(live.url("acme") + "/approvals/rules/")
    rule(page, "high").get_by_label("Approvals by others").select_option(approvals)
    page.get_by_role("button", name="Put in force").click()
    page.get_by_text("These rules are in force now").wait_for()


def test_two_people_approve_what_a_third_asks_for(live, as_person):
    olivia, oscar, anna = (as_person(name) for name in ("olivia", "oscar", "anna"))
    put_in_force(olivia, live, "2")
    try:
        assert rule(olivia, "high").get_by_label("must confirm it").is_disabled()
        oscar.goto(live.url("acme") + "/skills/invoice-reminder-drafts/")
        oscar.locator("input[type=file]").first.set_input_files(INVOICES)
        oscar.get_by_label("As of").fill("2026-06-30")
        oscar.get_by_label("Why you need it").fill("Month end")
        oscar.get_by_role("button", name="Continue").click()
        oscar.get_by_role("button", name="Confirm").click()
        oscar.get_by_text("0 of 2 approvals are given").wait_for()
        execution = oscar.url

        for page, said in ((anna, "waits for the approval of others"), (olivia, "It runs now")):
            page.goto(live.url("acme") + "/approvals/")
            page.get_by_role("link", name=re.compile("reminder", re.IGNORECASE)).first.click()
            page.get_by_text("Month end").first.wait_for()
            page.get_by_text("SHA-256").first.wait_for()
            page.get_by_role("button", name="Approve", exact=True).click()
            page.get_by_text(said).wait_for()

        oscar.goto(execution)
        oscar.get_by_text("Succeeded", exact=True).first.wait_for(timeout=60_000)
        anna.goto(live.url("acme") + "/approvals/")
        anna.get_by_text("Nothing waits for you").wait_for()
    finally:
        put_in_force(olivia, live, "0")

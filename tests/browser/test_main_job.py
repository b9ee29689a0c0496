"""What a newcomer does first, in a real browser against the whole running platform."""

from __future__ import annotations

import re

import pytest

from tests.live import ROOT, Live

SALES = next((ROOT / "examples" / "sales-report" / "samples").glob("*.csv"))


@pytest.fixture
def log_in(page, live: Live):
    """Log in on a host's page; returns the page, on the first page after the login."""

    def enter(host: str, username: str):
        page.goto(live.url(host))
        page.get_by_label("Username").fill(username)
        page.get_by_label("Password").fill(live.password(host, username))
        page.get_by_role("button", name=re.compile("log in", re.IGNORECASE)).click()
        page.wait_for_load_state()
        return page

    return enter


def test_run_the_report_with_an_own_file_see_the_chart_download_it(live, log_in, tmp_path):
    page = log_in("acme", "oscar")
    page.get_by_role("link", name=re.compile("Sales report")).first.click()
    page.locator("input[type=file]").set_input_files(SALES)
    page.get_by_role("button", name=re.compile("^run", re.IGNORECASE)).click()

    page.wait_for_url(re.compile("/executions/"))
    page.get_by_text("Succeeded", exact=True).first.wait_for(timeout=60_000)
    image = page.locator("img[src*='preview'], img[src*='artifact']").first
    image.wait_for()
    assert image.evaluate("each => each.naturalWidth") > 300

    with page.expect_download() as caught:
        page.get_by_role("link", name=re.compile("download", re.IGNORECASE)).filter(
            has_text=re.compile("png|download", re.IGNORECASE)
        ).locator("visible=true").last.click()
    saved = tmp_path / caught.value.suggested_filename
    caught.value.save_as(saved)
    assert saved.stat().st_size > 0


def test_a_file_that_is_too_large_is_not_sent(live, log_in, tmp_path):
    large, posted = tmp_path / "large.csv", []
    with large.open("wb") as file:
        file.truncate(100 * 1024**2 + 1)
    page = log_in("acme", "oscar")
    page.on("request", lambda request: posted.append(request.url) if request.post_data else None)
    page.goto(live.url("acme") + "/skills/sales-report/")

    page.locator("input[type=file]").set_input_files(large)
    page.get_by_text("large.csv is too large. A file may have 100 MiB at most.").wait_for()
    page.get_by_role("button", name=re.compile("^run", re.IGNORECASE)).click()

    page.wait_for_timeout(500)
    assert posted == []
    assert page.url.endswith("/skills/sales-report/")


def test_errors_stand_beside_the_field_and_the_typed_values_stay(live, log_in):
    page = log_in("acme", "dana")
    page.goto(live.url("acme") + "/skills/slow-progress/")
    seconds = page.get_by_label(re.compile("seconds", re.IGNORECASE)).first
    page.evaluate("document.querySelectorAll('form').forEach(form => form.noValidate = true)")
    seconds.fill("99999")
    page.get_by_role("button", name=re.compile("^run", re.IGNORECASE)).click()

    page.locator("[aria-invalid=true]").first.wait_for()
    assert page.url.endswith("/skills/slow-progress/")
    assert seconds.input_value() == "99999"


def test_the_log_comes_while_it_runs_and_cancelling_ends_it(live, log_in):
    page = log_in("acme", "oscar")
    page.goto(live.url("acme") + "/skills/slow-progress/")
    page.get_by_label(re.compile("seconds", re.IGNORECASE)).first.fill("60")
    page.get_by_role("button", name=re.compile("^run", re.IGNORECASE)).click()

    page.wait_for_url(re.compile("/executions/"))
    page.locator("#log", has_text=re.compile(r"\w")).wait_for(timeout=30_000)
    page.get_by_role("button", name="Cancel", exact=True).first.click()
    page.get_by_role("button", name="Cancel it").click()

    page.get_by_text("Cancelled", exact=True).first.wait_for(timeout=30_000)


def test_both_kinds_of_run_are_in_the_audit_trail(live, log_in):
    live.api("acme", "oscar").post(
        "/api/v1/executions", json={"skill": "text-statistics", "inputs": {"text": "one two"}}
    ).raise_for_status()
    page = log_in("acme", "olivia")

    page.get_by_role("link", name="Audit trail").first.click()

    page.get_by_text("Run a skill").locator("visible=true").first.wait_for()
    assert page.get_by_text("oscar").first.is_visible()


def test_the_super_admin_opens_a_tenant_that_its_owner_can_enter(live, log_in, page):
    log_in("admin", "sam")
    page.goto(live.url("admin") + "/platform/tenants/")
    page.get_by_role("link", name=re.compile("open a tenant", re.IGNORECASE)).first.click()
    page.get_by_label("Name", exact=False).first.fill("hooli")
    page.get_by_label("Title", exact=False).first.fill("Hooli")
    page.get_by_label(re.compile("username", re.IGNORECASE)).first.fill("gavin")
    page.get_by_role("button", name=re.compile("open", re.IGNORECASE)).last.click()
    link = page.get_by_text(re.compile(r"/set-password/")).first
    link.wait_for()
    address = re.search(r"http\S+/set-password/[^\s\"<]+", page.content()).group()

    page.goto(address)
    page.get_by_label("New password").fill("box three signature edition")
    page.get_by_label("The same again").fill("box three signature edition")
    page.locator("form button[type=submit]").last.click()
    page.get_by_label("Username").fill("gavin")
    page.get_by_label("Password").fill("box three signature edition")
    page.get_by_role("button", name=re.compile("log in", re.IGNORECASE)).click()

    page.wait_for_url(re.compile("hooli.*/skills/"))


@pytest.mark.parametrize("path", ["/skills/", "/executions/", "/audit/", "/skills/sales-report/"])
def test_no_page_scrolls_sideways_on_a_phone(live, log_in, page, path):
    log_in("acme", "olivia")
    page.set_viewport_size({"width": 390, "height": 844})

    page.goto(live.url("acme") + path)

    assert page.evaluate("document.documentElement.scrollWidth") <= 390

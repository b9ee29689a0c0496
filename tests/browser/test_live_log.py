"""A log in a real browser: as it comes, after the server was away, and when it is too long."""

from __future__ import annotations

import re
import time

import pytest

from tests.live import ROOT, Live

LINE_BYTES = 83
LINE = re.compile(r"all day long: (\d{12}) \.\.\.\.")


@pytest.fixture
def start(page, live: Live):
    """Start a skill over the API and open its execution's page, logged in; return the page."""
    page.goto(live.url("acme"))
    page.get_by_label("Username").fill("oscar")
    page.get_by_label("Password").fill(live.password("acme", "oscar"))
    page.get_by_role("button", name=re.compile("log in", re.IGNORECASE)).click()
    page.wait_for_load_state()

    def run(skill: str, **inputs: object):
        body = {"skill": skill, "inputs": inputs}
        created = live.api("acme", "oscar").post("/api/v1/executions", json=body)
        page.goto(created.raise_for_status().json()["url"])
        return page

    return run


def test_the_first_line_is_there_while_it_runs_and_a_flood_leaves_the_page_alive(live, start):
    live.manage("onboard_script", "acme", str(ROOT / "bench" / "jobs" / "flood"))

    page = start("bench-flood", mebibytes=30, form="lines", first_line_wait_s=4)
    page.locator("#log", has_text="printed at").wait_for()
    printed_at = float(page.locator("#log").inner_text().split()[2])
    print(f"on the page after {time.time() - printed_at:.2f} s")
    assert page.get_by_text("Running", exact=True).first.is_visible()
    page.get_by_text("Succeeded", exact=True).first.wait_for(timeout=60_000)

    page.locator("#live.is-over").wait_for(state="attached")
    page.locator("#log", has_text="left out here").wait_for()
    text = page.locator("#log").text_content()
    numbers = [int(number) for number in LINE.findall(text)]
    assert numbers[-1] == 30 * 2**20 // LINE_BYTES - 1
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert len(text) < 300_000
    assert text.count("\n") <= 5_001


def test_a_log_goes_on_where_it_was_after_the_server_was_out_of_reach(start):
    page = start("slow-progress", seconds=8, steps=16)
    page.locator("#log", has_text=re.compile(r"\w")).wait_for()

    page.context.set_offline(True)
    page.wait_for_timeout(2_500)
    page.context.set_offline(False)
    page.get_by_text("Succeeded", exact=True).first.wait_for(timeout=60_000)
    page.locator("#live.is-over").wait_for(state="attached")

    text = page.locator("#log").text_content()
    steps = [int(step) for step in re.findall(r"Step (\d+)", text)]
    assert steps == sorted(set(steps))
    assert steps[-1] == 16

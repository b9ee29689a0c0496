"""A table of texts through one skill, in a real browser against the whole running platform."""

from __future__ import annotations

import csv
import re

from tests.live import ROOT, Live

TEXTS = ROOT / "examples" / "text-statistics" / "samples" / "many-texts.csv"


def test_run_a_table_watch_it_and_take_the_results(live: Live, page, tmp_path):
    page.goto(live.url("acme"))
    page.get_by_label("Username").fill("oscar")
    page.get_by_label("Password").fill(live.password("acme", "oscar"))
    page.get_by_role("button", name=re.compile("log in", re.IGNORECASE)).click()
    page.wait_for_load_state()
    page.goto(live.url("acme") + "/skills/text-statistics/")
    page.get_by_role("link", name="Run many").click()
    page.locator("input[type=file]").set_input_files(TEXTS)
    page.get_by_role("button", name="Check the rows").click()

    page.get_by_text("5 rows can run").wait_for()
    page.get_by_role("button", name="Run 5 rows").click()
    page.get_by_text("Finished", exact=True).first.wait_for(timeout=60_000)
    page.get_by_text("5 of 5 rows are over").wait_for()

    with page.expect_download() as caught:
        page.get_by_role("link", name="CSV").click()
    saved = tmp_path / "result.csv"
    caught.value.save_as(saved)
    with saved.open(encoding="utf-8-sig", newline="") as table:
        rows = list(csv.DictReader(table))
    assert [row["status"] for row in rows] == ["succeeded"] * 5
    assert [row["words"] for row in rows] == ["12", "15", "17", "17", "15"]

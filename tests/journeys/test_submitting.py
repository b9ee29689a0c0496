"""Submitting an example on the command line, against the whole running platform."""

from __future__ import annotations

import json

import pytest

from tests.live import ROOT, Live

EXAMPLE = ROOT / "examples" / "sales-report"


@pytest.fixture
def dana(live: Live, tmp_path):
    """Return the configuration file of a developer who is logged in."""
    config = tmp_path / "config.json"
    live.cli(
        "login", live.url("acme"), "--username", "dana", "--password-stdin",
        config=config, given=live.password("acme", "dana"),
    )  # fmt: skip
    return config


def test_an_example_with_packages_is_checked_tried_and_goes_on_to_review(live: Live, dana):
    sent = live.cli(
        "submit", str(EXAMPLE), "--scenario", "Sales reads its own figures.",
        "--wait", "--json", config=dana,
    )  # fmt: skip

    assert sent.returncode == 0, sent.stderr
    submission = json.loads(sent.stdout)
    assert submission["status"] == "in_review", sent.stderr
    (revision,) = submission["revisions"]
    assert {entry["level"] for entry in revision["checks"]} <= {"pass", "warn"}
    assert revision["trial"]["status"] == "succeeded", revision["trial"]
    assert any(file["name"].endswith(".png") for file in revision["trial"]["artifacts"])

    again = live.cli("submit", str(EXAMPLE), "--scenario", "x", config=dana)
    assert again.returncode == 3
    assert f"--revise {submission['id']}" in again.stderr
    listed = live.cli("submissions", "--json", config=dana)
    assert submission["id"] in [row["id"] for row in json.loads(listed.stdout)["results"]]


def test_one_that_is_held_back_ends_with_one(live: Live, dana, tmp_path):
    folder = tmp_path / "held-back"
    folder.mkdir()
    (folder / "main.py").write_text("def main():\n    return 1\n")
    (folder / "README.md").write_text("# Held back\n")

    sent = live.cli("submit", str(folder), "--name", "held-back", "--scenario", "x", "--wait",
                    config=dana)  # fmt: skip

    assert sent.returncode == 1
    assert 'Add a heading "Purpose"' in sent.stdout

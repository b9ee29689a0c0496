"""An administrator changes a skill in the browser and takes it back, on the running platform."""

from __future__ import annotations

import re

import pytest

from tests.live import Live

SKILL = "folder-checksum"


@pytest.fixture
def manage(page, live: Live):
    """Log in as the owner of acme and open one of the skill's pages."""

    def enter(name: str):
        page.goto(live.url("acme"))
        if page.get_by_label("Username").count():
            page.get_by_label("Username").fill("olivia")
            page.get_by_label("Password").fill(live.password("acme", "olivia"))
            page.get_by_role("button", name=re.compile("log in", re.IGNORECASE)).click()
            page.wait_for_load_state()
        page.goto(f"{live.url('acme')}/skills/{SKILL}/{name}")
        return page

    return enter


def test_edit_compare_roll_back_disable_enable(live, manage, tmp_path):
    page = manage("edit/")
    before = page.get_by_label("Title").first.input_value()
    page.get_by_label("Title").first.fill("Checksums, one for each file")
    page.get_by_label("What you changed, and why").fill("Clearer words.")
    page.get_by_role("button", name="Save as a new version").click()
    page.wait_for_url(re.compile("/versions/$"))
    page.get_by_role("heading", name="Checksums, one for each file").wait_for()
    shows = live.api("acme", "oscar").get(f"/api/v1/skills/{SKILL}").json()
    assert shows["title"] == "Checksums, one for each file"

    page.get_by_role("link", name="What changed").first.click()
    page.get_by_role("cell", name=before, exact=True).wait_for()
    page.go_back()

    page.locator("summary", has_text=re.compile("Roll back to version")).click()
    page.locator(".acts").get_by_label("Reason").locator("visible=true").fill("As it was.")
    page.get_by_role("button", name=re.compile("Roll back to version")).click()
    page.get_by_text("Rolled back.").first.wait_for()
    assert live.api("acme", "oscar").get(f"/api/v1/skills/{SKILL}").json()["title"] == before

    page.locator("summary", has_text="Disable").click()
    page.locator(".acts").get_by_label("Reason").locator("visible=true").fill("For a moment.")
    page.get_by_role("button", name="Disable").click()
    page.get_by_text("Disabled.").first.wait_for()
    assert live.api("acme", "oscar").get(f"/api/v1/skills/{SKILL}").status_code == 404

    page.locator("summary", has_text="Enable").click()
    page.locator(".acts").get_by_label("Reason").locator("visible=true").fill("Back again.")
    page.get_by_role("button", name="Enable").click()
    page.get_by_text("Enabled for everybody").first.wait_for()
    assert live.api("acme", "oscar").get(f"/api/v1/skills/{SKILL}").status_code == 200


def test_the_same_on_the_command_line(live, tmp_path):
    config = tmp_path / "config.json"
    password = live.password("acme", "olivia")

    def cli(*words: str, given: str = ""):
        return live.cli(*words, given=given, config=config)

    login = cli(
        "login", live.url("acme"), "--username", "olivia", "--password-stdin", given=password
    )
    assert login.returncode == 0, login.stderr
    granted = cli("grant", SKILL, "see", "run", "--user", "olivia", "--reason", "To try it.")
    revoked = cli("revoke", SKILL, "see", "run", "--user", "olivia", "--reason", "Tried.")
    listed = cli("versions", SKILL)
    edited = cli("edit", SKILL, "--title", "Checksums", "--input-text", "algorithm.title=Which",
                 "--reason", "Shorter.")  # fmt: skip
    refused = cli("edit", SKILL, "--input-text", "secret.title=x", "--reason", "To try it.")
    shown = live.api("acme", "oscar").get(f"/api/v1/skills/{SKILL}").json()
    back = cli("rollback", SKILL, "--reason", "As it was.")
    none_older = cli("use", SKILL, "99", "--reason", "There is none.")

    assert "olivia" in granted.stdout
    assert "account" not in revoked.stdout
    assert "in use" in listed.stdout
    assert edited.returncode == back.returncode == 0, edited.stderr + back.stderr
    assert (shown["title"], shown["input_schema"]["properties"]["algorithm"]["title"]) == (
        "Checksums",
        "Which",
    )
    assert refused.returncode != 0
    assert "review" in refused.stderr
    assert none_older.returncode != 0
    assert "no version 99" in none_older.stderr

"""A developer submits a folder in a real browser; the whole platform checks and tries it."""

from __future__ import annotations

import os
import re

import pytest

from tests.factories.submissions import GREET
from tests.live import Live


@pytest.fixture
def folder(tmp_path):
    """A script folder with a folder in it, and one that does not belong to it."""
    place = tmp_path / "greet-visitors"
    for name, text in {**GREET, "texts/hello.txt": "Hello", ".git/config": "x"}.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    return place


@pytest.fixture
def dana(page, live: Live):
    page.goto(live.url("acme"))
    page.get_by_label("Username").fill("dana")
    page.get_by_label("Password").fill(live.password("acme", "dana"))
    page.get_by_role("button", name=re.compile("log in", re.IGNORECASE)).click()
    page.wait_for_load_state()
    return page


def shoot(page, name):
    """Keep a picture where EXECFABRIC_PICTURES says; for whoever looks at the pages."""
    if place := os.environ.get("EXECFABRIC_PICTURES"):
        page.screenshot(path=f"{place}/{name}.png", full_page=True)


def test_a_folder_becomes_a_checked_submission(dana, folder):
    page = dana
    page.get_by_role("link", name="Submissions").first.click()
    page.get_by_role("link", name="Submit a script").first.click()
    page.locator("[data-folder]").set_input_files(folder)
    page.get_by_text("greet-visitors: 4 files are packed").wait_for()
    shoot(page, "files")
    page.get_by_role("button", name="Continue").click()

    page.wait_for_url(re.compile("/submissions/new/.+"))
    assert page.locator("[name=title]").input_value() == "Greet"
    page.locator("[name='name.title']").fill("Whom to greet")
    preview = page.locator("#form-preview")
    preview.get_by_label("Whom to greet").wait_for()
    page.get_by_label("Business scenario").fill("The front desk greets visitors.")
    shoot(page, "describe")
    page.get_by_role("button", name="Submit").click()

    page.get_by_text("reviewers have it now").wait_for(timeout=90_000)
    assert page.get_by_text("greeting you").count() == 1
    shoot(page, "checked")
    page.get_by_label("Answer").fill("Please have a look.")
    page.get_by_role("button", name="Send", exact=True).click()
    page.get_by_text("Please have a look.").wait_for()

    page.get_by_role("button", name="Withdraw").first.click()
    page.get_by_role("button", name="Withdraw it").click()
    page.get_by_text("It was withdrawn").wait_for()


def test_a_folder_without_an_entry_is_not_sent(dana, folder):
    (folder / "main.py").unlink()
    dana.goto(dana.url.split("/skills")[0] + "/submissions/new/")

    dana.locator("[data-folder]").set_input_files(folder)

    dana.get_by_text("There is no main.py or main.sh at the top of this folder.").wait_for()


@pytest.mark.parametrize("path", ["/submissions/", "/submissions/new/"])
def test_the_pages_fit_a_phone(dana, live, path):
    dana.set_viewport_size({"width": 390, "height": 844})

    dana.goto(live.url("acme") + path)

    assert dana.evaluate("document.documentElement.scrollWidth") <= 390

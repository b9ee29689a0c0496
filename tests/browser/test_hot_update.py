"""Hot update as it is promised to customers, walked line by line in real browsers.

The quotations are lines of the customers' pages about hot update and delivery; below each stands
what shows that it is so. What no page can show (bytes that changed, two reviewers at once, a worker
that dies) is in tests/skills/hot_update and tests/journeys/test_hot_update.py.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.live import Live

NAME = "front-desk"
TITLE = "Greet at the front desk"
README = """# Front desk

## Purpose

Says what to say to a visitor.

## Input

The visitor's name.

## Output

The greeting.

## Prerequisites

None.

## Files generated

One, `greeting.txt`.
"""
MANIFEST = f"""[skill]
name = "{NAME}"
title = "{TITLE}"
description = "Says what to say to a visitor."
risk = "low"

[inputs.visitor]
type = "string"
title = "Visitor"
description = "The name as the visitor spells it."
default = "Ada"

[inputs.seconds]
type = "integer"
title = "Seconds to think"
description = "How long it takes."
default = 0
"""
MAIN = '''import os
import time
from pathlib import Path


def main(visitor: str = "Ada", seconds: int = 0) -> str:
    """Greet."""
    print("thinking", flush=True)
    time.sleep(seconds)
    greeting = f"Good day, {visitor}."
    Path(os.environ["EXECFABRIC_OUTPUT_DIR"], "greeting.txt").write_text(greeting)
    return greeting
'''
FILES = {"main.py": MAIN, "README.md": README, "skill.toml": MANIFEST}
UPDATED = {**FILES, "main.py": MAIN.replace("Good day", "Welcome")}
LONG = 40
"""Seconds of a run that goes on while the next version comes into use: a busy machine takes 20."""
READY = re.compile("reviewers have it now")


@contextmanager
def says(line: str) -> Iterator[None]:
    """What is done here shows that a line of the promise is kept; a failure names the line."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"Promised: {line}")
        raise


@pytest.fixture
def folder(tmp_path) -> Path:
    place = tmp_path / NAME
    place.mkdir()
    for name, text in FILES.items():
        (place / name).write_text(text)
    return place


@pytest.fixture
def update(tmp_path) -> Path:
    archive = tmp_path / "front-desk-2.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for name, text in UPDATED.items():
            packed.writestr(name, text)
    return archive


def describe(page, scenario: str) -> None:
    """Fill in what a reviewer needs to know, and submit; ends on the page of the submission."""
    page.wait_for_url(re.compile("/submissions/new/.+"))
    page.get_by_label("Business scenario").fill(scenario)
    page.get_by_label("People may run it by hand").set_checked(True)
    page.get_by_label("The assistant may propose it").set_checked(True)
    page.get_by_label("Each run must be confirmed first").set_checked(False)
    page.get_by_role("button", name="Submit", exact=True).click()
    page.get_by_text(READY).wait_for(timeout=60_000)


def open_review(page, live: Live) -> None:
    page.goto(live.url("admin"))
    page.get_by_role("link", name="Reviews").first.click()
    page.get_by_role("link", name=NAME).first.click()
    page.get_by_role("heading", name="Verdict").wait_for()


def approve(page) -> None:
    page.get_by_role("button", name="Approve these files").click()
    for _try in range(240):
        page.wait_for_load_state()
        if page.locator("h1 .status-badge", has_text="Live").count():
            return
        page.wait_for_timeout(250)
        page.reload()
    pytest.fail(page.locator(".publication").inner_text())


def start(page, live: Live, visitor: str, seconds: int = 0) -> str:
    """Ask for a run on the page of the skill; return the address of the execution."""
    page.goto(f"{live.url('acme')}/skills/{NAME}/")
    page.get_by_label("Visitor").fill(visitor)
    page.get_by_label("Seconds to think").fill(str(seconds))
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url(re.compile("/executions/"))
    return page.url


def act(page, summary: str, reason: str) -> None:
    """Unfold an act on the page of versions, give the reason, do it."""
    name = re.compile(f"^{summary}")
    page.locator("summary", has_text=name).first.click()
    page.locator(".act[open]").get_by_label("Reason").fill(reason)
    page.locator(".act[open]").get_by_role("button", name=name).click()


def test_hot_update_line_by_line(live: Live, as_person, folder, update):
    dana, oscar, olivia = (as_person(name) for name in ("dana", "oscar", "olivia"))
    sam, gina = as_person("sam", "admin"), as_person("gina", "globex")
    acme, globex = live.url("acme"), live.url("globex")

    # How customer script hot update works

    with says("1. Prepare the script folder: at minimum the entry script and README.md"):
        dana.get_by_role("link", name="Submissions").first.click()
        dana.get_by_role("link", name="Submit a script").first.click()
        for needed in ("main.py", "main.sh", "README.md"):
            dana.locator("aside code", has_text=needed).wait_for()
        (folder / "main.py").rename(folder / "start.py")
        dana.locator("[data-folder]").set_input_files(folder)
        dana.get_by_text("There is no main.py or main.sh at the top of this folder.").wait_for()
        (folder / "start.py").rename(folder / "main.py")

    with says("It does not mean the browser reads a local folder or intranet path directly"):
        # The person hands the files over; the browser packs exactly these.
        dana.locator("[data-folder]").set_input_files(folder)
        dana.get_by_text(f"{NAME}: 3 files are packed").wait_for()
        dana.get_by_role("button", name="Continue").click()

    with says("2. Submit it into the tenant boundary it belongs to"):
        dana.wait_for_url(re.compile(f"{re.escape(acme)}/submissions/new/.+"))
        assert dana.locator("[name*=tenant]").count() == 0  # The host says it, nobody chooses.

    with says("A business-scenario description: what it solves and who will use it"):
        dana.get_by_role("button", name="Submit", exact=True).click()
        dana.locator("[name=scenario][aria-invalid=true]").wait_for()

    with says("Whether AI can call it, manual execution is allowed, confirmation is required"):
        dana.locator("#form-preview").get_by_label("Visitor").wait_for()
        describe(dana, "Reception greets visitors by name.")
        submission = dana.url

    with says("README.md explains purpose, input, output, prerequisites, files generated"):
        dana.get_by_text("prerequisites and generated files are told").wait_for()
        dana.get_by_text("greeting.txt").first.wait_for()  # Of the trial run.

    with says("Nobody goes live directly: the platform keeps review, registration, authorization"):
        oscar.goto(f"{acme}/skills/")
        assert oscar.get_by_text(TITLE).count() == 0
        assert dana.get_by_role("button", name="Approve").count() == 0

    with says("3. Platform review: which tenant, may AI call it, by hand, with confirmation"):
        open_review(sam, live)
        sam.get_by_role("link", name="Acme Trading").wait_for()
        sam.get_by_text("Reception greets visitors by name.").wait_for()
        assert sam.get_by_label("The assistant may offer it").is_checked()
        assert sam.get_by_label("People may run it by hand").is_checked()
        assert not sam.get_by_label("Somebody confirms each run").is_checked()

    with says("The platform reviews the files"):
        sam.get_by_role("heading", name="It is new").wait_for()
        sam.locator(".file-tree").get_by_role("link", name="README.md").click()
        sam.locator(".source", has_text="Says what to say to a visitor.").wait_for()
        sam.go_back()
        sam.locator(".source .hl-k, .source .hl-kn").first.wait_for()
        sam.get_by_label("Time limit in seconds").fill("120")

    with says("Review, sync, register, authorise, verify"):
        approve(sam)
        steps = sam.locator(".publication > li")
        assert [each.split("\n")[0] for each in steps.all_inner_texts()] == [
            *("Sync", "Register", "Authorise", "Verify")
        ]
        assert steps.filter(has_text="Done").count() == 4

    with says("4. Controlled relative paths rather than arbitrary absolute paths"):
        log = steps.nth(0).locator("pre").text_content()
        assert "/" not in re.sub(r"\bworkspace/[\w./-]+", "", log), log

    with says("5. Script, script version, skill, skill version, tenant authorization binding"):
        assert "v1 is registered" in steps.nth(1).locator("pre").text_content()
        assert "run: " in steps.nth(2).locator("pre").text_content()

    with says("6. Visible and executable in the current tenant, invisible elsewhere, no AI leak"):
        verified = steps.nth(3).locator("pre").text_content()
        assert "Operator: sees and runs it." in verified
        assert "No other tenant sees or runs it" in verified
        first_review = sam.url
        dana.goto(submission)
        dana.get_by_text("It is live: authorised people can run it here.").wait_for()

    with says("The current tenant can directly see the new capability, without a redeploy"):
        oscar.goto(f"{acme}/skills/")
        oscar.get_by_role("link", name=TITLE).first.click()
        start(oscar, live, "Bea")
        oscar.get_by_text("Good day, Bea.").first.wait_for()
        oscar.get_by_text("greeting.txt").first.wait_for()

    with says("Other tenants are not affected"):
        gina.goto(f"{globex}/skills/")
        assert gina.get_by_text(TITLE).count() == 0
        assert gina.goto(f"{globex}/skills/{NAME}/").status == 404
        assert gina.goto(submission.replace(acme, globex)).status == 404
        assert gina.goto(f"{globex}/platform/reviews/").status == 404

    # The customer asks for an update

    with says("A new script version does not require redeploying the whole platform"):
        going_on = start(oscar, live, "Cleo", seconds=LONG)
        oscar.locator("#log", has_text="thinking").wait_for()
        dana.goto(f"{acme}/submissions/new/")
        dana.locator("input[type=file][name=bundle]").set_input_files(update)
        dana.get_by_role("button", name="Continue").click()
        describe(dana, "Visitors like a warmer word.")

    with says("The platform looks at what changes"):
        open_review(sam, live)
        sam.get_by_role("heading", name="Changes to version 1, which is in use").wait_for()
        change = sam.locator(".file-change", has_text="main.py")
        change.locator(".is-removed", has_text="Good day").wait_for()
        change.locator(".is-added", has_text="Welcome").wait_for()
        approve(sam)

    with says("The current tenant can directly see the new version"):
        start(oscar, live, "Dora")
        oscar.get_by_text("Welcome, Dora.").first.wait_for()
        oscar.goto(going_on)
        still_runs = oscar.get_by_text("Running", exact=True).first.is_visible()

    with says("Version recording"):
        olivia.goto(f"{acme}/skills/{NAME}/versions/")
        olivia.locator(".version-number", has_text="Version 2").wait_for()
        olivia.get_by_role("link", name="What changed").first.click()
        olivia.get_by_text("Welcome").first.wait_for()

    with says("A run that goes on is not touched: it ends on the version it began with"):
        assert still_runs
        oscar.goto(going_on)
        oscar.get_by_text("Good day, Cleo.").first.wait_for(timeout=(LONG + 20) * 1000)
        oscar.get_by_text("version 1").first.wait_for()

    with says("The customer confirms whether the output fits; if not, back in one act"):
        olivia.goto(f"{acme}/skills/{NAME}/versions/")
        act(olivia, "Roll back to version 1", "Too warm.")
        olivia.get_by_text("Rolled back.").first.wait_for()
        start(oscar, live, "Edda")
        oscar.get_by_text("Good day, Edda.").first.wait_for()

    with says("The platform side still keeps control"):
        sam.goto(first_review)
        sam.get_by_role("button", name="Withdraw this version").click()
        sam.locator("#withdraw-dialog textarea").fill("It greets too loudly.")
        sam.get_by_role("button", name="Withdraw", exact=True).click()
        sam.get_by_text("Withdrawn everywhere by sam: It greets too loudly.").wait_for()
        oscar.goto(f"{acme}/skills/{NAME}/")
        oscar.get_by_text("It greets too loudly.").first.wait_for()
        assert oscar.get_by_role("button", name="Run", exact=True).count() == 0

    with says("The customer can continue updating"):
        olivia.goto(f"{acme}/skills/{NAME}/versions/")
        act(olivia, "Use this version", "The platform withdrew the other one.")
        start(oscar, live, "Fay")
        oscar.get_by_text("Welcome, Fay.").first.wait_for()

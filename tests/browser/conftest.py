from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.live import Live

FLAGS = [
    "--no-sandbox",  # Chromium's own needs a user other than root; pages here are our own.
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP *.localhost 127.0.0.1",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium; without one the test skips, except where one is required (CI)."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        if os.environ.get("EXECFABRIC_REQUIRE_BROWSER"):
            pytest.fail("Chromium is required here but not installed: apt-get install chromium")
        pytest.skip("Chromium is not installed")
    from playwright.sync_api import sync_playwright

    # Playwright keeps an event loop in this thread, which Django takes for asynchronous code; the
    # tests that follow on this worker use the database as they always do.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def new_page(browser: Any) -> Iterator[Callable[[], Any]]:
    """Open pages, each of another visitor; the test fails when a script or the CSP complains."""
    contexts: list[Any] = []
    complaints: list[str] = []

    def open_one() -> Any:
        size = {"width": 1280, "height": 900}
        context = browser.new_context(viewport=size, accept_downloads=True)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda line: complaints.append(line.text) if "Content Security" in line.text else None,
        )
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(new_page: Callable[[], Any]) -> Any:
    return new_page()


@pytest.fixture
def as_person(new_page: Callable[[], Any], live: Live) -> Callable[..., Any]:
    """Return a page of a host on which somebody has logged in."""

    def enter(username: str, host: str = "acme") -> Any:
        page = new_page()
        page.goto(live.url(host))
        page.get_by_label("Username").fill(username)
        page.get_by_label("Password").fill(live.password(host, username))
        page.get_by_role("button", name=re.compile("log in", re.IGNORECASE)).click()
        page.wait_for_load_state()
        return page

    return enter

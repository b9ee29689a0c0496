"""The audit trail in a real browser: one export after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

SOON_MS = 4_000
"""Shorter than the pause in which a second click on another form would do nothing."""


def test_another_form_of_the_export_follows_at_once(as_person: Callable[..., Any]) -> None:
    page = as_person("olivia")
    page.get_by_role("link", name="Audit trail").first.click()
    names = []
    for button in ("Sealed export", "CSV"):
        with page.expect_download(timeout=SOON_MS) as download:
            page.get_by_role("button", name=button).click()
        names.append(download.value.suggested_filename)
        page.locator(".btn-loading").wait_for(state="detached", timeout=SOON_MS)

    assert [name.rpartition(".")[2] for name in names] == ["jsonl", "csv"]

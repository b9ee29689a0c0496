"""Every Markdown page of the project, and what can be read from them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)


def name_of(page: Path) -> str:
    """Return the path below the project's folder."""
    return str(page.relative_to(ROOT))


def links_of(text: str) -> list[str]:
    """Return the targets of all links and pictures outside of code."""
    return LINK.findall(CODE.sub("", text))


def anchors_of(text: str) -> set[str]:
    """Return the anchors a page's headings get, as Markdown renderers make them."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    headings = re.findall(r"^#{1,6} (.+)$", prose, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).strip().replace(" ", "-") for each in headings}

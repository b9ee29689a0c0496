from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, anchors_of, links_of, name_of

OUTSIDE = ("http://", "https://", "mailto:")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in links_of(page.read_text(encoding="utf-8")):
        if target.startswith(OUTSIDE):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.is_relative_to(ROOT), f"{target} leads out of the project"
        assert linked.exists(), f"{target} leads nowhere"
        if anchor:
            assert anchor in anchors_of(linked.read_text(encoding="utf-8")), f"{target}: no heading"


def test_every_page_of_docs_is_reached_from_the_map() -> None:
    start = ROOT / "docs" / "index.md"
    seen, todo = {start}, [start]
    while todo:
        page = todo.pop()
        for target in links_of(page.read_text(encoding="utf-8")):
            linked = (page.parent / target.partition("#")[0]).resolve()
            if linked.suffix == ".md" and linked.exists() and linked not in seen:
                seen.add(linked)
                todo.append(linked)
    pages = {page for page in PAGES if page.is_relative_to(ROOT / "docs")}
    assert {name_of(page) for page in pages - seen} == set()

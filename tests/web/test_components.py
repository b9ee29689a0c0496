from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.template import Context, Template

from execfabric.web import components
from execfabric.web.menu import MenuEntry, mark_active

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def shown(source: str, **context: Any) -> str:
    return Template("{% load web %}" + source).render(Context(context))


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt&colon;alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "![x](https://a.example/pixel.gif)",
        "<a href='https://a.example' onclick='x()'>x</a>",
        "<style>body{display:none}</style>",
        "`<script>`",
        "[x]: javascript:alert(1)\n\n[x]",
    ],
)
def test_markdown_cannot_carry_code(text: str) -> None:
    html = shown("{{ text|markdown }}", text=text)

    for tag in ("<script", "<img", "<style", "<iframe"):
        assert tag not in html
    assert 'href="javascript' not in html.lower()
    assert 'href="data' not in html.lower()
    assert "<a href='" not in html


def test_markdown_keeps_what_a_readme_needs() -> None:
    html = components.markdown_html(
        "# A\n\n- **b**\n\n| x |\n|---|\n| 1 |\n\n[l](https://a.example)"
    )

    assert "<h1>A</h1>" in html
    assert "<strong>b</strong>" in html
    assert "<td>1</td>" in html
    assert 'href="https://a.example"' in html
    assert "noopener" in html


def test_an_icon_is_inline_svg_hidden_from_screen_readers() -> None:
    html = shown("{% icon 'player-play' %}")

    assert html.startswith("<svg")
    assert 'aria-hidden="true"' in html
    assert "<path" in html


@pytest.mark.parametrize("name", ["no-such-icon", "../filled/ad", "", '"><script>'])
def test_an_unknown_icon_is_a_dot(name: str) -> None:
    html = shown("{% icon name %}", name=name)

    assert html == shown("{% icon 'point' %}")


def test_the_label_of_an_icon_is_escaped() -> None:
    assert "&lt;b&gt;" in shown("{% icon 'check' label=label %}", label="<b>")


@pytest.mark.parametrize(
    ("status", "colour"),
    [("succeeded", "green"), ("awaiting_approval", "orange"), ("lost", "red"), ("new", "gray")],
)
def test_a_status_has_a_colour_and_a_word(status: str, colour: str) -> None:
    html = shown("{% status_badge status %}", status=status)

    assert f"status-badge-{colour}" in html
    assert components.status_label(status) in html


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (timedelta(seconds=2), "just now"),
        (timedelta(seconds=59), "59 s ago"),
        (timedelta(minutes=59), "59 min ago"),
        (timedelta(hours=5), "5 h ago"),
        (timedelta(days=29), "29 d ago"),
        (timedelta(hours=-2), "in 2 h"),
    ],
)
def test_an_age_is_one_unit(before: timedelta, text: str) -> None:
    assert components.short_age(NOON - before, NOON) == text


def test_the_full_time_stands_in_the_title() -> None:
    html = shown("{% timesince_short moment %}", moment=NOON)

    assert f'datetime="{NOON.isoformat()}"' in html
    assert 'title="2026-05-0' in html


def test_an_exact_time_names_its_zone() -> None:
    html = shown("{% exact_time moment %}", moment=NOON)

    assert html.endswith('title="2026-05-04T12:00:00+00:00">2026-05-04 12:00:00 UTC</time>')
    assert "–" in shown("{% exact_time moment %}", moment=None)


@pytest.mark.parametrize(
    ("door", "name"),
    [("page", "Console"), ("cli", "Command line"), ("command", "Operator"), ("<b>", "&lt;b&gt;")],
)
def test_a_door_has_one_name_everywhere(door: str, name: str) -> None:
    assert shown("{{ door|door_name }}", door=door) == name


@pytest.mark.parametrize(
    ("username", "name"), [("dana", "dana"), ("system:publisher", "the platform"), ("", "")]
)
def test_the_system_acts_for_the_platform(username: str, name: str) -> None:
    assert shown("{{ username|person_name }}", username=username) == name


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1024 * 1024 - 1, "1.0 MiB"),
        (20 * 1024 * 1024, "20 MiB"),
        (None, "–"),
    ],
)
def test_sizes_are_binary(size: int | None, text: str) -> None:
    assert shown("{{ size|filesize_iec }}", size=size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.34, "340 ms"), (1.24, "1.2 s"), (59.7, "1 min"), (7500, "2 h 5 min"), (None, "–")],
)
def test_durations_are_short(seconds: float | None, text: str) -> None:
    assert shown("{{ seconds|duration }}", seconds=seconds) == text


def test_json_is_shown_escaped_and_indented() -> None:
    html = shown("{% code_block value label='Result' %}", value={"a": "<b>", "at": NOON})

    assert "  &quot;a&quot;: &quot;&lt;b&gt;&quot;" in html


def test_one_entry_of_the_menu_is_active() -> None:
    menu = [
        MenuEntry("Home", "/"),
        MenuEntry("Work", children=(MenuEntry("Skills", "/skills/"),)),
        MenuEntry("Mine", "/skills/mine/"),
        MenuEntry("Wiki", "/skills/", external=True),
    ]

    marked = mark_active(menu, "/skills/7/")

    assert [entry.active for entry in marked] == [False, False, False, False]
    assert marked[1].children[0].active
    assert mark_active(menu, "/skills/mine/3/")[2].active
    assert mark_active(menu, "/")[0].active
    assert not any(entry.active for entry in mark_active(menu, "/skillset/"))


def test_a_home_above_all_other_pages_is_active_for_itself_only():
    menu = [
        MenuEntry("Overview", "/platform/"),
        MenuEntry("Tenants", "/platform/tenants/"),
        MenuEntry("Elsewhere", "https://example.com/", external=True),
    ]

    assert [one.active for one in mark_active(menu, "/platform/")] == [True, False, False]
    assert [one.active for one in mark_active(menu, "/platform/tenants/a/")] == [False, True, False]
    assert not any(one.active for one in mark_active(menu, "/platform/security/"))

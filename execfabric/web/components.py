"""What the template components show: icons, colours of states, times, sizes, Markdown."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from io import BytesIO
from typing import Any
from xml.etree import ElementTree
from zipfile import ZipFile

import nh3
from django.utils import formats, timezone
from django.utils.translation import gettext_lazy as _
from markdown_it import MarkdownIt

SVG = "{http://www.w3.org/2000/svg}"
FALLBACK_ICON = "point"

STATUS_COLOURS: dict[str, str] = {
    "accepted": "green",
    "activated": "green",
    "active": "green",
    "approved": "green",
    "awaiting_approval": "orange",
    "awaiting_confirmation": "orange",
    "blocked": "orange",
    "cancelled": "gray",
    "cancelling": "orange",
    "checking": "blue",
    "closed": "gray",
    "created": "gray",
    "denied": "red",
    "disabled": "gray",
    "done": "green",
    "draft": "gray",
    "enabled": "green",
    "ended": "gray",
    "expired": "gray",
    "expiring": "orange",
    "failed": "red",
    "finished": "green",
    "high": "red",
    "invalid": "red",
    "in_review": "blue",
    "kept": "green",
    "live": "green",
    "lost": "red",
    "low": "green",
    "medium": "orange",
    "offline": "gray",
    "ok": "green",
    "online": "green",
    "paid": "blue",
    "paused": "orange",
    "pending": "orange",
    "prospect": "blue",
    "published": "green",
    "publishing": "blue",
    "queued": "blue",
    "refunded": "gray",
    "refused": "red",
    "registered": "green",
    "rejected": "red",
    "removed": "gray",
    "replaced": "orange",
    "requested": "gray",
    "running": "blue",
    "scheduled": "orange",
    "sent": "blue",
    "silent": "red",
    "stuck": "red",
    "submitted": "blue",
    "succeeded": "green",
    "suspended": "red",
    "timed_out": "red",
    "trial": "blue",
    "verified": "green",
    "waiting": "gray",
    "withdrawn": "gray",
}

LIVE_STATUSES = frozenset({"cancelling", "checking", "publishing", "running"})
"""Their badge pulses: something is going on."""

DOOR_NAMES = {
    "page": _("Console"),
    "api": _("API"),
    "cli": _("Command line"),
    "batch": _("Batch"),
    "link": _("Download link"),
    "worker": _("Worker"),
    "command": _("Operator"),
}
"""What people call the entry through which an act came in (execfabric.core.actor.Door)."""

_MARKDOWN = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable("table")
_MARKDOWN_TAGS = {
    *("a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr"),
    *("li", "ol", "p", "pre", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"),
}


@cache
def _icon_archive() -> ZipFile:
    """Return the icon set, held in memory: opening its index of 6000 names takes 30 ms."""
    return ZipFile(BytesIO(files("tablericons").joinpath("tablericons.zip").read_bytes()))


@lru_cache(maxsize=256)
def icon_body(name: str) -> str | None:
    """Return the SVG elements inside the outline icon called name, or None if there is none."""
    try:
        svg = _icon_archive().read(f"outline/{name}.svg")
        root = ElementTree.fromstring(svg)  # noqa: S314  # from the installed icon package
    except KeyError:
        return None
    for node in root.iter():
        node.tag = node.tag.removeprefix(SVG)
    return "".join(ElementTree.tostring(child, encoding="unicode").strip() for child in root)


def status_colour(status: str) -> str:
    return STATUS_COLOURS.get(status, "gray")


def status_label(status: str) -> str:
    """Return "awaiting_approval" as "Awaiting approval"."""
    return status.replace("_", " ").capitalize()


def short_age(moment: datetime, now: datetime) -> str:
    """Return how long ago moment was in one unit, or its date when over a month away."""
    seconds = (now - moment).total_seconds()
    if abs(seconds) < 5:
        return "just now"
    distance = abs(seconds)
    if distance >= 30 * 86_400:
        return formats.date_format(timezone.localtime(moment), "j M Y")
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        if distance >= length:
            count = int(distance // length)
            return f"in {count} {unit}" if seconds < 0 else f"{count} {unit} ago"
    return "just now"


def full_moment(moment: datetime) -> str:
    """Return date, time and zone of moment in the current time zone."""
    return timezone.localtime(moment).strftime("%Y-%m-%d %H:%M:%S %Z")


def short_duration(value: float | timedelta) -> str:
    """Return seconds or a timedelta as "340 ms", "1.2 s", "3 min 4 s" or "2 h 5 min"."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    large, small, units = (60, 1, "min s") if whole < 3_600 else (3_600, 60, "h min")
    first, second = units.split()
    rest = whole % large // small
    return f"{whole // large} {first}" + (f" {rest} {second}" if rest else "")


def iec_size(size_bytes: int) -> str:
    """Return a size in bytes as "532 B", "1.4 KiB", "20 MiB"."""
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(size) < 1023.95 or unit == "TiB":
            break
        size /= 1024
    if unit == "B":
        return f"{size_bytes} B"
    return f"{size:.1f} {unit}" if abs(size) < 9.95 else f"{size:.0f} {unit}"


def pretty_json_text(value: Any) -> str:
    """Return value as indented JSON; what JSON cannot hold is shown as text."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


def markdown_html(text: str) -> str:
    """Return Markdown as safe HTML: no raw HTML, no images, no scripts; links open outside."""
    rendered = _MARKDOWN.render(text)
    return nh3.clean(
        rendered,
        tags=_MARKDOWN_TAGS,
        attributes={"a": {"href", "title"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )

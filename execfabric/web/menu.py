"""What the shell shows around a page: brand, sidebar menu, account menu.

The shell stands on the ground floor and knows neither tenants nor menu tables. A higher floor
sets the sources in its ``apps.py``; until then the shell shows the product's name and no menu.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from django.urls import reverse

from execfabric.web.requests import ConsoleRequest


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """One line of a menu. With children and no url it is the heading of a group."""

    label: str
    url: str = ""
    icon: str = "point"
    """Name of an outline icon of the Tabler set; an unknown name shows a dot."""
    badge: str = ""
    """A short count or word; empty for none."""
    active: bool = False
    external: bool = False
    """Opens in a new tab."""
    posts: bool = False
    """Sends a POST instead of following a link, for example to log out."""
    children: tuple[MenuEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Brand:
    """Name and look of the console for the tenant at hand."""

    name: str = "ExecFabric"
    subtitle: str = ""
    logo: str = ""
    """URL of an image on this host; empty for the product's own mark."""
    accent: str = ""
    """One of ACCENTS; empty for the product's own colour."""
    home_url: str = "/"


ACCENTS = frozenset({"blue", "teal", "green", "purple", "red", "graphite"})


class _Sources:
    menu: Callable[[ConsoleRequest], Iterable[MenuEntry]] | None = None
    account: Callable[[ConsoleRequest], Iterable[MenuEntry]] | None = None
    brand: Callable[[ConsoleRequest], Brand] | None = None


def set_menu_source(source: Callable[[ConsoleRequest], Iterable[MenuEntry]]) -> None:
    """Let source supply the sidebar entries of a request."""
    _Sources.menu = source


def set_account_menu_source(source: Callable[[ConsoleRequest], Iterable[MenuEntry]]) -> None:
    """Let source supply the entries under the user's name."""
    _Sources.account = source


def set_brand_source(source: Callable[[ConsoleRequest], Brand]) -> None:
    """Let source supply the brand of a request."""
    _Sources.brand = source


def menu_of(request: ConsoleRequest) -> list[MenuEntry]:
    """Return the sidebar entries, with the one that leads to this page marked active."""
    entries = tuple(_Sources.menu(request)) if _Sources.menu else ()
    view = getattr(getattr(request.resolver_match, "func", None), "view_class", None)
    place = getattr(view, "menu_place", "")
    return mark_active(entries, reverse(place) if place else request.path)


def account_menu_of(request: ConsoleRequest) -> list[MenuEntry]:
    return list(_Sources.account(request)) if _Sources.account else []


def brand_of(request: ConsoleRequest) -> Brand:
    return _Sources.brand(request) if _Sources.brand else Brand()


def mark_active(entries: Sequence[MenuEntry], path: str) -> list[MenuEntry]:
    """Return entries with at most one active: an already marked one, else the longest prefix.

    "/skills/" is active for "/skills/7/". A home, above all others, is for its own page only.
    """
    flat = list(_flatten(entries))
    if any(entry.active for entry in flat):
        return list(entries)
    homes = {entry.url for entry in flat if _is_above_all(entry, flat)} - {path}
    fitting = [entry.url for entry in flat if entry.url not in homes and _leads_to(entry, path)]
    best = max(fitting, key=len, default="")
    return [_marked(entry, best) for entry in entries] if best else list(entries)


def _flatten(entries: Iterable[MenuEntry]) -> Iterator[MenuEntry]:
    for entry in entries:
        yield entry
        yield from _flatten(entry.children)


def _is_above_all(entry: MenuEntry, entries: Sequence[MenuEntry]) -> bool:
    inside = [one.url for one in entries if not one.external]
    return len(inside) > 1 and all(url.startswith(entry.url) for url in inside)


def _leads_to(entry: MenuEntry, path: str) -> bool:
    if entry.external or not entry.url.startswith("/"):
        return False
    if entry.url == path:
        return True
    return entry.url != "/" and path.startswith(entry.url.rstrip("/") + "/")


def _marked(entry: MenuEntry, url: str) -> MenuEntry:
    children = tuple(_marked(child, url) for child in entry.children)
    active = not entry.external and entry.url == url
    return replace(entry, active=active, children=children)

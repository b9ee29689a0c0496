"""The formal pages a menu entry may point to. Apps register theirs in ``apps.py``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from execfabric.web.requests import ConsoleRequest

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise


class Host(StrEnum):
    TENANT = "tenant"
    PLATFORM = "platform"


@dataclass(frozen=True, slots=True)
class FormalPage:
    route: str
    """Name of the URL, such as "catalogue:skill-list"; also the entry's key."""
    label: str | StrPromise
    """Translatable."""
    icon: str
    host: Host
    permission: str
    """Code the actor must hold to see the entry."""
    position: int
    badge: Callable[[ConsoleRequest], str] | None = None
    """What stands beside the entry, such as how many wait; asked on every page."""


FORMAL_PAGES: dict[tuple[Host, str], FormalPage] = {}


def register_page(page: FormalPage) -> None:
    """Offer page to menus of its kind of host. A second registration is an error."""
    key = (page.host, page.route)
    if key in FORMAL_PAGES:
        raise ValueError(f"Page {page.route} is registered twice.")
    FORMAL_PAGES[key] = page

"""What the console shell shows: the database menu, the brand, the account menu."""

from __future__ import annotations

from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from execfabric.core.permissions import can
from execfabric.web.menu import Brand, MenuEntry
from execfabric.web.requests import ConsoleRequest

from .models import EntryKind, MenuRow
from .pages import FORMAL_PAGES, Host


def sidebar(request: ConsoleRequest) -> list[MenuEntry]:
    """Return the entries the actor may use, in order; nothing for anonymous requests."""
    tenant = getattr(request, "tenant", None)
    if tenant is None or not request.actor.is_authenticated:
        return []
    host = Host.PLATFORM if tenant.is_platform else Host.TENANT
    entries = (_entry(row, host, request) for row in MenuRow.objects.filter(is_visible=True))
    return [entry for entry in entries if entry is not None]


def _entry(row: MenuRow, host: Host, request: ConsoleRequest) -> MenuEntry | None:
    if row.kind == EntryKind.LINK:
        return MenuEntry(row.label, row.url, row.icon or "external-link", external=True)
    page = FORMAL_PAGES.get((host, row.route))
    if page is None or not can(request.actor, page.permission):
        return None
    try:
        url = reverse(page.route)
    except NoReverseMatch:
        return None  # The page went with an upgrade; the row does no harm.
    badge = page.badge(request) if page.badge else ""
    return MenuEntry(row.label or str(page.label), url, row.icon or page.icon, badge)


def account_menu(request: ConsoleRequest) -> list[MenuEntry]:
    return [
        MenuEntry(_("Security"), reverse("accounts:security"), "shield-lock"),
        MenuEntry(_("Log out"), reverse("accounts:logout"), "logout", posts=True),
    ]


def brand(request: ConsoleRequest) -> Brand:
    tenant = getattr(request, "tenant", None)
    if tenant is None:
        return Brand()
    if tenant.is_platform:
        return Brand(subtitle=_("Governance"), home_url="/")
    return Brand(subtitle=tenant.title)

from __future__ import annotations

from execfabric.core.actions import action
from execfabric.core.actor import Actor, Door
from execfabric.core.roles import SYSTEM
from tenants.registry.models import Tenant

from .models import EntryKind, MenuRow
from .pages import FORMAL_PAGES, Host


@action("menu.row.complete", title="Add missing pages to the menu", roles=SYSTEM)
def complete_menu(*, actor: Actor, host: Host) -> None:
    """Add every formal page the current schema's menu lacks; what is there stays as it is."""
    present = set(MenuRow.objects.filter(kind=EntryKind.PAGE).values_list("route", flat=True))
    MenuRow.objects.bulk_create(
        MenuRow(kind=EntryKind.PAGE, route=page.route, icon=page.icon, position=page.position)
        for page in FORMAL_PAGES.values()
        if page.host == host and page.route not in present
    )


def initialize_menu(tenant: Tenant) -> None:
    """Give a new schema its baseline menu; called again after an upgrade with new pages."""
    host = Host.PLATFORM if tenant.is_platform else Host.TENANT
    missing = {page.route for page in FORMAL_PAGES.values() if page.host == host}
    missing -= set(MenuRow.objects.values_list("route", flat=True))
    if missing:
        complete_menu(actor=Actor.system("provisioning", door=Door.COMMAND), host=host)

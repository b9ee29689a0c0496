from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class GovernanceConfig(AppConfig):
    name = "governance"
    verbose_name = "Governance"

    def ready(self) -> None:
        from skills.hot_update.reviewing.selectors import READ, count_waiting
        from tenants.menu.pages import FormalPage, Host, register_page

        from .entry_board.selectors import READ as READ_ENTRIES

        register_page(
            FormalPage(
                route="governance:home",
                label=_("Overview"),
                icon="dashboard",
                host=Host.PLATFORM,
                permission="registry.tenant.read",
                position=5,
            )
        )
        register_page(
            FormalPage(
                route="governance:tenant-list",
                label=_("Tenants"),
                icon="building",
                host=Host.PLATFORM,
                permission="registry.tenant.read",
                position=10,
            )
        )
        register_page(
            FormalPage(
                route="governance:review-list",
                label=_("Reviews"),
                icon="checklist",
                host=Host.PLATFORM,
                permission=READ,
                position=7,
                badge=lambda request: str(count_waiting(request.actor) or ""),
            )
        )
        register_page(
            FormalPage(
                route="entry_board:board",
                label=_("Entries"),
                icon="layout-grid",
                host=Host.PLATFORM,
                permission=READ_ENTRIES,
                position=85,
            )
        )
        for host in Host:
            register_page(
                FormalPage(
                    route="audit:event-list",
                    label=_("Audit trail"),
                    icon="clipboard-list",
                    host=host,
                    permission="core.audit.read",
                    position=90,
                )
            )

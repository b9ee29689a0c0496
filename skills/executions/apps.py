from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ExecutionsConfig(AppConfig):
    name = "skills.executions"
    label = "executions"
    verbose_name = "Executions"

    def ready(self) -> None:
        from skills.catalogue.run_desk import set_run_desk
        from tenants.menu.pages import FormalPage, Host, register_page
        from tenants.registry.erasing.services import on_tenant_erased

        # They declare the acts of workers and scans, which the trail names.
        from . import leaving, lifecycle, retention  # noqa: F401
        from .approvals import inbox
        from .run_desk import ExecutionDesk

        on_tenant_erased(leaving.forget_tenant)
        set_run_desk(ExecutionDesk())
        register_page(
            FormalPage(
                route="executions:execution-list",
                label=_("Executions"),
                icon="player-play",
                host=Host.TENANT,
                permission="executions.execution.read",
                position=20,
            )
        )
        inbox.add_source(inbox.EXECUTIONS)
        register_page(
            FormalPage(
                route="approvals:inbox",
                label=_("Waiting for me"),
                icon="inbox",
                host=Host.TENANT,
                permission="executions.execution.read",
                position=15,
                badge=lambda request: inbox.badge_of(request.actor),
            )
        )
        register_page(
            FormalPage(
                route="approvals:rules",
                label=_("Rules"),
                icon="shield-check",
                host=Host.TENANT,
                permission="executions.rules.read",
                position=75,
            )
        )

from pathlib import Path

from django.apps import AppConfig
from django.conf import settings
from django.utils.translation import gettext_lazy as _


class CatalogueConfig(AppConfig):
    name = "skills.catalogue"
    label = "catalogue"
    verbose_name = "Skill catalogue"

    def ready(self) -> None:
        import executors.http.executor
        import executors.script.executor  # noqa: F401  # both register their kind
        from executors.registry import EXECUTORS
        from tenants.menu.pages import FormalPage, Host, register_page

        from . import services  # noqa: F401  # declares its acts, which the audit trail names
        from .managing import services as managing  # noqa: F401  # so does this

        state = Path(settings.DATA_DIR) / "sandbox"
        EXECUTORS.configure(
            "script",
            state_folder=state,
            level=settings.SANDBOX,
            network_allowed=tuple(sorted(settings.NETWORK_ALLOW)),
            warm=settings.WARM_STARTS,
            shared=settings.SHARED_SANDBOXES,
            memory_groups=settings.MEMORY_GROUPS,
            pythons=settings.PYTHONS,
        )
        register_page(
            FormalPage(
                route="catalogue:skill-list",
                label=_("Skills"),
                icon="apps",
                host=Host.TENANT,
                permission="catalogue.skill.read",
                position=10,
            )
        )

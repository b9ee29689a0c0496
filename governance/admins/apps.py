from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AdminsConfig(AppConfig):
    name = "governance.admins"
    label = "admins"
    verbose_name = _("Administrators")

    def ready(self) -> None:
        from tenants.menu.pages import FormalPage, Host, register_page
        from tenants.postgresql.exposure import keep_closed

        from . import services as _services  # noqa: F401  # they declare their acts
        from .selectors import READ

        keep_closed("admins_whitelistentry")
        register_page(
            FormalPage(
                route="admins:account-list",
                label=_("Administrators"),
                icon="user-shield",
                host=Host.PLATFORM,
                permission=READ,
                position=80,
            )
        )

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CustomersConfig(AppConfig):
    name = "governance.customers"
    label = "customers"
    verbose_name = _("Customers")

    def ready(self) -> None:
        from tenants.menu.pages import FormalPage, Host, register_page
        from tenants.postgresql.exposure import keep_closed
        from tenants.registry.erasing.services import on_tenant_erased

        from . import services
        from .selectors import READ

        on_tenant_erased(services.keep_name_of)
        for name in ("customer", "contact", "customertenant"):
            keep_closed(f"customers_{name}")
        register_page(
            FormalPage(
                route="governance:customer-list",
                label=_("Customers"),
                icon="users",
                host=Host.PLATFORM,
                permission=READ,
                position=11,
            )
        )

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MenuConfig(AppConfig):
    name = "tenants.menu"
    label = "menu"
    verbose_name = "Menu"

    def ready(self) -> None:
        from execfabric.web.menu import set_account_menu_source, set_brand_source, set_menu_source
        from tenants.registry.provisioning import on_tenant_provisioned

        from . import sidebar
        from .pages import FormalPage, Host, register_page
        from .services import initialize_menu

        on_tenant_provisioned(initialize_menu)
        register_page(
            FormalPage(
                route="groups:group-list",
                label=_("Groups"),
                icon="users-group",
                host=Host.TENANT,
                permission="accounts.group.read_all",
                position=70,
            )
        )
        set_menu_source(sidebar.sidebar)
        set_account_menu_source(sidebar.account_menu)
        set_brand_source(sidebar.brand)

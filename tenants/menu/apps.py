from django.apps import AppConfig


class MenuConfig(AppConfig):
    name = "tenants.menu"
    label = "menu"
    verbose_name = "Menu"

    def ready(self) -> None:
        from execfabric.web.menu import set_account_menu_source, set_brand_source, set_menu_source
        from tenants.registry.provisioning import on_tenant_provisioned

        from . import sidebar
        from .services import initialize_menu

        on_tenant_provisioned(initialize_menu)
        set_menu_source(sidebar.sidebar)
        set_account_menu_source(sidebar.account_menu)
        set_brand_source(sidebar.brand)

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

OWN = "tenant_id IN (SELECT id FROM registry_tenant WHERE schema_name = {tenant})"


class HttpAccessConfig(AppConfig):
    name = "governance.http_access"
    label = "http_access"
    verbose_name = _("HTTP access")

    def ready(self) -> None:
        from skills.catalogue.resources import own_resources
        from tenants.menu.pages import FormalPage, Host, register_page
        from tenants.postgresql.exposure import keep_closed, open_to_tenants
        from tenants.registry.erasing.services import on_tenant_erased

        from . import services as _resources  # noqa: F401  # they declare their acts
        from .credentials import services as _credentials  # noqa: F401
        from .grants import services as _grants
        from .resolving import KIND, HttpResources
        from .selectors import LEDGER, READ
        from .trials import services as _trials  # noqa: F401

        on_tenant_erased(_grants.delete_grants)
        own_resources(KIND, HttpResources())
        # A tenant reads its own lines of the ledger, and nothing of what they stand for.
        open_to_tenants("http_access_httpgrant", rows=OWN)
        for name in (
            *("httpresource", "httpresourceversion", "httpwrite"),
            *("httpcredential", "httpcredentialversion"),
        ):
            keep_closed(f"http_access_{name}")
        register_page(
            FormalPage(
                route="http_access:resource-list",
                label=_("HTTP resources"),
                icon="api",
                host=Host.PLATFORM,
                permission=READ,
                position=20,
            )
        )
        register_page(
            FormalPage(
                route="http_access:credential-list",
                label=_("Credentials"),
                icon="key",
                host=Host.PLATFORM,
                permission=READ,
                position=21,
            )
        )
        register_page(
            FormalPage(
                route="http_ledger:ledger",
                label=_("HTTP resources"),
                icon="api",
                host=Host.TENANT,
                permission=LEDGER,
                position=40,
            )
        )

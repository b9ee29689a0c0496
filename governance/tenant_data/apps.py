from django.apps import AppConfig


class TenantDataConfig(AppConfig):
    name = "governance.tenant_data"
    label = "tenant_data"
    verbose_name = "Tenant data"

    def ready(self) -> None:
        from tenants.postgresql.exposure import keep_closed

        from . import services  # noqa: F401  # declares its acts

        for name in ("tenantexport", "exportedfile", "tenantdeletion"):
            keep_closed(f"tenant_data_{name}")

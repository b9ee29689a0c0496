from django.apps import AppConfig


class RegistryConfig(AppConfig):
    name = "tenants.registry"
    label = "registry"
    verbose_name = "Tenant registry"

    def ready(self) -> None:
        from tenants.postgresql.exposure import keep_closed, open_to_tenants

        from . import migrating  # noqa: F401  # declares its acts
        from .erasing import services as _erasing  # noqa: F401

        # A tenant's pages show its own title and hosts; a worker asks whether it is open.
        open_to_tenants("registry_tenant", rows="schema_name = {tenant}")
        open_to_tenants(
            "registry_domain",
            rows="tenant_id IN (SELECT id FROM registry_tenant WHERE schema_name = {tenant})",
        )
        keep_closed("registry_formertenant")

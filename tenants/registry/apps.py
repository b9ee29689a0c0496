from django.apps import AppConfig


class RegistryConfig(AppConfig):
    name = "tenants.registry"
    label = "registry"
    verbose_name = "Tenant registry"

    def ready(self) -> None:
        from . import migrating  # noqa: F401  # declares its acts

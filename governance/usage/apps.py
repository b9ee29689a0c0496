from django.apps import AppConfig


class UsageConfig(AppConfig):
    name = "governance.usage"
    label = "usage"
    verbose_name = "Usage"

    def ready(self) -> None:
        from tenants.postgresql.exposure import keep_closed

        for name in ("tenantusage", "dailyruns", "resourcehealth"):
            keep_closed(f"usage_{name}")

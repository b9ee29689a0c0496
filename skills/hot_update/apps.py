from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

TABLES = ("submission", "revision", "review", "remark", "publicationstep")


class HotUpdateConfig(AppConfig):
    name = "skills.hot_update"
    label = "hot_update"
    verbose_name = _("Hot update")

    def ready(self) -> None:
        from tenants.postgresql.exposure import keep_closed

        for table in TABLES:
            keep_closed(f"hot_update_{table}")

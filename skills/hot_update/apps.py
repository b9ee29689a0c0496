from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

TABLES = ("submission", "revision", "review", "remark", "publicationstep")


class HotUpdateConfig(AppConfig):
    name = "skills.hot_update"
    label = "hot_update"
    verbose_name = _("Hot update")

    def ready(self) -> None:
        from tenants.postgresql.exposure import keep_closed

        from .publishing import services as _publishing  # noqa: F401  # declare their acts
        from .publishing import tasks as _tasks  # noqa: F401  # Celery looks for tasks.py only
        from .recalling import services as _recalling  # noqa: F401
        from .reviewing import services as _reviewing  # noqa: F401

        for table in TABLES:
            keep_closed(f"hot_update_{table}")
        keep_closed("hot_update_recall")

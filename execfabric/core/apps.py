from django.apps import AppConfig

from .connections import keep_by_thread


class CoreConfig(AppConfig):
    name = "execfabric.core"
    label = "core"
    verbose_name = "Core"

    def ready(self) -> None:
        keep_by_thread()

from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "execfabric.core"
    label = "core"
    verbose_name = "Core"

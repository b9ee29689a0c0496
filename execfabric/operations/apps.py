from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "execfabric.operations"
    label = "operations"
    verbose_name = "Operations"

    def ready(self) -> None:
        import execfabric.celery  # noqa: F401  # so that every process can send tasks

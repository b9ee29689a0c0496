from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "execfabric.operations"
    label = "operations"
    verbose_name = "Operations"

from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "execfabric.web"
    label = "web"
    verbose_name = "Console shell"

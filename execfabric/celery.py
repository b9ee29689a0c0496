"""The Celery app. Tasks live in ``tasks.py`` of their package."""

from __future__ import annotations

import os

from tenant_schemas_celery.app import CeleryApp

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "execfabric.settings")

app = CeleryApp("execfabric")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

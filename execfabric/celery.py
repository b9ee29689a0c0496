"""The Celery app. Tasks live in ``tasks.py`` of their package."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from celery.signals import worker_init, worker_ready
from tenant_schemas_celery.app import CeleryApp

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "execfabric.settings")

app = CeleryApp("execfabric")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.set_default()  # Else a thread of the web server that sends a task would not know it.


@worker_init.connect
def refuse_without_isolation(**_signal: Any) -> None:
    """End the worker when it cannot isolate runs as configured; it never runs them anyway."""
    from executors.contract import ExecutorError
    from executors.registry import EXECUTORS

    try:
        EXECUTORS.get("script").check()
    except ExecutorError as error:
        sys.exit(f"The worker does not start: {error}")


@worker_ready.connect
def tell_supervisor(**_signal: Any) -> None:
    """Touch the file the supervisor waits for."""
    from django.conf import settings

    ready = Path(settings.DATA_DIR) / "run" / "worker.ready"
    ready.parent.mkdir(parents=True, exist_ok=True)
    ready.touch()

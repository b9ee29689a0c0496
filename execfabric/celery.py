"""The Celery app. Tasks live in ``tasks.py`` of their package."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from celery.result import AsyncResult
from celery.signals import task_prerun, worker_init, worker_ready
from tenant_schemas_celery.app import CeleryApp, switch_schema
from tenant_schemas_celery.task import headers_with_schema

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "execfabric.settings")


class SealingApp(CeleryApp):
    """Seals every message it sends, so that workers take orders from this platform only."""

    def send_task(
        self, name: str, args: Any = None, kwargs: Any = None, **options: Any
    ) -> AsyncResult[Any]:
        from execfabric.core.tasks import SEAL_HEADER, seal_of

        headers = headers_with_schema(options.pop("headers", None) or {})
        seal = seal_of(name, str(headers["_schema_name"]), kwargs or {})
        return super().send_task(
            name, args=args, kwargs=kwargs, headers={**headers, SEAL_HEADER: seal}, **options
        )


app = SealingApp("execfabric")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.set_default()  # Else a thread of the web server that sends a task would not know it.


# Ours calls it, so that the order of the two is certain.
task_prerun.disconnect(dispatch_uid="tenant_schemas_switch_schema")


@task_prerun.connect
def enter_schema(task: Any, kwargs: dict[str, Any], **_signal: Any) -> None:
    """Switch to the task's schema, on a database connection that is not found dead later."""
    from execfabric.core.connections import drop_dead_connections

    drop_dead_connections()
    switch_schema(task=task, kwargs=kwargs)


@worker_init.connect
def prepare_for_runs(sender: Any, **_signal: Any) -> None:
    """In a worker that takes executions: check the isolation, remove what killed ones left.

    Ends the worker when it cannot isolate runs as configured; it never runs them anyway.
    """
    from executors.contract import ExecutorError
    from executors.registry import EXECUTORS
    from skills.executions.run_folders import sweep_run_folders

    if "executions" not in sender.app.amqp.queues.consume_from:
        return
    try:
        EXECUTORS.get("script").check()
    except ExecutorError as error:
        sys.exit(f"The worker does not start: {error}")
    sweep_run_folders()


@worker_ready.connect
def tell_supervisor(sender: Any, **_signal: Any) -> None:
    """Touch the file the supervisor waits for: ``worker.ready`` of ``worker@host``."""
    from django.conf import settings

    name = sender.hostname.partition("@")[0]
    ready = Path(settings.DATA_DIR) / "run" / f"{name}.ready"
    ready.parent.mkdir(parents=True, exist_ok=True)
    ready.touch()

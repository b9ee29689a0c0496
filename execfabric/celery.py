"""The Celery app. Tasks live in ``tasks.py`` of their package."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from typing import Any

from celery.beat import EmbeddedService, PersistentScheduler
from celery.signals import task_prerun, worker_ready, worker_shutdown
from tenant_schemas_celery.app import CeleryApp, switch_schema

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "execfabric.settings")


app = CeleryApp("execfabric")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.set_default()  # Else a thread of the web server that sends a task would not know it.


class SealingScheduler(PersistentScheduler):
    """Beat's clock. What it sends carries the platform's seal, as what enqueue() sends."""

    def apply_async(
        self, entry: Any, producer: Any = None, advance: bool = True, **options: Any
    ) -> Any:
        from django_tenants.utils import get_public_schema_name

        from execfabric.core.tasks import sealed_headers

        sent = copy.copy(self.reserve(entry) if advance else entry)
        headers = sealed_headers(sent.task, get_public_schema_name(), sent.kwargs or {})
        sent.options = {**sent.options, "headers": headers}
        return super().apply_async(sent, producer=producer, advance=False, **options)


# Ours calls it, so that the order of the two is certain.
task_prerun.disconnect(dispatch_uid="tenant_schemas_switch_schema")


@task_prerun.connect
def enter_schema(task: Any, kwargs: dict[str, Any], **_signal: Any) -> None:
    """Switch to the task's schema, on a database connection that is not found dead later."""
    from execfabric.core.connections import drop_dead_connections

    drop_dead_connections()
    switch_schema(task=task, kwargs=kwargs)


_stop_telling: list[Callable[[], None]] = []


@worker_ready.connect
def tell_presence(sender: Any, **_signal: Any) -> None:
    """Let the governance pages show this process."""
    from execfabric.core.presence import own_presence, tell_in_background

    queues = tuple(sorted(sender.app.amqp.queues.consume_from))
    presence = own_presence(does="tasks", queues=queues, slots=sender.controller.concurrency)
    _stop_telling.append(tell_in_background(presence))


@worker_shutdown.connect
def end_presence(**_signal: Any) -> None:
    for stop in _stop_telling:
        stop()


@worker_ready.connect
def start_clock(sender: Any, **_signal: Any) -> None:
    """Let the worker that does the scans ask for them, too: a thread, not a process of its own."""
    from execfabric.core.memory import give_back_in_background, keep_loaded

    keep_loaded()
    give_back_in_background()
    if "celery" in sender.app.amqp.queues.consume_from:
        EmbeddedService(sender.app, thread=True, scheduler_cls=app.conf.beat_scheduler).start()

"""What a user writes by hand: a Celery task that starts the interpreter on the script.

Celery's defaults. Nothing is stored but the result, nobody is authenticated, nothing is isolated:
the ungoverned yardstick.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from celery import Celery

URL_VARIABLE = "EXECFABRIC_BENCH_REDIS_URL"

app = Celery("baseline", set_as_current=False)


def use_redis(url: str) -> None:
    """Set broker and result store, before the first task."""
    app.conf.update(broker_url=url, result_backend=url, broker_connection_retry_on_startup=True)


@app.task(name="baseline.run_script", shared=False)
def run_script(python: str, script: str, inputs: dict[str, Any]) -> Any:
    """Return what script prints for inputs, as JSON."""
    done = subprocess.run(
        [python, script, json.dumps(inputs)], capture_output=True, timeout=60, check=True
    )
    return json.loads(done.stdout)


if URL_VARIABLE in os.environ:  # in the worker; the client calls use_redis itself
    use_redis(os.environ[URL_VARIABLE])

from __future__ import annotations

import os
from typing import Any

import django
from django.core.handlers.wsgi import WSGIHandler

from execfabric.core.memory import begin_to_load, keep_loaded

begin_to_load()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "execfabric.settings")

django.setup(set_prefix=False)


class Application(WSGIHandler):
    """Hands an answer that is whole to the server as a list, which it sends at once.

    Of anything else the server sends the headers first and then asks for one piece after another.
    """

    def __call__(self, environ: Any, start_response: Any) -> Any:
        response: Any = super().__call__(environ, start_response)
        if response.streaming:
            return response
        try:
            return [response.content]
        finally:
            response.close()


application = Application()

# Loaded once before the server forks, so that no worker makes its first visitor wait for it.
import execfabric.urls_public  # noqa: E402
import execfabric.urls_tenant  # noqa: E402, F401

keep_loaded()

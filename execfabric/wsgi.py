from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from execfabric.core.memory import begin_to_load, keep_loaded

begin_to_load()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "execfabric.settings")

application = get_wsgi_application()

# Loaded once before the server forks, so that no worker makes its first visitor wait for it.
import execfabric.urls_public  # noqa: E402
import execfabric.urls_tenant  # noqa: E402, F401

keep_loaded()

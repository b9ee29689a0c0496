from __future__ import annotations

import os

import django

from execfabric.core.memory import begin_to_load, keep_loaded
from execfabric.web.wsgi_handler import WholeAnswersHandler

begin_to_load()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "execfabric.settings")

django.setup(set_prefix=False)
application = WholeAnswersHandler()

# Loaded once before the server forks, so that no worker makes its first visitor wait for it.
import execfabric.urls_public  # noqa: E402
import execfabric.urls_tenant  # noqa: E402, F401

keep_loaded()

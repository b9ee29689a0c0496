"""Settings for the type checker only: it reads models and needs no service to do so."""

import os

os.environ.setdefault("EXECFABRIC_DATABASE_URL", "postgresql://nobody@localhost/nothing")
os.environ.setdefault("EXECFABRIC_REDIS_URL", "redis://localhost/0")
os.environ.setdefault("EXECFABRIC_SECRET_KEY", "for the type checker only " + "x" * 32)

from execfabric.settings import *  # noqa: F403

from __future__ import annotations

from tests.skills.executions.conftest import unseen_heartbeat  # noqa: F401  # runs of its own

from __future__ import annotations

import pytest

from skills.executions import running


@pytest.fixture(autouse=True)
def unseen_heartbeat(monkeypatch):
    """A test's rows are not committed, so a heartbeat's own connection could not see its run."""
    monkeypatch.setattr(running, "renewal_of", lambda _execution: lambda: True)

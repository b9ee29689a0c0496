from __future__ import annotations

from execfabric.core.errors import Conflict


class VersionWithdrawn(Conflict):
    """The platform has withdrawn this version; nobody starts it any more."""

    code = "version_withdrawn"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"The platform has withdrawn this version: {reason}")

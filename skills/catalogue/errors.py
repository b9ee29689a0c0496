from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from execfabric.core.errors import Conflict


class VersionWithdrawn(Conflict):
    """The platform has withdrawn this version; nobody starts it any more."""

    code = "version_withdrawn"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"The platform has withdrawn this version: {reason}")


class NotVerified(Conflict):
    """A version is not what it must be, and was not put into use; what was in use still is."""

    code = "not_verified"

    def __init__(self, message: str, report: Mapping[str, Any]) -> None:
        """report: what was checked, as it is stored."""
        super().__init__(message)
        self.report = report

from __future__ import annotations

from executors.contract import ExecutorError


class EnvironmentBuildError(ExecutorError):
    """The packages of a script cannot be had; the message says why, in words for its author."""

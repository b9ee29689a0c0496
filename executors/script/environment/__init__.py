"""The packages a script asks for: read, locked with hashes, installed once, shared read-only.

This happens when a script comes in, never when it runs: a run needs no package index, and what it
gets is what was reviewed.
"""

from __future__ import annotations

from executors.script.environment.build import build_environment, read_requirements
from executors.script.environment.errors import EnvironmentBuildError

__all__ = ["EnvironmentBuildError", "build_environment", "read_requirements"]

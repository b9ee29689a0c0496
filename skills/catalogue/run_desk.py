"""Where the page of a skill gets what runs it. The executions app, a floor above, supplies it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from django.http import HttpResponse

from execfabric.web.requests import ConsoleRequest

from .models import Skill


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of the skill's page: a template, what it shows as ``panel``, the page's status."""

    template_name: str
    context: dict[str, Any] = field(default_factory=dict)
    status: int = 200


class RunDesk(Protocol):
    def show(self, request: ConsoleRequest, skill: Skill) -> Panel:
        """Return the form that runs skill, or why there is none."""

    def run(self, request: ConsoleRequest, skill: Skill) -> Panel | HttpResponse:
        """Run skill with the form that was sent: a redirect, or the form with its errors."""


class _Installed:
    desk: RunDesk | None = None


def set_run_desk(desk: RunDesk) -> None:
    """Let desk run skills from their page."""
    _Installed.desk = desk


def run_desk() -> RunDesk:
    """Return the desk. Raises RuntimeError when no app supplied one."""
    if _Installed.desk is None:
        raise RuntimeError("No app runs skills; is skills.executions installed?")
    return _Installed.desk

"""Asking again for the password before a dangerous act (core.actions: ``needs_proof``).

How somebody proves who they are is known a floor above, which registers itself here.
"""

from __future__ import annotations

from typing import Protocol

from django.http import HttpResponse

from execfabric.core.errors import ProofNeeded
from execfabric.web.requests import ConsoleRequest


class Prover(Protocol):
    def take(self, request: ConsoleRequest) -> HttpResponse | None:
        """Take the proof that request brings along, if any; return the answer to a wrong one."""

    def ask(self, request: ConsoleRequest, needed: ProofNeeded) -> HttpResponse:
        """Return the page that asks, and that sends request again together with the proof."""


class _Known:
    prover: Prover | None = None


def set_prover(prover: Prover) -> None:
    _Known.prover = prover


def take_proof(request: ConsoleRequest) -> HttpResponse | None:
    return _Known.prover.take(request) if _Known.prover else None


def ask_for_proof(request: ConsoleRequest, needed: ProofNeeded) -> HttpResponse:
    """Return the page that asks. Raises needed where nobody can."""
    if _Known.prover is None:
        raise needed
    return _Known.prover.ask(request, needed)

"""The one write path: permission, transaction, service, audit event."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from django.db import models, transaction

from . import audit, permissions, statements
from .actor import Actor
from .errors import DomainError, Postponed, ProofNeeded
from .models import AuditEvent, Outcome
from .roles import Role

P = ParamSpec("P")
R = TypeVar("R")

ACTIONS: dict[str, Callable[..., Any]] = {}
"""Every action by its code, for the documentation and the architecture tests."""
PROVEN: set[str] = set()
"""Codes of the dangerous acts, for which a person proves again who they are."""

_depth: ContextVar[int] = ContextVar("execfabric_action_depth", default=0)
_call: ContextVar[_Call] = ContextVar("execfabric_action_call")


def action(
    code: str,
    *,
    title: str,
    roles: frozenset[Role],
    target: str = "",
    open_to_all: bool = False,
    in_one_statement: bool = False,
    needs_proof: bool = False,
    checks_login: bool = False,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a service the one way to do ``code``.

    The wrapped service takes keyword arguments only, ``actor`` among them. ``target`` names the
    argument the permission is checked on; the audit event is about the returned row, or else about
    that argument. ``open_to_all`` skips the role check, for what anybody may try (logging in).
    ``in_one_statement`` opens no transaction: the service writes by ``write_recorded`` alone, which
    is one by itself, or opens one around that and more.

    ``needs_proof`` is for dangerous acts: an account must have proved within the last minutes who
    it is (``actor.is_proven``), else ProofNeeded is raised and nothing recorded. The system need
    not, and for a part of another action that one decides.

    ``checks_login`` is for an action whose statement checks the login of an actor who is remembered
    (``actor.as_seen``). All others raise Postponed for such an actor.

    Exactly one event is written per call (``write_each_recorded``: one for each row): ``done`` in
    the transaction of the act; ``refused`` for a DomainError (but Postponed), ``failed`` for
    anything else, after the act's transaction is undone. What fails after the commit is raised, but
    the act is done and stays recorded as such.

    An action called by another action leaves its refusal to the outer one, whose transaction would
    undo it. So an outer action must not go on after catching such a refusal: it would be recorded
    nowhere.
    """

    def decorate(service: Callable[P, R]) -> Callable[P, R]:
        if code in ACTIONS:
            raise ValueError(f"Action {code} is defined twice.")
        parameters = inspect.signature(service).parameters
        if any(each.kind is not each.KEYWORD_ONLY for each in parameters.values()):
            raise TypeError(f"{service.__qualname__} must take keyword arguments only.")
        permissions.grant(code, title=title, roles=roles)
        if needs_proof:
            PROVEN.add(code)

        @functools.wraps(service)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            if args:
                raise TypeError(f"{service.__qualname__} takes keyword arguments only.")
            call = _Call(code, kwargs, target)
            depth = _depth.set(_depth.get() + 1)
            outer = _call.set(call)
            try:
                if call.actor.as_seen and not checks_login:
                    raise Postponed("This login has to be looked up first.")
                if not open_to_all:
                    _require(call.actor, code, kwargs.get(target))
                if needs_proof and _depth.get() == 1 and not _is_proven(call.actor):
                    raise ProofNeeded(title)
                with nullcontext() if in_one_statement else transaction.atomic():
                    if not in_one_statement:
                        transaction.on_commit(call.was_committed)
                    result = service(**kwargs)  # type: ignore[call-arg]
                    if not call.is_recorded:
                        call.record(Outcome.DONE, about=result)
                return result
            except (Postponed, ProofNeeded):
                raise
            except DomainError as error:
                call.record_failure(Outcome.REFUSED, error.message)
                raise
            except Exception as error:
                call.record_failure(Outcome.FAILED, f"{type(error).__name__}")
                raise
            finally:
                _call.reset(outer)
                _depth.reset(depth)

        ACTIONS[code] = run
        return run

    return decorate


def write_recorded(
    statement: str,
    values: list[Any],
    *,
    about: models.Model,
    taken: Mapping[str, str] | None = None,
    along: tuple[str, list[Any]] = ("", []),
) -> list[tuple[Any, ...]]:
    """Send statement, which is the act at hand, together with its event; return its rows.

    statement is an INSERT or UPDATE with RETURNING, written as for ``statements.send``. Where it
    changes nothing there is no event either, and the action records what it comes to. about is the
    row the event is about; taken names columns of the event whose value the statement returns, and
    their names there. along is one more statement, with its values, that reads from ``act``.
    """
    call = _call.get()
    event = call.event(Outcome.DONE, about=about, taken=taken or {})
    written, event_values = statements.insert_of(event, source="act", taken=taken or {})
    more = f", along AS ({along[0]})" if along[0] else ""
    rows = statements.send(
        f"WITH act AS ({statement}), recorded AS ({written}){more} SELECT * FROM act",  # noqa: S608
        [*values, *event_values, *along[1]],
    )
    if rows:
        call.is_recorded = True
        transaction.on_commit(call.was_committed)
    return rows


def write_each_recorded(
    statement: str,
    values: list[Any],
    *,
    events: Sequence[AuditEvent],
    along: tuple[str, list[Any]] = ("", []),
) -> list[tuple[Any, ...]]:
    """Send statement, which is the act at hand done to several rows, with an event for each it
    changes; return its rows.

    statement returns the ids of what it changed; of events, those about them are written. Others,
    and the action as such, leave no trace: that is for the caller. along as in write_recorded.
    """
    written, event_values = statements.insert_each_of(events, fits="act.id::text = given.target_id")
    more = f", along AS ({along[0]})" if along[0] else ""
    call = _call.get()
    rows = statements.send(
        f"WITH act AS ({statement}), recorded AS ({written}){more} SELECT * FROM act",  # noqa: S608
        [*values, event_values, *along[1]],
    )
    call.is_recorded = True
    transaction.on_commit(call.was_committed)
    return rows


def _require(actor: Actor, code: str, target: object) -> None:
    try:
        permissions.require(actor, code, target)
    except DomainError as error:
        if actor.as_seen:  # Who was not looked up may have other roles by now.
            raise Postponed("This login has to be looked up first.") from error
        raise


def _is_proven(actor: Actor) -> bool:
    return actor.is_proven or Role.SYSTEM in actor.roles


class _Call:
    """One call of an action, and how it is recorded."""

    def __init__(self, code: str, kwargs: dict[str, Any], target: str) -> None:
        self.code = code
        self.actor: Actor = kwargs["actor"]
        self.target = kwargs.get(target)
        self.inputs = {name: value for name, value in kwargs.items() if name != "actor"}
        self._committed = False
        self.is_recorded = False
        """Whether the act was written together with its event."""

    def was_committed(self) -> None:
        """Runs before every other callback of the act, any of which may fail."""
        self._committed = True

    def record(self, outcome: Outcome, *, about: object = None, reason: str = "") -> None:
        about = about if isinstance(about, models.Model) else self.target
        audit.record(
            self.code,
            actor=self.actor,
            outcome=outcome,
            target=about,
            inputs=self.inputs,
            reason=reason,
        )

    def event(
        self, outcome: Outcome, *, about: models.Model, taken: Mapping[str, str]
    ) -> AuditEvent:
        return audit.event_of(
            self.code,
            actor=self.actor,
            outcome=outcome,
            target=about,
            inputs=self.inputs,
            is_labelled="target_label" not in taken,
        )

    def record_failure(self, outcome: Outcome, reason: str) -> None:
        # In the name of somebody who was not looked up nothing is recorded but what was done.
        if _depth.get() == 1 and not self._committed and not self.actor.as_seen:
            self.record(outcome, reason=reason)

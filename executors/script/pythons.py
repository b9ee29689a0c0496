"""Which interpreters runs of one level have."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from executors.script.interpreter import NoInterpreter, can_start, find_interpreter, is_reachable
from executors.script.interpreters import Interpreter, find_interpreters
from executors.script.level import IsolationLevel


class Pythons:
    def __init__(
        self, level: IsolationLevel, uid: int | None, cache: Path, more: Sequence[str | Path]
    ) -> None:
        """uid: a user of runs, None for our own. cache: where a copy may be kept that such a user
        can start. more: where to look beside the usual places, see ``find_interpreters``."""
        self._level = level
        self._uid = uid
        self._cache = cache
        self._more = tuple(more)
        self._bare: Path | None = None
        self._all: list[Interpreter] | None = None

    def all(self) -> list[Interpreter]:
        """Return those a script may ask for, the platform's own first. They are looked for once:
        another one is found after a restart. Raises ExecutorError."""
        if self._all is None:
            uid = None if self._level.hides_machine else self._uid
            self._all = find_interpreters(self.bare(), uid, self._more)
        return self._all

    def bare(self) -> Path:
        """Return the one without an environment. Raises NoInterpreter."""
        if self._bare is None or not self._bare.exists():
            self._bare = self._find_bare()
        return self._bare

    def for_run(self, python: str | None) -> Path:
        """Return the interpreter of an environment if it can be used, the bare one for None.

        Raises NoInterpreter.
        """
        if python is None:
            return self.bare()
        if not self._is_usable(Path(python)):
            raise NoInterpreter(
                f"The user of a run cannot start {python}. Build environments where every user "
                "may enter, on an interpreter that every user may start."
            )
        return Path(python)

    def _is_usable(self, python: Path) -> bool:
        # What an environment holds came with packages. Where runs are in a sandbox, it is started
        # there and nowhere else.
        if not self._level.is_sandbox:
            return can_start(python, self._uid)
        needs_reach = self._uid is not None and not self._level.hides_machine
        return os.access(python, os.X_OK) and (not needs_reach or is_reachable(python))

    def _find_bare(self) -> Path:
        try:
            return find_interpreter(self._uid, cache=self._cache)
        except NoInterpreter:
            if not self._level.hides_machine:
                raise
            return find_interpreter(None, cache=self._cache)

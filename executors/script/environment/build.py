"""All steps from a script folder to its environment at once, where nothing is reviewed between."""

from __future__ import annotations

from pathlib import Path

from executors.script.environment.errors import EnvironmentBuildError
from executors.script.environment.lock import lock_script
from executors.script.environment.store import Environments
from executors.script.environment.wanted import read_wanted
from executors.script.interpreters import Interpreter, find_interpreters, interpreter_for_tag


def read_requirements(folder: Path) -> str:
    """Return the sorted requirements of a script folder, one a line; empty when it has none."""
    return "\n".join(read_wanted(folder).requirements)


def build_environment(
    folder: Path,
    *,
    root: Path,
    python: Path,
    interpreters: list[Interpreter] | None = None,
    requires_python: str = "",
    open_to_all: bool = True,
    index_url: str = "",
) -> Path | None:
    """Return the interpreter of the environment for a script folder; None when it needs none.

    The environment lies in ``root/<digest>/``. python: the platform's own interpreter, which runs
    can start (see ``find_interpreter``). interpreters: those the script may ask for, its own first.
    Raises EnvironmentBuildError and NoFittingInterpreter.
    """
    interpreters = interpreters or find_interpreters(python, None)
    if not interpreters:
        raise EnvironmentBuildError(f"{python.name} cannot be started.")
    environments = Environments(root, index_url=index_url, open_to_all=open_to_all)
    lock = lock_script(
        folder,
        requires_python=requires_python,
        interpreters=interpreters,
        installer=environments.installer,
    )
    if lock is None:
        return None
    interpreter = interpreter_for_tag(interpreters, lock.tag, lock.version)
    return environments.find(lock.digest) or environments.build(lock, interpreter)

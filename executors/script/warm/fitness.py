"""Which runs can start warm. Those that cannot start cold, and nobody sees a difference."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from executors.script.interpreters import Interpreter

NEVER_PRELOADED = {"ensurepip", "idlelib", "lib2to3", "test", "tkinter", "turtledemo"}
OLDEST = (3, 10)
"""What a zygote is written for; scripts on an older Python start cold."""
SHADOWABLE = frozenset(sys.stdlib_module_names) - NEVER_PRELOADED


def has_base(python: Path, base: Path) -> bool:
    """Return whether python, of an environment, is nothing but a link to base.

    A package can put any program into its environment, also in the interpreter's place, and a
    zygote is not in a sandbox.
    """
    return python == base or os.path.realpath(python) == os.path.realpath(base)


def base_of(python: Path, own: Path, interpreters: Callable[[], list[Interpreter]]) -> Path | None:
    """Return the interpreter that an environment's is a link to; None when it can be no zygote.

    own: the platform's. interpreters: gives all that scripts may ask for.
    """
    if has_base(python, own):
        return own
    fit = (one.path for one in interpreters() if one.version >= OLDEST)
    return next((path for path in fit if has_base(python, path)), None)


def shadows_library(script_folder: Path) -> bool:
    """Return whether a module of the script has a name of the standard library's.

    A fresh interpreter imports the script's; a zygote has imported the other one already.
    """
    with os.scandir(script_folder) as entries:
        return any(entry.name.partition(".")[0] in SHADOWABLE for entry in entries)

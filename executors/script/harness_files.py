"""The files by which a run starts a Python script."""

from __future__ import annotations

import marshal
from functools import cache
from importlib.resources import files
from importlib.util import MAGIC_NUMBER

from executors.script.sandbox.probe import MARSHAL_VERSION


@cache
def harness() -> dict[str, bytes]:
    """Return the files that start a Python script."""
    own = files("executors.script")
    text = own.joinpath("harness.py").read_bytes()
    compiled = marshal.dumps(compile(text, "harness.py", "exec", dont_inherit=True))
    parts = (MAGIC_NUMBER, compiled, text)
    return {
        "harness.py": own.joinpath("harness_start.py").read_bytes(),
        "harness.bin": marshal.dumps(parts, MARSHAL_VERSION),
    }

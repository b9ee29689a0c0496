"""The files by which a run starts a Python script."""

from __future__ import annotations

import marshal
from functools import cache
from importlib.resources import files
from importlib.util import MAGIC_NUMBER

from executors.script.sandbox.probe import MARSHAL_VERSION

PARTS = ("harness_entry.py", "harness.py")


@cache
def harness() -> dict[str, bytes]:
    """Return the files that start a Python script."""
    own = files("executors.script")
    texts = [own.joinpath(name).read_bytes() for name in PARTS]
    compiled = [
        marshal.dumps(compile(text, "harness.py", "exec", dont_inherit=True)) for text in texts
    ]
    parts = (MAGIC_NUMBER, compiled, texts)
    return {
        "harness.py": own.joinpath("harness_start.py").read_bytes(),
        "harness.bin": marshal.dumps(parts, MARSHAL_VERSION),
    }

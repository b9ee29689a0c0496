"""Starts the harness that lies beside this file: compiled, and as text for other Pythons.

A run gets this file as ``harness.py``. To compile the harness takes as long as to start Python.
"""

# ruff: noqa: S102, S302, PTH123, B905 - our own code; pathlib would cost every cold start its import

import marshal
from _frozen_importlib_external import MAGIC_NUMBER

with open(__file__[:-3] + ".bin", "rb") as stream:
    magic, compiled, texts = marshal.loads(stream.read())
for part, text in zip(compiled, texts):
    exec(marshal.loads(part) if magic == MAGIC_NUMBER else compile(text, __file__, "exec"))

"""The files of the demo's submissions: examples as they are, and an update of one of them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from executors.script.bundle import Bundle, read_bundle, write_files

Edits = tuple[tuple[str, str, str], ...]
"""File, text in it, text that takes its place."""

UPDATED = "invoice-reminder-drafts"
UPDATE: Edits = (
    (
        "skill.toml",
        "[inputs.include_paid]",
        "[inputs.signed_by]\n"
        'type = "string"\n'
        'title = "Signed by"\n'
        'description = "The name below each letter. Empty: no name."\n'
        "maxLength = 80\n"
        'default = ""\n\n'
        "[inputs.include_paid]",
    ),
    ("skill.toml", "timeout_s = 120", "timeout_s = 180"),
    (
        "main.py",
        "    include_paid: bool = False,\n) ->",
        '    include_paid: bool = False,\n    signed_by: str = "",\n) ->',
    ),
    (
        "main.py",
        "write_letter(owed, paid_by.get(key, []), tone, as_of)",
        "write_letter(owed, paid_by.get(key, []), tone, as_of, signed_by)",
    ),
    (
        "letters.py",
        "tone: str, as_of: date) -> str:",
        'tone: str, as_of: date, signed_by: str = ""\n) -> str:',
    ),
    ("letters.py", "def write_letter(overdue", "def write_letter(\n    overdue"),
    (
        "letters.py",
        'return "\\n".join([*lines, "", "Kind regards", ""])',
        'return "\\n".join([*lines, "", "Kind regards", signed_by, ""])',
    ),
    (
        "README.md",
        "| `include_paid` |",
        "| `signed_by` | The name below each letter. | none |\n| `include_paid` |",
    ),
)
"""Of the example UPDATED: letters carry a name."""


def edited(bundle: Bundle, edits: Edits) -> Bundle:
    """Return bundle with edits made. Raises ValueError where a text is not there exactly once."""
    with tempfile.TemporaryDirectory(prefix="execfabric-demo-") as place:
        folder = Path(place)
        write_files(bundle, folder)
        for name, old, new in edits:
            text = (folder / name).read_text(encoding="utf-8")
            if text.count(old) != 1:
                raise ValueError(f"{name} has not exactly one {old!r}.")
            (folder / name).write_text(text.replace(old, new), encoding="utf-8")
        return read_bundle(folder)

"""What a run is started with: its command line and its environment."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pydantic import JsonValue

from executors.contract import ExecutionRequest, ExecutorError
from executors.script.interpreter import library_environment
from executors.script.level import Places
from executors.script.run_folder import PROGRESS_NAME, RESULT_NAME

SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin"
SHELLS = {"bash": "/bin/bash", "sh": "/bin/sh"}
LONGEST_VARIABLE = 100 * 1024
"""The kernel refuses a single variable of 128 KiB."""


def build_command(
    script_folder: Path, entry: str, places: Places, python: Path | None, bare: bool
) -> list[str]:
    """Return the command of a run; python is None for the Shell runtime.

    bare: the interpreter has no environment, and the packages it may have are not for scripts.
    """
    given = str(places.given)
    if python is None:
        return [*shell_of(script_folder / entry), f"{given}/script/{entry}"]
    flags = ["-I", "-B", "-X", "utf8", *(["-S"] if bare else [])]
    return [str(python), *flags, f"{given}/harness.py", f"{given}/script", entry]


def shell_of(script: Path) -> list[str]:
    """Return the shell of the script's first line with its flags when that is bash or sh."""
    with script.open("rb") as stream:
        first = stream.readline(256).decode("utf-8", "replace")
    words = first[2:].split() if first.startswith("#!") else []
    if words and words[0].rpartition("/")[2] == "env":
        words = [word for word in words[1:] if word != "-S"]
    name = words[0].rpartition("/")[2] if words else "bash"
    if name not in SHELLS:
        return [SHELLS["bash"]]
    return [SHELLS[name], *words[1:]]


def build_environment_variables(
    places: Places, request: ExecutionRequest, given: dict[str, JsonValue], python: Path | None
) -> dict[str, str]:
    """Return the whole environment of a run. given: the inputs as the script gets them.

    Nothing of the worker's own environment is in it. Raises ExecutorError for a value that no
    environment can hold.
    """
    path = f"{python.parent}:{SEARCH_PATH}" if python else SEARCH_PATH
    given_at, own = str(places.given), str(places.own)
    variables = {
        "PATH": path,
        "HOME": f"{own}/work",
        "TMPDIR": f"{own}/tmp",  # noqa: S108 - the run's own
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "1",
        "EXECFABRIC_INPUT": f"{given_at}/input.json",
        "EXECFABRIC_INPUT_DIR": f"{given_at}/inputs",
        "EXECFABRIC_OUTPUT_DIR": f"{own}/output",
        "EXECFABRIC_RESULT": f"{own}/report/{RESULT_NAME}",
        "EXECFABRIC_PROGRESS": f"{own}/report/{PROGRESS_NAME}",
        "EXECFABRIC_EXECUTION_ID": request.execution_id,
        "EXECFABRIC_TENANT": request.tenant,
    }
    if python is not None:
        variables |= library_environment(python)
    else:
        variables |= {
            f"INPUT_{_variable_name(name)}": text
            for name, value in given.items()
            if (text := _as_text(value)) is not None
        }
    for name, value in request.secrets.items():
        variables[f"EXECFABRIC_SECRET_{_variable_name(name)}"] = value
    for name, value in variables.items():
        long = len(value) * 4 > LONGEST_VARIABLE
        if "\0" in value or (long and len(value.encode("utf-8", "replace")) > LONGEST_VARIABLE):
            raise ExecutorError(
                f"The value of {name} cannot be passed to a script: it is longer than "
                f"{LONGEST_VARIABLE // 1024} KiB or contains a NUL character."
            )
    return variables


def _variable_name(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def _as_text(value: JsonValue) -> str | None:
    """Return a scalar as a shell script wants it; None for lists, objects and null."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return None

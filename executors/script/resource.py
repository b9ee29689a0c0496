"""What is to be run: the resource spec of kind ``script``."""

from __future__ import annotations

import os
import stat
from typing import Any, Literal

import pydantic
from pydantic import BaseModel, ConfigDict

from executors.contract import InvalidResource


class ScriptResource(BaseModel):
    """The resource spec of kind ``script``."""

    model_config = ConfigDict(extra="forbid", strict=True)

    folder: str
    """Absolute path of the unpacked bundle."""
    runtime: Literal["python", "shell"]
    entry: str
    python: str | None = None
    """Absolute path of the interpreter of the script's environment; None for a bare one."""


def parse_resource(spec: dict[str, Any]) -> ScriptResource:
    """Return spec, checked. Raises InvalidResource."""
    try:
        resource = ScriptResource.model_validate(spec)
    except pydantic.ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(map(str, problem["loc"])) or "resource"
        raise InvalidResource(
            f"The script resource is wrong: {where}: {problem['msg']}."
        ) from error
    folder, entry = resource.folder, resource.entry
    if not os.path.isabs(folder) or not os.path.isdir(folder):  # noqa: PTH112, PTH117
        raise InvalidResource("The script folder is not there.")
    is_name = os.path.basename(entry) == entry and entry not in ("", ".", "..")  # noqa: PTH119
    if not is_name or not _is_plain_file(f"{folder}/{entry}"):
        raise InvalidResource(f"The script folder has no file {entry!r}.")
    if resource.python is not None and not os.path.isabs(resource.python):  # noqa: PTH117
        raise InvalidResource("The interpreter of the environment must be an absolute path.")
    return resource


def _is_plain_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False

"""Builds the dependencies of a script into an environment of its own.

This happens when a script is synced, never when it runs: a run needs no package index, and what
it gets is what was reviewed.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from executors.contract import ExecutorError
from executors.script.confined import compile_confined
from executors.script.interpreter import is_reachable, library_environment
from executors.script.level import LevelUnavailable
from executors.script.removal import remove_tree
from executors.script.sandbox.level import NamespaceLevel

logger = logging.getLogger(__name__)

BUILD_TIMEOUT_S = 900
SHOWN_LINES = 20
REQUIREMENTS = "requirements.txt"
REQUIREMENTS_BYTES = 256 * 1024

NAME = r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"
REQUIREMENT = re.compile(
    rf"{NAME}\s*(\[[A-Za-z0-9._,\s-]*\])?\s*\(?[\d\s.,*!=<>~a-zA-Z+]*\)?\s*(;[^\\]*)?", re.ASCII
)
HASH_OPTION = re.compile(r"\s--hash=sha(256|384|512):[0-9a-fA-F]+")
SCRIPT_BLOCK = re.compile(r"(?m)^# /// script\s*\n(?P<body>(^#(| .*)\n)+?)^# ///\s*$")
CLAUSE = re.compile(r"(~=|==|!=|<=|>=|<|>)\s*(\d+(?:\.\d+)*)(\.\*)?")

PASSED_VARIABLES = (
    "PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
)


class EnvironmentBuildError(ExecutorError):
    """The dependencies could not be installed; the message carries the installer's last lines."""


def read_requirements(folder: Path) -> str:
    """Return the sorted requirements of a script folder, one a line; empty when it has none.

    They come from ``requirements.txt``, else from the script block (PEP 723) of ``main.py``.
    Only named packages are taken: no options, addresses, paths or other files, which would reach
    past the review. Raises EnvironmentBuildError.
    """
    lines: list[Any]
    listed = folder / REQUIREMENTS
    script = folder / "main.py"
    if listed.is_file():
        lines = _logical_lines(_read(listed))
        where = REQUIREMENTS
    elif script.is_file():
        lines = _script_block(_read(script)).get("dependencies", [])
        where = "The script block of main.py"
    else:
        return ""
    for line in lines:
        if not isinstance(line, str) or not _is_named_package(line):
            raise EnvironmentBuildError(
                f"{where} asks for {str(line)[:100]!r}. Only named packages can be installed, "
                "such as 'openpyxl==3.1.5'."
            )
    return "\n".join(sorted({line.strip() for line in lines}))


def build_environment(
    folder: Path, *, root: Path, python: Path, open_to_all: bool = True
) -> Path | None:
    """Return the interpreter of the environment for a script folder; None when it needs none.

    The environment lies in ``root/<digest>/`` and is built on python, which must be one that runs
    can start (see ``find_interpreter``). It is built once, also when several workers ask at the
    same time. open_to_all: whether runs reach it as any user of the machine, see
    ``IsolationLevel.hides_machine``. Raises EnvironmentBuildError.
    """
    requirements = read_requirements(folder)
    version = _version_of(python)
    _check_python_version(folder, version)
    if not requirements:
        return None
    known = f"{version}\n{os.path.realpath(python)}\n{requirements}"
    target = root / hashlib.sha256(known.encode()).hexdigest()
    interpreter = target / "bin" / "python"
    try:
        root.mkdir(parents=True, exist_ok=True)
        root.chmod(0o755)
    except OSError as error:
        raise EnvironmentBuildError(f"The folder of environments: {error.strerror}.") from error
    with _locked(root / f".{target.name}.lock"):
        if not interpreter.exists():
            _build(target, root=root, python=python, requirements=requirements)
    if os.geteuid() == 0 and open_to_all and not is_reachable(interpreter):
        raise EnvironmentBuildError(
            "The environment lies where the user of a run cannot enter or on an interpreter it "
            "cannot start."
        )
    return interpreter


def _build(target: Path, *, root: Path, python: Path, requirements: str) -> None:
    partial = root / f".{target.name}.partial"
    remove_tree(partial)
    remove_tree(target)
    uv = _find_uv()
    listed = root / f".{target.name}.txt"
    listed.write_text(requirements + "\n", encoding="utf-8")
    quiet = ["--no-progress", "--color", "never"]
    try:
        _run([uv, "venv", *quiet, "--no-project", "--relocatable",
              "--python", str(python), str(partial)], root, python)  # fmt: skip
        _run([uv, "pip", "install", *quiet, "--only-binary", ":all:",
              "--link-mode", "copy", "--python", str(partial / "bin" / "python"),
              "--requirements", str(listed)], root, python)  # fmt: skip
        _compile(partial, python)
        partial.rename(target)
    except BaseException:
        remove_tree(partial)
        raise
    finally:
        listed.unlink(missing_ok=True)


def _compile(environment: Path, python: Path) -> None:
    """Compile all modules: a run may not write here and would compile what it imports anew.

    Not by uv, which would start the environment's interpreter, and with it code of the packages.
    What cannot be compiled, such as templates, is left to fail where it is imported.
    """
    library = environment / "lib"
    try:
        level = NamespaceLevel()
        level.check()
        compile_confined(library, level=level, python=python)
    except LevelUnavailable:
        _compile_here(library, python)  # Where scripts have no sandbox either.
    except (OSError, ExecutorError) as error:
        logger.warning("The modules of an environment were not compiled: %s.", error)


def _compile_here(library: Path, python: Path) -> None:
    with suppress(OSError, subprocess.TimeoutExpired):  # Slower to import, but whole.
        subprocess.run(
            [str(python), "-I", "-S", "-m", "compileall", "-q", "-q", str(library)],
            env=library_environment(python),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=BUILD_TIMEOUT_S,
            umask=0o022,
            check=False,
        )


def _run(command: list[str], root: Path, python: Path) -> None:
    cache = root / ".cache"
    environment = {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ}
    environment |= {name: value for name, value in os.environ.items() if name.startswith("UV_")}
    environment |= {
        "HOME": str(cache),
        "UV_CACHE_DIR": str(cache),
        "UV_SYSTEM_CERTS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        **library_environment(python),
    }
    try:
        done = subprocess.run(
            command,
            env=environment,
            cwd="/",  # uv looks for settings from here upwards.
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=BUILD_TIMEOUT_S,
            umask=0o022,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EnvironmentBuildError(
            f"Installing the dependencies took more than {BUILD_TIMEOUT_S} s."
        ) from error
    except OSError as error:
        raise EnvironmentBuildError(f"uv could not be started: {error}.") from error
    if done.returncode != 0:
        said = done.stdout.decode("utf-8", "replace").replace(str(root), "").strip()
        # An index may carry credentials in its address, and uv repeats the address.
        said = re.sub(r"(://)[^/\s@]+@", r"\1***@", said)
        tail = "\n".join(said.splitlines()[-SHOWN_LINES:])
        raise EnvironmentBuildError(f"The dependencies could not be installed:\n{tail}")


def _find_uv() -> str:
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("uv")
    if not found:
        raise EnvironmentBuildError(
            "The script has dependencies, but uv, which installs them, is not on this machine. "
            "Install execfabric[server], or uv itself."
        )
    return found


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
        if len(data) > 4 * REQUIREMENTS_BYTES:
            raise EnvironmentBuildError(f"{path.name} is too large.")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise EnvironmentBuildError(f"{path.name} is not UTF-8 text.") from error
    except OSError as error:
        raise EnvironmentBuildError(f"{path.name} cannot be read: {error.strerror}.") from error


def _is_named_package(line: str) -> bool:
    bare = HASH_OPTION.sub("", line)
    name = re.split(r"[\s\[(;<>=!~]", bare, maxsplit=1)[0]
    return (
        REQUIREMENT.fullmatch(bare) is not None
        and not re.search(r"[\r\n]|\s-", bare)
        and not name.endswith((".whl", ".zip", ".gz"))
    )


def _logical_lines(text: str) -> list[str]:
    """Return requirement lines without comments; a trailing backslash joins the next line."""
    joined = re.sub(r"\\\r?\n", " ", text)
    lines = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in joined.splitlines())
    return [line for line in lines if line]


def _script_block(source: str) -> dict[str, Any]:
    """Return the tables of a PEP 723 block; empty without one."""
    match = SCRIPT_BLOCK.search(source)
    if not match:
        return {}
    body = "\n".join(line[2:] for line in match["body"].splitlines())
    try:
        return tomllib.loads(body)
    except tomllib.TOMLDecodeError as error:
        raise EnvironmentBuildError(f"The script block of main.py is not TOML: {error}.") from error


def _check_python_version(folder: Path, version: str) -> None:
    """Refuse a script whose block asks for another Python than the one there is."""
    script = folder / "main.py"
    wanted = (
        str(_script_block(_read(script)).get("requires-python", "")) if script.is_file() else ""
    )
    have = [int(part) for part in version.split(".")]
    for clause in filter(None, (part.strip() for part in wanted.split(","))):
        match = CLAUSE.fullmatch(clause)
        if not match:
            raise EnvironmentBuildError(f"requires-python {wanted!r} of main.py is not understood.")
        if not _fits(have, match[1], [int(p) for p in match[2].split(".")], bool(match[3])):
            raise EnvironmentBuildError(
                f"The script asks for Python {wanted}, but this machine has {version}."
            )


def _fits(have: list[int], operator: str, want: list[int], wildcard: bool) -> bool:
    prefix = have[: len(want)]
    same = prefix == want if wildcard else have == want + [0] * (len(have) - len(want))
    match operator:
        case "==":
            return same
        case "!=":
            return not same
        case "~=":
            return have >= want and have[: len(want) - 1] == want[:-1]
        case ">=":
            return have >= want
        case "<=":
            return have <= want or same
        case ">":
            return have > want and not same
        case _:
            return have < want


def _version_of(python: Path) -> str:
    """Return the version as 3.11.7."""
    code = "import sys; print('.'.join(map(str, sys.version_info[:3])))"
    try:
        done = subprocess.run(
            [str(python), "-I", "-S", "-c", code],
            env=library_environment(python),
            capture_output=True,
            check=True,
            text=True,
            timeout=60,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise EnvironmentBuildError(f"{python.name} cannot be started: {error}.") from error
    return done.stdout.strip()

"""Make .venv with the locked dependencies: python3 bootstrap.py [server|dev]

Runs under the system's Python, standard library only, and needs pip but not python3-venv. Does
nothing when .venv is up to date. "dev" includes all of "server".
"""

from __future__ import annotations  # so that an old Python gets as far as main()

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
OLDEST_PYTHON = (3, 11)
GROUPS = {"server": ("server",), "dev": ("dev", "server")}
STAMP_NAME = "execfabric.json"
LOG_NAME = "install.log"
SIGN_OF_LIFE_S = 10.0
LOG_LINES_SHOWN = 12
# uv does not read pip's configuration, which is where many networks name their package index.
PIP_TO_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "proxy": "HTTPS_PROXY",
}

ENTRY_SCRIPT = """\
#!/bin/sh
'''exec' {python} "$0" "$@"
'''
import sys

from {module} import {function}

sys.exit({function}())
"""


class BootstrapError(Exception):
    """The environment could not be made. The text is for the operator."""


class Environment:
    """The virtual environment of the clone at root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / ".venv"
        self.python = self.path / "bin" / "python"
        self.stamp = self.path / STAMP_NAME
        self.log = self.path / LOG_NAME

    def is_current(self, group: str) -> bool:
        """Return whether nothing is left to do for group."""
        stamp = self._read_stamp()
        return (
            self._is_ours(stamp)
            and stamp.get("groups", {}).get(group) == self._digest(group)
            and stamp.get("project") == self._project_digest()
        )

    def make(self, group: str) -> None:
        """Create or repair the environment and install group. Raises BootstrapError."""
        if not self._is_usable():
            self._remove()
            self._create()
        groups = self._read_stamp().get("groups", {})
        self._write_stamp({}, built=False)
        self._install_uv()
        self._install(group)
        self._install_project()
        # Another group keeps its mark only if its packages were not touched.
        kept = {name: mark for name, mark in groups.items() if mark == self._digest(name)}
        done = {name: self._digest(name) for name in GROUPS[group]}
        self._write_stamp({**kept, **done}, built=True)

    def _is_ours(self, stamp: dict[str, Any]) -> bool:
        # A copied or moved environment still points to its old place, and an upgrade of the
        # system may have removed the interpreter it was made from.
        return (
            bool(stamp.get("built"))
            and stamp.get("root") == str(self.root)
            and stamp.get("interpreter") == os.path.realpath(self.python)
            and os.access(self.python, os.X_OK)
        )

    def _is_usable(self) -> bool:
        if self.stamp.exists():
            return self._is_ours(self._read_stamp())
        if not self.python.exists():
            return False
        # Somebody else's environment: take it as it is, if it works in this place.
        script = "import sys; print(sys.prefix, *sys.version_info[:2], sep='\\n')"
        try:
            done = subprocess.run(
                [self.python, "-I", "-c", script], capture_output=True, text=True, timeout=30
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        lines = done.stdout.splitlines()
        if done.returncode != 0 or len(lines) != 3:
            return False
        same_place = os.path.realpath(lines[0]) == os.path.realpath(self.path)
        return same_place and (int(lines[1]), int(lines[2])) >= OLDEST_PYTHON

    def _remove(self) -> None:
        if self.path.is_symlink() or self.path.is_file():
            self.path.unlink()
        elif self.path.exists():
            say("Removing the unfinished or moved .venv")
            shutil.rmtree(self.path)

    def _create(self) -> None:
        say("Creating .venv")
        self.path.mkdir()
        self._write_stamp({}, built=False)
        # --without-pip works without the package python3-venv.
        command = [sys.executable, "-m", "venv", "--without-pip", str(self.path)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise BootstrapError(f"Python could not create .venv: {last_line(done.stderr)}")
        self._write_stamp({}, built=False)

    def _install_uv(self) -> None:
        command = [*self._find_pip(), "install", "--quiet", "--no-input", "--require-hashes"]
        command += ["--disable-pip-version-check", "--only-binary", ":all:"]
        command += ["-r", str(self.root / "requirements-bootstrap.lock")]
        # A user's pip configuration may ask for installs outside of any environment.
        self._run(command, {"PIP_USER": "0", "PIP_TARGET": "", "PIP_PREFIX": ""}, "the installer")

    def _find_pip(self) -> list[str]:
        if importlib.util.find_spec("pip") is not None:
            return [sys.executable, "-m", "pip", "--python", str(self.python)]
        done = subprocess.run([self.python, "-m", "ensurepip"], capture_output=True)
        if done.returncode == 0:
            return [str(self.python), "-m", "pip"]
        raise BootstrapError(
            "Python's pip is missing. Install it (Debian and Ubuntu: apt install python3-pip; "
            "Fedora: dnf install python3-pip), then retry."
        )

    def _install(self, group: str) -> None:
        command = [str(self.path / "bin" / "uv"), "pip", "install", "--python", str(self.python)]
        command += ["--require-hashes", "--only-binary", ":all:"]
        command += ["-r", str(self.root / f"requirements-{group}.lock")]
        self._run(command, uv_environment(self.path), f"the packages for {group}")

    def _install_project(self) -> None:
        """Make the clone importable and write its commands; needs no build tool this way."""
        import tomllib  # not in Pythons that main() has yet to refuse

        site = next((self.path / "lib").glob("python3*/site-packages"))
        (site / "execfabric.pth").write_text(f"{self.root}\n", encoding="utf-8")
        project = tomllib.loads((self.root / "pyproject.toml").read_text(encoding="utf-8"))
        for name, target in project["project"].get("scripts", {}).items():
            module, _, function = target.partition(":")
            python = '"' + str(self.python).replace("\\", "\\\\").replace('"', '\\"') + '"'
            script = self.path / "bin" / name
            script.write_text(
                ENTRY_SCRIPT.format(python=python, module=module, function=function),
                encoding="utf-8",
            )
            script.chmod(0o755)

    def _run(self, command: list[str], extra: dict[str, str], what: str) -> None:
        """Run command, its output to the log, with a sign of life every ten seconds."""
        say(f"Installing {what}")
        began = time.monotonic()
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.root,
                env={**os.environ, **extra}, pass_fds=held_locks,
            )  # fmt: skip
            while True:
                try:
                    code = process.wait(SIGN_OF_LIFE_S)
                    break
                except subprocess.TimeoutExpired:
                    say(f"  still installing ({time.monotonic() - began:.0f} s)")
                except BaseException:
                    process.kill()
                    raise
        if code != 0:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
            shown = "\n".join(f"  {line}" for line in lines[-LOG_LINES_SHOWN:])
            raise BootstrapError(
                f"Could not install {what}. Is the package index reachable? Behind a proxy set "
                f"HTTPS_PROXY; with an index of your own set PIP_INDEX_URL. It said:\n{shown}"
            )

    def _digest(self, group: str) -> str:
        return digest(self.root / f"requirements-{group}.lock")

    def _project_digest(self) -> str:
        return digest(self.root / "pyproject.toml")

    def _read_stamp(self) -> dict[str, Any]:
        try:
            stamp = json.loads(self.stamp.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return stamp if isinstance(stamp, dict) else {}

    def _write_stamp(self, groups: dict[str, str], built: bool) -> None:
        facts = {
            "built": built,
            "groups": groups,
            "project": self._project_digest(),
            "root": str(self.root),
            "interpreter": os.path.realpath(self.python),
        }
        draft = self.stamp.with_suffix(".partial")
        draft.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        draft.replace(self.stamp)


# Children inherit the lock, so a killed bootstrap's installer still keeps others out.
held_locks: list[int] = []


@contextlib.contextmanager
def only_one(root: Path) -> Iterator[None]:
    """Keep other bootstraps of this clone waiting until the block ends."""
    handle = os.open(root, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another make that prepares .venv")
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:
            pass  # this file system cannot lock a folder; go on without
        held_locks.append(handle)
        yield
    finally:
        held_locks.clear()
        os.close(handle)


def require_user_name() -> None:
    """Raise BootstrapError if PostgreSQL, which is to run as this user, would refuse to.

    Said before minutes of installing; the start itself checks it too.
    """
    given = ("EXECFABRIC_DATABASE_URL", "EXECFABRIC_DATABASE_URL_FILE")
    if any(os.environ.get(name) for name in given):
        return
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        raise BootstrapError(
            f"The user id {os.geteuid()} has no name on this machine, and PostgreSQL makes no "
            "database without one. Add a line for it to /etc/passwd, or start as another user."
        ) from None


def uv_environment(venv: Path) -> dict[str, str]:
    """Return what to add to the environment for uv."""
    extra = {
        "UV_SYSTEM_CERTS": "1",
        "UV_NO_PROGRESS": "1",
        # Look in every index, as pip does. The hashes say which file is the right one.
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }
    if "HOME" not in os.environ and "XDG_CACHE_HOME" not in os.environ:
        extra["UV_CACHE_DIR"] = str(venv / "cache")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True
    )
    listed = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    configured = {name.rpartition(".")[2]: value.strip("'\"") for name, value in listed.items()}
    for option, variable in PIP_TO_UV.items():
        pip_variable = "PIP_" + option.upper().replace("-", "_")
        value = os.environ.get(pip_variable) or configured.get(option)
        if value and variable not in os.environ:
            extra[variable] = value
    return extra


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def last_line(text: str) -> str:
    """Return the last line of text that is not empty."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "no reason given")


def say(text: str) -> None:
    """Print progress at once."""
    print(text, flush=True)


def main(arguments: list[str]) -> int:
    """Run the command line; return the exit code."""
    group = arguments[0] if arguments else "server"
    if group not in GROUPS or len(arguments) > 1:
        print(__doc__.splitlines()[0], file=sys.stderr)
        return 2
    if sys.version_info < OLDEST_PYTHON:
        found = ".".join(str(part) for part in sys.version_info[:3])
        print(
            f"ExecFabric needs Python 3.11 or newer, this is {found}. Name another one, for "
            "example: make demo PYTHON=python3.11",
            file=sys.stderr,
        )
        return 1
    environment = Environment(ROOT)
    if environment.is_current(group):
        return 0
    try:
        with only_one(ROOT):
            if not environment.is_current(group):
                require_user_name()
                began = time.monotonic()
                environment.make(group)
                say(f"The Python environment is ready ({time.monotonic() - began:.0f} s)")
    except BootstrapError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"Cannot prepare .venv: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

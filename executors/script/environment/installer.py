"""Starts uv: bounded in time, output and disk, and with errors that say nothing of the machine."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from executors.contract import MEBIBYTE
from executors.script.environment.errors import EnvironmentBuildError
from executors.script.interpreter import library_environment

RESOLVE_TIMEOUT_S = 120
BUILD_TIMEOUT_S = 900
LOOK_EVERY_S = 0.5
OUTPUT_BYTES = 4 * MEBIBYTE
FILE_BYTES = 2048 * MEBIBYTE
"""Largest file uv may write; a wheel can hold more than it seems to."""
DISK_BYTES = 8192 * MEBIBYTE
"""How much room on the disk may go while one environment is made."""
LEAST_FREE_BYTES = 256 * MEBIBYTE
SHOWN_LINES = 20
SHOWN_CHARACTERS = 2000

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
INDEXES = ("UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX")
OTHER_SOURCES = (*INDEXES, "UV_NO_INDEX", "UV_FIND_LINKS")
"""Left out where an index is configured, so that no other one can answer for it."""

UNREACHABLE = re.compile(
    r"error sending request|dns error|tcp connect error|[Cc]onnection refused|timed out"
    r"|Failed to fetch|connection closed"
)
NOT_ALLOWED = re.compile(r"\b(401 Unauthorized|403 Forbidden|407 Proxy)")
ADDRESS = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s`'\")]+")
PATH = re.compile(r"(?<![\w./-])(?:~|\.{1,2})?/[^\s`'\":,)]+")
COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
OFFLINE_MESSAGE = (
    "The package index cannot be reached from here, so the packages cannot be had. Try again "
    "later; whoever operates the platform can name another index with EXECFABRIC_PACKAGE_INDEX_URL."
)
NOT_ALLOWED_MESSAGE = (
    "The package index refused the platform's login. Whoever operates the platform has to correct "
    "EXECFABRIC_PACKAGE_INDEX_URL."
)


@dataclass(frozen=True)
class Installer:
    """uv with a cache folder of its own. index_url may carry a login; it is passed by environment,
    which other users cannot read, and is never repeated."""

    cache: Path
    index_url: str = ""

    def run(self, arguments: Sequence[str], *, python: Path, doing: str, timeout_s: float) -> str:
        """Run uv and return what it wrote to standard output.

        python: the interpreter uv is told about. doing: completes "… could not be". Raises
        EnvironmentBuildError.
        """
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            try:
                process = subprocess.Popen(
                    [_find_uv(), *arguments, "--no-progress", "--no-config", "--color", "never"],
                    env=self._environment(python),
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    umask=0o022,
                    start_new_session=True,
                )
            except OSError as error:
                raise EnvironmentBuildError(
                    f"uv could not be started: {error.strerror}."
                ) from error
            with process:
                try:
                    self._follow(process, (out, err), timeout_s)
                finally:
                    if process.poll() is None:
                        with suppress(ProcessLookupError):
                            os.killpg(process.pid, signal.SIGKILL)
            if process.returncode != 0:
                raise EnvironmentBuildError(self._explain(_text_of(err) or _text_of(out), doing))
            return _text_of(out)

    def _follow(
        self, process: subprocess.Popen[bytes], outputs: Sequence[IO[bytes]], timeout_s: float
    ) -> None:
        with suppress(ProcessLookupError):
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
        deadline = time.monotonic() + timeout_s
        self.cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        room = shutil.disk_usage(self.cache).free
        while True:
            with suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_EVERY_S)
                return
            if time.monotonic() > deadline:
                raise EnvironmentBuildError(
                    f"Getting the packages took more than {timeout_s:.0f} s. Ask for fewer, or "
                    "name their exact versions."
                )
            if any(os.fstat(output.fileno()).st_size > OUTPUT_BYTES for output in outputs):
                raise EnvironmentBuildError("There are too many packages to list. Ask for fewer.")
            free = shutil.disk_usage(self.cache).free
            if room - free > DISK_BYTES or free < LEAST_FREE_BYTES:
                raise EnvironmentBuildError(
                    "There is no room for the packages. Ask for fewer or smaller ones."
                )

    def _environment(self, python: Path) -> dict[str, str]:
        environment = {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ}
        environment |= {name: value for name, value in os.environ.items() if name.startswith("UV_")}
        if self.index_url:
            for name in OTHER_SOURCES:
                environment.pop(name, None)
            environment["UV_DEFAULT_INDEX"] = self.index_url
        return environment | {
            "HOME": str(self.cache),
            "UV_CACHE_DIR": str(self.cache),
            "UV_SYSTEM_CERTS": "1",
            "UV_PYTHON_DOWNLOADS": "never",
            **library_environment(python),
        }

    def _explain(self, said: str, doing: str) -> str:
        """Return uv's words for the author of a script, without addresses, hosts and folders."""
        if NOT_ALLOWED.search(said):
            return NOT_ALLOWED_MESSAGE
        if UNREACHABLE.search(said):
            return OFFLINE_MESSAGE
        return f"The packages could not be {doing}:\n{readable(said, self._environment(Path()))}"


def readable(said: str, environment: Mapping[str, str]) -> str:
    """Return what uv said, shortened. environment names the indexes, whose hosts are left out."""
    text = COLOURS.sub("", said)
    text = ADDRESS.sub("the package index", text)
    for name in (*INDEXES, "UV_FIND_LINKS"):
        for address in environment.get(name, "").split():
            host = urlsplit(address.partition("=")[2] or address).hostname
            if host:
                text = re.sub(rf"\b{re.escape(host)}\b(:\d+)?", "the package index", text)
    text = PATH.sub("…", text)
    lines = []
    for line in text.splitlines():
        words = line.strip(" \t×╰├│─▶").removeprefix("error: ").removeprefix("cause: ")
        if words and "--" not in words:
            lines.append(words)
    shown = "\n".join(lines[:SHOWN_LINES])
    return shown if len(shown) <= SHOWN_CHARACTERS else f"{shown[:SHOWN_CHARACTERS]}…"


def _text_of(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(OUTPUT_BYTES).decode("utf-8", "replace").strip()


def _find_uv() -> str:
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("uv")
    if not found:
        raise EnvironmentBuildError(
            "The script has dependencies, but uv, which installs them, is not on this machine. "
            "Install execfabric[server], or uv itself."
        )
    return found

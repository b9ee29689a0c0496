"""The environments on this host's disk: found by digest, built once, shared read-only, swept.

An environment is a folder ``<root>/<digest>``; it is there only once it is whole. Beside it lies a
lock file, whose time says when the environment was last used.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from executors.contract import MEBIBYTE, ExecutorError
from executors.script.confined import compile_confined
from executors.script.environment.archive import unpack_environment
from executors.script.environment.errors import EnvironmentBuildError
from executors.script.environment.installer import BUILD_TIMEOUT_S, Installer
from executors.script.environment.lock import Lock, parse_lock
from executors.script.interpreter import is_reachable, library_environment
from executors.script.interpreters import Interpreter
from executors.script.level import LevelUnavailable
from executors.script.removal import remove_tree
from executors.script.sandbox.level import NamespaceLevel

logger = logging.getLogger(__name__)

MARK_EVERY_S = 3600
SHORTEST_KEEP_S = 2 * 86_400
"""The longest run takes a day; what was used since then may be in use."""
DIGEST = re.compile(r"[0-9a-f]{64}")
CACHE = ".cache"
COMPILER_BYTES = 2048 * MEBIBYTE


class Environments:
    """All environments below one folder. Safe to use from several processes and threads."""

    def __init__(
        self,
        root: Path,
        *,
        index_url: str = "",
        open_to_all: bool = True,
        has_sandbox: bool = True,
    ) -> None:
        """open_to_all: whether runs reach them as any user of the machine, see
        ``IsolationLevel.hides_machine``. has_sandbox: whether runs have one, of whatever kind
        (``is_sandbox``); then what packages bring is never touched outside of one."""
        self.root = root
        self.installer = Installer(root / CACHE, index_url)
        self._open_to_all = open_to_all
        self._has_sandbox = has_sandbox

    def find(self, digest: str) -> Path | None:
        """Return the interpreter of an environment and note its use; None where it is not."""
        interpreter = self._interpreter(digest)
        if not interpreter.exists():
            return None
        try:
            if time.time() - self._lock_path(digest).stat().st_mtime < MARK_EVERY_S:
                return interpreter
        except OSError:
            pass
        # A sweep may be about to remove it: under the lock it has either done so or never will.
        with self._locked(digest) as lock:
            os.utime(lock)
            return interpreter if interpreter.exists() else None

    def build(self, lock: Lock, interpreter: Interpreter) -> Path:
        """Return the interpreter of the environment of a lock; install it from the index if need
        be. However many ask at once, it is built once. Raises EnvironmentBuildError.
        """
        return self._make(lock.digest, interpreter, lambda folder: self._install(folder, lock))

    def restore(
        self, digest: str, interpreter: Interpreter, fetch: Callable[[], IO[bytes]]
    ) -> Path:
        """Return the interpreter of an environment; unpack it from what fetch gives if need be.

        fetch is called at most once, returns an archive that was verified, and may raise. Needs no
        index. Raises EnvironmentBuildError.
        """

        def fill(folder: Path) -> None:
            with fetch() as archive:
                unpack_environment(archive, folder)

        return self._make(digest, interpreter, fill)

    def sweep(self, keep_s: float) -> None:
        """Remove what nobody used for keep_s, 2 days at least, and what killed builds left."""
        if not self.root.is_dir():
            return
        oldest = time.time() - max(keep_s, SHORTEST_KEEP_S)
        names = {path.name.lstrip(".").partition(".")[0] for path in self.root.iterdir()}
        for digest in filter(DIGEST.fullmatch, names):
            self._sweep_one(digest, oldest)
        cache = self.root / CACHE
        with suppress(OSError):
            if cache.stat().st_mtime < oldest:
                remove_tree(cache)

    def _sweep_one(self, digest: str, oldest: float) -> None:
        try:
            with self._locked(digest, wait=False) as lock:
                remove_tree(self._partial(digest))
                if os.fstat(lock).st_mtime < oldest:
                    self._remove(digest)
                    self._lock_path(digest).unlink()
        except OSError:
            return  # Being built just now, or gone.

    def _make(self, digest: str, interpreter: Interpreter, fill: Callable[[Path], None]) -> Path:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self.root.chmod(0o755)
        except OSError as error:
            raise EnvironmentBuildError(f"The folder of environments: {error.strerror}.") from error
        made = self._interpreter(digest)
        with self._locked(digest) as lock:
            if not made.exists():
                self._fill(digest, interpreter, fill)
            os.utime(lock)
        if os.geteuid() == 0 and self._open_to_all and not is_reachable(made):
            raise EnvironmentBuildError(
                "The environment lies where the user of a run cannot enter or on an interpreter it "
                "cannot start."
            )
        return made

    def _fill(self, digest: str, interpreter: Interpreter, fill: Callable[[Path], None]) -> None:
        partial = self._partial(digest)
        remove_tree(partial)
        self._remove(digest)
        try:
            make_empty(partial, interpreter)
            fill(partial)
            partial.rename(self.root / digest)
        except BaseException:
            remove_tree(partial)
            raise

    def _remove(self, digest: str) -> None:
        """Remove an environment, if it is there; it is never seen in parts."""
        with suppress(FileNotFoundError):
            (self.root / digest).rename(self._partial(digest))
            remove_tree(self._partial(digest))

    def _install(self, folder: Path, lock: Lock) -> None:
        if not lock.text:
            return
        # Of what was stored only entries reach the installer: an option in it would be obeyed.
        lines = [
            " ".join([f"{name}=={version}", *(f"--hash={value}" for value in hashes)])
            for name, version, hashes in parse_lock(lock.text)
        ]
        python = folder / "bin" / "python"
        with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as listed:
            listed.write("\n".join(lines) + "\n")
            listed.flush()
            self.installer.run(
                ["pip", "install", "--quiet", "--require-hashes", "--no-deps",
                 "--only-binary", ":all:", "--link-mode", "copy",
                 "--python", str(python), "--requirements", listed.name],
                python=python, doing="installed", timeout_s=BUILD_TIMEOUT_S,
            )  # fmt: skip
        compile_modules(folder, Path(os.path.realpath(python)), has_sandbox=self._has_sandbox)

    def _interpreter(self, digest: str) -> Path:
        return self.root / digest / "bin" / "python"

    def _partial(self, digest: str) -> Path:
        return self.root / f".{digest}.partial"

    def _lock_path(self, digest: str) -> Path:
        return self.root / f".{digest}.lock"

    @contextmanager
    def _locked(self, digest: str, *, wait: bool = True) -> Iterator[int]:
        """Hold the lock of one digest. Raises BlockingIOError where not to wait."""
        with lock_file(self._lock_path(digest), wait=wait) as lock:
            yield lock


def make_empty(folder: Path, interpreter: Interpreter) -> None:
    """Make a virtual environment without packages: what Python itself looks for and no more, so
    that what is added later is all there is to pack."""
    major, minor, _ = interpreter.version
    folder.mkdir(mode=0o755)
    (folder / "bin").mkdir(mode=0o755)
    (folder / "lib" / f"python{major}.{minor}" / "site-packages").mkdir(mode=0o755, parents=True)
    (folder / "lib64").symlink_to("lib")
    (folder / "bin" / "python").symlink_to(interpreter.path)
    for name in (f"python{major}", f"python{major}.{minor}"):
        (folder / "bin" / name).symlink_to("python")
    settings = {
        "home": str(interpreter.path.parent),
        "implementation": "CPython",
        "version_info": interpreter.version_text,
        "include-system-site-packages": "false",
        "relocatable": "true",  # For uv: programs of packages find the interpreter beside them.
    }
    text = "".join(f"{name} = {value}\n" for name, value in settings.items())
    (folder / "pyvenv.cfg").write_text(text, encoding="utf-8")


@contextmanager
def lock_file(path: Path, *, wait: bool = True) -> Iterator[int]:
    """Hold a lock that ends with its process; yield its descriptor.

    Its holder may remove the file. Raises BlockingIOError where not to wait.
    """
    lock = _take(path, wait)
    while lock is None:
        lock = _take(path, wait)
    try:
        yield lock
    finally:
        os.close(lock)


def _take(path: Path, wait: bool) -> int | None:
    """Return the locked file; None when it was removed by who held it before us."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        if path.stat().st_ino == os.fstat(lock).st_ino:
            return lock
    except FileNotFoundError:
        pass
    except BaseException:
        os.close(lock)
        raise
    os.close(lock)
    return None


def compile_modules(environment: Path, python: Path, *, has_sandbox: bool) -> None:
    """Compile all modules: a run may not write here and would compile what it imports anew.

    Not by uv, which would start the environment's interpreter, and with it code of the packages.
    What cannot be compiled, such as templates, is left to fail where it is imported.
    """
    library = environment / "lib"
    try:
        level = NamespaceLevel()
        level.check()
        compile_confined(library, level=level, python=python)
    except LevelUnavailable as error:
        if not has_sandbox:
            _compile_here(library, python)  # Scripts have none either.
        else:
            logger.warning("Modules are not compiled, so runs import them slower: %s", error)
    except (OSError, ExecutorError) as error:
        logger.warning("The modules of an environment were not compiled: %s.", error)


def _compile_here(library: Path, python: Path) -> None:
    with (
        suppress(OSError, subprocess.TimeoutExpired),  # Slower to import, but whole.
        subprocess.Popen(
            [str(python), "-I", "-S", "-m", "compileall", "-q", "-q",
             # Nothing here changes any more, and times are not kept when it is stored.
             "--invalidation-mode", "unchecked-hash", str(library)],
            env=library_environment(python),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            umask=0o022,
        ) as compiler,
    ):  # fmt: skip
        try:
            # A source can be written to cost its compiler all memory.
            limits = (COMPILER_BYTES, COMPILER_BYTES)
            resource.prlimit(compiler.pid, resource.RLIMIT_AS, limits)
            compiler.wait(BUILD_TIMEOUT_S)
        finally:
            compiler.kill()

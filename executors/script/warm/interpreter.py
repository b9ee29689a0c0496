"""How a forked child of a zygote becomes the interpreter of a script, and how that one ends.

A script must not tell whether its interpreter started for it. What an interpreter takes from its
command line and environment at its start is put in place here, and what it does at its end, too.
"""

# What is done for each run is done with few objects: each one that is used has its page copied.

# The script's own errors are shown by the harness; here nothing may escape:
# ruff: noqa: BLE001, PTH116, PTH123, SIM115

from __future__ import annotations

import atexit
import ctypes
import gc
import io
import json
import os
import site
import sys
import threading
import types
import warnings
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from executors.script.warm.fork_hooks import hand_over
from executors.script.warm.packages import (
    done_once,
    import_known,
    imported_first,
    look_for_code,
)

if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # Without enumerations, whose pages each run would have copied.

HARNESS = "/job/harness.py"
LAST = "posix"
"""What comes after it in the table of modules is the script's; no script lets go of this one."""
OWN_PACKAGE = "executors"
REHEARSALS = 20
"""Python looks for shortcuts in code that ran some times; then it would write to shared memory."""
SAMPLE = (
    '"""A script."""\n\nimport sys\n\n\ndef main(n: int) -> dict[str, object]:\n'
    '    return {"n": n, "name": sys.executable}\n\n\n'
    'if __name__ == "__main__":\n    print(main(1))\n'
)
MOST_COMPILED_BYTES = 100_000
"""No time limit is kept while an entry is compiled for several rows; this takes about 0.2 s."""
WRITERS = io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom
FLUSH_FAILED = 120
"""What Python itself exits with when the rest of the output cannot be written."""


class WarmInterpreter:
    """The zygote's own interpreter, ready to be forked."""

    def __init__(self, code: str, preloaded: tuple[str, ...]) -> None:
        """code: the folder the platform's code is imported from. preloaded: names of modules."""
        for name in preloaded:
            try:
                __import__(name)
            except ImportError:
                continue  # Not every machine has the whole standard library.
        self.code = code
        self.harness = types.ModuleType("__main__")
        self.harness.__file__ = HARNESS
        self.harness.__name__ = "harness"  # It starts itself only as the main module.
        for part in ("harness_entry.py", "harness.py"):
            with open(f"{code}/executors/script/{part}", "rb") as stream:
                compiled = compile(stream.read(), HARNESS, "exec", dont_inherit=True)
            exec(compiled, self.harness.__dict__)  # noqa: S102 - our own file
        rehearse(self.harness.__dict__, REHEARSALS)
        self.harness.__name__ = "__main__"
        self.own = {name for name in sys.modules if name.partition(".")[0] == OWN_PACKAGE}
        self.loaded = set(sys.modules)
        self.has_entered = False
        """Whether the environment of the script is there already."""

    def prepare_rows(self, order: dict[str, Any]) -> None:
        """Do what is the same for all rows of a sandbox. Raises whatever environment and packages
        raise, and NotTheSame where it might not be the same."""
        script = self.harness.__dict__["Script"](*order["argv"][-2:])
        is_compiled = self.compile_entry(script)
        if not order["python"]["has_environment"]:
            return
        with done_once(flush_standard_streams):
            enter_environment()
            look_for_code(sys.path)
            if is_compiled:
                with open(script.path, "rb") as stream:
                    source = stream.read()
                import_known(imported_first(source), script.folder)
        self.has_entered = True
        self.loaded = set(sys.modules)
        sys.modules[LAST] = sys.modules.pop(LAST)

    def compile_entry(self, script: Any) -> bool:
        """Compile the entry for all rows, unless each is to show what comes of it. Returns whether
        it is compiled."""
        try:
            if os.stat(script.path).st_size > MOST_COMPILED_BYTES:
                return False
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                self.harness.__dict__["compiled"][script.path] = script.compile()
        except Exception:
            return False
        return True

    def become_script(
        self, order: dict[str, Any]
    ) -> tuple[Callable[[], None], Callable[[BaseException | None], None]]:
        """Return the harness, to be called as an interpreter of its own would, and ``end``.

        The process has given up all rights. From here on an error is the script's.
        """
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for number in (signal.SIGPIPE, signal.SIGXFSZ):
                signal.signal(number, signal.SIG_IGN)
            hand_over()
            if order["python"]["has_environment"] and not self.has_entered:
                enter_environment()
        except BaseException as error:
            self.end(error)
        return self.harness.__dict__["main"], self.end

    def end(self, error: BaseException | None) -> None:
        """End as an interpreter does. error: what the harness raised. Never returns."""
        code = 1
        try:
            if error is not None and not isinstance(error, SystemExit):
                raise error
            code = self.finish(exit_code_of(error))
        except BaseException as error:
            sys.__stderr__.write(f"{type(error).__name__}: {error}\n")  # type: ignore[union-attr]
        finally:
            os._exit(code)

    def get_ready(self) -> None:
        """Do what needs no order, in the zygote; from then on it can import no module of ours."""
        for name in self.own:
            # Taking them apart would cost every run more than their memory.
            keep_for_good(sys.modules.pop(name))
        sys.modules["__main__"] = self.harness
        sys.path.remove(self.code)
        sys.path_importer_cache.pop(self.code, None)
        del self.code, self.own  # A script can reach us.
        open_standard_streams()
        os.environ.clear()
        sys.modules[LAST] = sys.modules.pop(LAST)

    def start_afresh(self, order: dict[str, Any]) -> None:
        """Put in place what an interpreter gets as it starts. Nothing of a script is run by it."""
        self.set_variables(order["env"])
        sys.executable = order["python"]["executable"]
        sys.orig_argv = list(order["argv"])
        sys.argv = list(order["argv"][order["argv"].index(HARNESS) :])

    def set_variables(self, env: dict[str, str]) -> None:
        for name, value in env.items():  # update() asks first what it is given.
            os.environ[name] = value

    def rehearse_run(self) -> None:
        """In a process that ends then: do about what becomes of a run without its script."""
        rehearse(self.harness.__dict__, 1)
        hand_over()
        argv = [sys.executable, HARNESS, "/job/script", "main.py"]
        self.start_afresh(
            {"env": {"LANG": "C.UTF-8"}, "python": {"executable": argv[0]}, "argv": argv}
        )
        self.finish(0)

    def finish(self, code: int) -> int:
        """Do what an interpreter does at its end; return the exit code."""
        threading._shutdown()  # type: ignore[attr-defined] # waits for threads
        atexit._run_exitfuncs()
        failed = not flush_standard_streams()
        self.drop_modules()
        failed |= not flush_standard_streams()
        return FLUSH_FAILED if failed and code == 0 else code

    def drop_modules(self) -> None:
        """Let go of the script's modules, so that files it left open are written to their end."""
        added = ["__main__"]
        for name in reversed(sys.modules):
            if name == LAST:
                break
            if name not in self.loaded:
                added.insert(1, name)
        flush_open_files()
        dropped = [sys.modules.pop(name, None) for name in added]
        watched = [
            weakref.ref(each)
            for each in dropped
            if isinstance(each, types.ModuleType) and each is not self.harness
        ]
        del dropped
        gc.collect()
        left = [each for each in (reference() for reference in reversed(watched)) if each]
        for each in left:
            for name in list(each.__dict__):
                if name != "__builtins__":
                    each.__dict__[name] = None
        if left:
            del left, each
            gc.collect()


def rehearse(harness: dict[str, Any], times: int) -> None:
    """Do what comes in every run, so that what Python prepares at first use is there already.

    No script has any part in it.
    """

    def main(number: int, text: str | None = None) -> dict[str, Any]:
        return {"number": number, "text": text}

    inputs = {"number": 1, "text": "text"}
    for _ in range(times):
        harness["look_for_main"](SAMPLE.encode())
        compile(SAMPLE, "/sample.py", "exec", dont_inherit=True)
        arguments = harness["typed_arguments"](main, json.loads(json.dumps(inputs)))
        json.dumps(main(**arguments), default=harness["plain"], ensure_ascii=False, allow_nan=False)


def keep_for_good(thing: object) -> None:
    """Keep a thing alive that nothing refers to any more."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def exit_code_of(end: SystemExit | None) -> int:
    """Return the exit code that an interpreter would end with."""
    code = None if end is None else end.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    sys.stdout.flush()
    sys.stderr.write(f"{code}\n")
    return 1


def open_standard_streams() -> None:
    """Open them on a pipe, as those of a run are: the run's take their places in a child."""
    own = os.dup(1), os.dup(2)
    reader, writer = os.pipe()
    os.dup2(writer, 1)
    os.dup2(writer, 2)
    sys.stdin = sys.__stdin__ = _stream(0, "rb", "<stdin>", "surrogateescape")  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _stream(1, "wb", "<stdout>", "surrogateescape")  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _stream(2, "wb", "<stderr>", "backslashreplace")  # type: ignore[misc]
    for number, descriptor in zip((1, 2), own, strict=True):
        os.dup2(descriptor, number)
    for descriptor in (*own, reader, writer):
        os.close(descriptor)


def _stream(descriptor: int, mode: str, name: str, errors: str) -> io.TextIOWrapper:
    binary: Any = open(descriptor, mode, closefd=False)
    binary.raw.name = name
    newline = None if mode == "rb" else "\n"
    text: Any = io.TextIOWrapper(
        binary, "utf-8", errors, newline, line_buffering=name == "<stderr>"
    )
    text.mode = mode[0]
    opened: io.TextIOWrapper = text
    return opened


def flush_standard_streams() -> bool:
    """Return whether all of it could be written."""
    written = True
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except Exception:
            written = False
    return written


def flush_open_files() -> None:
    """Write what files hold back that something of the script still refers to. They may lie in a
    ring, as one does that a function names, and a collection would close them too early."""
    if not open_files():
        return
    gc.collect()  # What nothing refers to is an interpreter's to close, in its order.
    for file in open_files():
        with suppress(Exception):
            file.flush()


def open_files() -> list[Any]:
    return [each for each in gc.get_objects() if issubclass(type(each), WRITERS)]


def enter_environment() -> None:
    """Do what an interpreter of an environment does at its start, its ``.pth`` files included."""
    fields = type(sys.flags).__match_args__
    set_item = ctypes.pythonapi.PyStructSequence_SetItem
    set_item.argtypes = [ctypes.py_object, ctypes.c_ssize_t, ctypes.py_object]
    zero = ctypes.py_object(0)
    ctypes.pythonapi.Py_IncRef(zero)
    # Programs that start a Python like theirs pass these on.
    set_item(sys.flags, fields.index("no_site"), zero)
    site.main()

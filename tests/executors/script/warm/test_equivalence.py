"""A script finds the same after a warm start as after a cold one, and nothing of runs before it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from executors.contract import Outcome
from executors.script.executor import ScriptExecutor
from tests.executors.conftest import MakeFolder, Runner

STATE = """
import gc, json, locale, os, signal, sys, threading, time, warnings

def main():
    import __main__
    for name in ("executors", "executors.script"):
        assert name not in sys.modules
    numbers = [n for n in signal.Signals if n not in (signal.SIGKILL, signal.SIGSTOP)]
    streams = [sys.stdin, sys.stdout, sys.stderr]
    return {
        "argv": sys.argv, "orig_argv": sys.orig_argv, "executable": sys.executable,
        "path": sys.path, "flags": list(sys.flags), "prefix": [sys.prefix, sys.base_prefix],
        "main": [__main__.__name__, __main__.__file__],
        "importers": sorted(path for path in sys.path_importer_cache if "execfabric" in path),
        "environment": dict(os.environ), "shell_sees": os.popen("env | sort | grep -v ^_=").read(),
        "signals": [str(signal.getsignal(n)) for n in numbers],
        "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "streams": [
            [s.name, s.mode, s.encoding, s.errors, s.newlines, s.line_buffering, s.fileno(),
             s.buffer.name if s.fileno() else 0, s is getattr(sys, "__" + s.name[1:-1] + "__")]
            for s in streams
        ],
        "locale": [locale.setlocale(locale.LC_CTYPE), time.tzname],
        "threads": [[t.name, t.native_id] for t in threading.enumerate()],
        "warnings": [str(f[:3]) for f in warnings.filters],
        "limits": open("/proc/self/limits").read(),
        "status": [line for line in open("/proc/self/status") if line.startswith(
            ("Umask", "Uid", "Gid", "Groups", "NSpid", "NSsid", "Cap", "NoNew", "Seccomp:",
             "Threads", "CoreDumping", "SigBlk", "SigIgn"))],
        "mounts": sorted(line.split()[4:6] for line in open("/proc/self/mountinfo")),
        "files": sorted(os.listdir("/proc/self/fd"))[:3],
        "gc": [gc.isenabled(), gc.get_threshold()],
        "session": [os.getpid() == os.getsid(0), os.getpid(), os.getppid()],
        "job": sorted(os.listdir("/job")), "cwd": os.getcwd(),
        "oom": open("/proc/self/oom_score_adj").read(),
    }
"""


def without_ids(found: Any) -> Any:
    """Drop what differs from run to run: user ids."""
    assert isinstance(found, dict)
    found["status"] = [line for line in found["status"] if not line.startswith(("Uid", "Gid"))]
    return found


def test_the_state_of_interpreter_and_process_is_that_of_a_cold_start(
    run: Runner, run_cold: Runner, make_folder: MakeFolder
) -> None:
    folder = make_folder(main__py=STATE)
    warm = run.folder(folder)
    cold = run_cold.folder(folder)

    assert warm.outcome is Outcome.SUCCEEDED, warm.error
    assert without_ids(warm.output) == without_ids(cold.output)


@pytest.mark.parametrize("is_link", [True, False], ids=["a link", "a program of its own"])
def test_an_environment_is_entered_inside(
    executor: ScriptExecutor, run: Runner, run_cold: Runner, make_folder: MakeFolder,
    open_folder: Path, is_link: bool,
) -> None:  # fmt: skip
    environment = open_folder / f"environment-{is_link}-{id(run)}"
    base = executor.base_python().resolve()
    subprocess.run([base, "-m", "venv", "--without-pip", "--symlinks", environment], check=True)
    packages = next((environment / "lib").glob("python3*")) / "site-packages"
    (packages / "answer.py").write_text("import os\nMINE, UID = 42, os.getuid()\n")
    (packages / "own.pth").write_text("import answer, sys; sys.from_pth = answer.UID\n")
    python = environment / "bin" / "python"
    if not is_link:
        # A package can put what it likes in the interpreter's place; no zygote may be that.
        python.unlink()
        python.write_text(f'#!/bin/sh\nexec {base} -I "$@"\n')
        python.chmod(0o755)
    code = (
        STATE.replace(
            "return {",
            "import os, answer\n    return {'own': answer.MINE, "
            "'inside': sys.from_pth == os.getuid() != 0, ",
        )
        if is_link
        else "print(1)\n"
    )
    folder = make_folder(main__py=code)
    warm = run.folder(folder, python=python)
    cold = run_cold.folder(folder, python=python)

    assert warm.outcome is Outcome.SUCCEEDED, warm.error
    programs = {os.path.realpath(f"/proc/{pid}/exe") for pid in executor.zygotes()}
    assert programs == {str(base)}
    if is_link:
        found = without_ids(warm.output)
        assert (found["own"], found["inside"]) == (42, True)
        assert found == without_ids(cold.output)


ADDRESS = re.compile("0x[0-9a-f]+")
ENDINGS = {
    "a file that was never closed": "f = open(__import__('os').environ['EXECFABRIC_OUTPUT_DIR']"
    " + '/left.txt', 'w')\nf.write('all of it')\n",
    "a file in a cycle": "import os\nclass Box: pass\nb = Box()\nb.me = b\n"
    "b.f = open(os.environ['EXECFABRIC_OUTPUT_DIR'] + '/left.txt', 'w')\nb.f.write('x')\ndel b\n",
    "a file that a function names": "import os\nf = open(os.environ['EXECFABRIC_OUTPUT_DIR']"
    " + '/left.txt', 'w')\ndef main():\n    f.write('all of it')\n",
    "a file of a thing that a function names": "import os\nclass Box: pass\nb = Box()\n"
    "b.f = open(os.environ['EXECFABRIC_OUTPUT_DIR'] + '/left.txt', 'w')\n"
    "def main():\n    b.f.write('all of it')\n",
    "a file of a module": "import os, part\npart.f.write('more')\n",
    "output without a newline": "import sys\nsys.stdout.write('half a line')\n",
    "atexit": "import atexit\natexit.register(print, 'at the end')\nprint('first')\n",
    "a thread": "import threading, time\ndef late():\n    time.sleep(0.2)\n    print('late')\n"
    "threading.Thread(target=late).start()\nprint('first')\n",
    "a daemon thread": "import threading, time\n"
    "threading.Thread(target=time.sleep, args=[60], daemon=True).start()\nprint('first')\n",
    "a pool": "from concurrent.futures import ThreadPoolExecutor\np = ThreadPoolExecutor(1)\n"
    "p.submit(print, 'worked')\n",
    "__del__": "class Last:\n    def __del__(self):\n        print('gone')\nlast = Last()\n",
    "exit with text": "import sys\nsys.exit('that was it')\n",
    "exit with a number": "import sys\nsys.exit(7)\n",
    "exit with a large number": "import sys\nsys.exit(256 + 5)\n",
    "exit with nothing": "raise SystemExit\n",
    "os._exit": "import os\nprint('x', flush=True)\nos._exit(4)\n",
    "an error": "def main():\n    return {}['missing']\n",
    "an error in a thread": "import threading\n"
    "threading.Thread(target=lambda: 1 / 0, name='t').start()\n",
    "an error at the end": "import atexit\natexit.register(lambda: 1 / 0)\n",
    "a syntax error": "def main(:\n",
    "interrupted": "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
    "import time\ntime.sleep(5)\n",
    "killed": "import os\nos.abort()\n",
    "terminated": "import os, signal, time\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(5)\n",
    "stdout closed": "import sys\nsys.stdout.close()\n",
    "a broken pipe": "import os\nr, w = os.pipe()\nos.close(r)\ntry:\n    os.write(w, b'x')\n"
    "except BrokenPipeError:\n    print('told')\n",
    "warnings": "import warnings\nwarnings.warn('old', DeprecationWarning)\n"
    "warnings.warn('mind')\n",
    "an own class in main": "import pickle\nclass A: pass\nprint(type(pickle.loads("
    "pickle.dumps(A()))))\n",
    "processes": "import multiprocessing as m\ndef f(n):\n    return n + 1\n"
    "def main():\n    with m.get_context('fork').Pool(1) as p:\n        return p.map(f, [1])\n",
}


@pytest.mark.parametrize("name", ENDINGS)
def test_it_ends_as_after_a_cold_start(
    run: Runner, run_cold: Runner, make_folder: MakeFolder, name: str
) -> None:
    part = "import os\nf = open(os.environ['EXECFABRIC_OUTPUT_DIR'] + '/part.txt', 'w')\n"
    folder = make_folder(main__py=ENDINGS[name], part__py=part)

    def told(runner: Runner) -> list[Any]:
        result = runner.folder(folder)
        files = [(file.name, file.path.read_bytes()) for file in result.artifacts]
        texts = [result.error, runner.sink.text("stdout"), runner.sink.text("stderr")]
        return [
            result.outcome, result.stop_reason, result.exit_code, result.output, result.summary,
            files, *(ADDRESS.sub("", text) for text in texts),
        ]  # fmt: skip

    assert told(run) == told(run_cold)


def test_a_script_finds_no_frame_of_ours_above_the_harness(
    run: Runner, make_folder: MakeFolder
) -> None:
    """Those of a zygote would show its settings, and what it knows of other runs."""
    folder = make_folder(
        main__py="""
        import sys
        def main():
            frame, found = sys._getframe(), []
            while frame := frame.f_back:
                names = [n for n in {**frame.f_globals, **frame.f_locals} if "__" not in n]
                is_harness = frame.f_globals is sys.modules["__main__"].__dict__
                if not is_harness:
                    found.append([sorted(names), list(vars(frame.f_globals["end"].__self__))])
            return found
        """
    )
    output = run.folder(folder).output

    assert isinstance(output, list), run.sink.text()
    ((names, parts_of_interpreter),) = output
    assert names == ["end", "script"]
    assert sorted(parts_of_interpreter) == ["harness", "has_entered", "loaded"]


def test_nothing_a_run_changes_is_seen_by_the_next(run: Runner, make_folder: MakeFolder) -> None:
    code = """
        import builtins, json, os, random, sys, tempfile
        def main(token: str):
            sys.path.append("/x")
            marks = [
                hasattr(builtins, "mark"), hasattr(json, "mark"), "MARK" in os.environ,
                "mark" in sys.modules, os.path.exists("/tmp/mark"), os.path.exists("mark"),
                sys.path.count("/x") - 1,
            ]
            builtins.mark = json.mark = 1
            os.environ["MARK"] = sys.modules["mark"] = "1"
            open("/tmp/mark", "w").close()
            open("mark", "w").close()
            return [marks, random.random(), tempfile.mktemp(), os.urandom(4).hex(), os.getpid()]
        """
    folder = make_folder(main__py=code)
    first, second = (run.folder(folder, inputs={"token": token}).output for token in "ab")

    assert isinstance(first, list)
    assert isinstance(second, list)
    assert first[0] == second[0] == [False, False, False, False, False, False, 0]
    assert not set(map(str, first[1:4])) & set(map(str, second[1:4]))


def test_modules_that_were_loaded_before_hear_of_the_forks_of_a_script(run: Runner) -> None:
    code = """
        import os, random, threading
        def main():
            random.seed(1)
            reader, writer = os.pipe()
            def fork():
                if os.fork() == 0:
                    is_main = threading.current_thread() is threading.main_thread()
                    os.write(writer, f"{random.random()} {is_main}".encode())
                    os._exit(0)
            thread = threading.Thread(target=fork)
            thread.start()
            thread.join()
            number, is_main = os.read(reader, 100).decode().split()
            return [float(number) != random.random(), is_main]
        """

    assert run(code).output == [True, "True"]


def test_no_memory_of_a_run_is_in_the_next(run: Runner, make_folder: MakeFolder) -> None:
    """Neither inputs nor secrets nor what it printed pass through the zygote."""
    keep = make_folder("keep", main__py=(
        "import os\ndef main(word: str):\n    print(word)\n"
        "    return len(word) + len(os.environ['EXECFABRIC_SECRET_KEY'])\n"
    ))  # fmt: skip
    search = make_folder("search", main__py="""
        def main(backwards: str):
            wanted = backwards[::-1].encode()
            found = 0
            with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
                for line in list(maps):
                    span, rights = line.split()[:2]
                    if not rights.startswith("r") or "[v" in line:
                        continue
                    start, end = (int(part, 16) for part in span.split("-"))
                    memory.seek(start)
                    found += memory.read(end - start).count(wanted)
            return found
        """)  # fmt: skip
    secret = "ferruginous-" + "-hawk" * 3
    control = run.folder(search, inputs={"backwards": secret[::-1], "other": 1}).stop_reason
    kept = run.folder(keep, inputs={"word": secret}, secrets={"key": secret})
    seen = run.folder(search, inputs={"backwards": secret[::-1]})

    assert control is not None
    assert kept.output == 2 * len(secret)
    # What it builds itself for the search: the text, its bytes, and copies while it is built.
    assert isinstance(seen.output, int), seen.error
    assert seen.output == run_count(run, search)


def run_count(run: Runner, folder: Path) -> Any:
    """Return how often a word that no run ever had is found: only the search's own copies."""
    word = "vermilion-f" + "-bird" * 3 + "-"
    return run.folder(
        folder, inputs={"backwards": word[::-1][: len("ferruginous-" + "-hawk" * 3)]}
    ).output


def test_each_run_has_its_own_user_id_and_name_of_random(run: Runner) -> None:
    if sys.platform != "linux":
        pytest.skip("Linux only")
    code = "import os\ndef main():\n    return [os.getuid(), open('/etc/passwd').read()]\n"
    found = run(code).output

    assert isinstance(found, list)
    assert f"run:x:{found[0]}:" in str(found[1])

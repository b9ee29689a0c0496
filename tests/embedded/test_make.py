"""Under make: Ctrl-C is no error, and the platform ends with make, however that ends."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.embedded.process_table import ROOT, processes_of, wait_for

PROGRAM = Path(__file__).with_name("fake_platform.py")
MAKEFILE = 'demo:\n\t@exec "{python}" "{program}" "{folder}" make\n'
READY = "The stand-in is ready"
CTRL_C = b"\x03"


def heed_interrupts() -> None:
    """A shell starts its background jobs deaf to SIGINT; what we start must not inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def makefile(folder: Path) -> Path:
    path = folder / "Makefile"
    path.write_text(MAKEFILE.format(python=sys.executable, program=PROGRAM, folder=folder))
    return path


@pytest.fixture
def make(makefile: Path, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "said").open("wb") as output:
        process = subprocess.Popen(
            ["make", "-f", str(makefile), "demo"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
            preexec_fn=heed_interrupts,
        )
    wait_for(lambda: READY in (folder / "said").read_text(), "ready")
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_make_alone_ends_the_platform(
    make: subprocess.Popen[bytes], folder: Path, number: signal.Signals
) -> None:
    make.send_signal(number)
    make.wait(60)

    wait_for(lambda: processes_of(folder) == [], "all processes gone")


def test_ctrl_c_at_the_terminal_ends_make_without_an_error(makefile: Path, folder: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        heed_interrupts()
        os.environ["PYTHONPATH"] = str(ROOT)
        os.execvp("make", ["make", "-f", str(makefile), "demo"])
    said = b""
    while READY.encode() not in said:
        said += os.read(terminal, 4096)
    os.write(terminal, CTRL_C)
    while b"Stopped" not in said:
        said += os.read(terminal, 4096)
    _, status = os.waitpid(pid, 0)
    os.close(terminal)

    assert os.waitstatus_to_exitcode(status) == 0
    assert b"***" not in said
    wait_for(lambda: processes_of(folder) == [], "all processes gone")

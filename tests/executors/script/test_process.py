"""How a run is followed from the worker's side."""

from __future__ import annotations

import array
import os
import socket
from pathlib import Path

import pytest

from executors.contract import Limits, StopReason, Usage
from executors.masking import Masker
from executors.script.log import RunLog
from executors.script.process import ROOM_LOST, Ending, RunProcess, read_numbers
from executors.script.progress import ProgressFile
from executors.script.run_folder import MOST_DESCRIPTORS, Room
from executors.script.start import Channels, Starter
from tests.executors.conftest import RecordingSink


class Stage(Starter):
    """Sends as many descriptors as it is told and says that the script succeeded."""

    can_be_lost = False

    def __init__(self, count: int) -> None:
        self._count = count

    def start(self, theirs: Channels, commands: int) -> None:
        null = os.open(os.devnull, os.O_RDONLY)
        with socket.socket(fileno=os.dup(theirs.report)) as channel:
            sent = array.array("i", [null] * self._count)
            channel.sendmsg([b" "], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, sent)])
            channel.sendall(b"exited 0 0 0.1 0.1 1000")
        os.close(null)
        theirs.close()

    def end(self, room: Room, report: int, *, reported: bool) -> None:
        pass


@pytest.mark.parametrize("count", [1, MOST_DESCRIPTORS + 10])
def test_a_run_whose_folders_do_not_all_arrive_has_not_succeeded(count: int) -> None:
    ending = follow(count)

    assert (ending.stop_reason, ending.problem) == (StopReason.KILLED, ROOM_LOST)


def test_a_run_whose_folders_arrive_succeeds() -> None:
    assert follow(MOST_DESCRIPTORS).stop_reason is StopReason.EXITED


def follow(count: int) -> Ending:
    room, masker, open_before = Room(), Masker(()), set(Path("/proc/self/fd").iterdir())
    log = RunLog(lambda _stream, _text: None, masker, keep_bytes=1000)
    ending = RunProcess(
        Stage(count), Limits(timeout_s=5), room, log, ProgressFile(room, masker), RecordingSink()
    ).run()
    room.close()
    # What tests before left open may have been closed meanwhile.
    assert set(Path("/proc/self/fd").iterdir()) <= open_before
    return ending


@pytest.mark.parametrize(
    "words",
    ["", "0 0 1 1", "x 0 1 1 1", "0 0 nan 1 1", "0 0 1 inf 1", "0 0 -1 1 1", "0 -1 1 1 1",
     f"{2**31} 0 1 1 1", f"0 0 1 1 {2**63}"],
)  # fmt: skip
def test_a_report_that_none_of_ours_writes_says_nothing(words: str) -> None:
    assert read_numbers(words.split()) is None


@pytest.mark.parametrize(("said", "status"), [("0", 0), ("-9", -9), ("None", None)])
def test_a_report_says_how_it_ended(said: str, status: int | None) -> None:
    usage = Usage(wall_s=0.5, cpu_s=0.25, peak_memory_bytes=4096)

    assert read_numbers([said, "0", "0.5", "0.25", "4096"]) == (status, 0, usage)

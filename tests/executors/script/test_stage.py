"""The parts of the stage that a healthy machine never uses."""

from __future__ import annotations

import os
import subprocess

from executors.script.start import kill_strays
from executors.script.tree import count_tasks_of, descendants, descendants_by_parent


def test_descendants_are_found_with_and_without_the_children_files() -> None:
    tree = subprocess.Popen(["/bin/sh", "-c", "sleep 30 & sleep 30 & echo ready; wait"],
                            stdout=subprocess.PIPE)  # fmt: skip
    try:
        assert tree.stdout is not None
        tree.stdout.readline()
        found = descendants(tree.pid)

        assert len(found) == 2
        assert sorted(descendants_by_parent(tree.pid)) == sorted(found)
        assert count_tasks_of(os.geteuid()) >= 3
    finally:
        for pid in [*descendants(tree.pid), tree.pid]:
            os.kill(pid, 9)
        tree.wait()


def test_strays_are_known_by_their_environment() -> None:
    marker = f"EXECFABRIC_RESULT=/nowhere/{os.getpid()}"
    name, _, value = marker.partition("=")
    stray = subprocess.Popen(["/bin/sleep", "30"], env={name: value})
    other = subprocess.Popen(["/bin/sleep", "30"], env={})
    try:
        kill_strays(None, marker)

        assert stray.wait(60) == -9
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()

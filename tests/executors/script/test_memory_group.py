"""The kernel bounds the memory of a run where the machine lets us ask for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from executors.contract import MEBIBYTE, Limits, StopReason
from executors.script import memory_group
from executors.script.memory_group import Parent, find_parent, layer, make_memory_group
from tests.executors.conftest import Runner

needs_a_group = pytest.mark.skipif(
    find_parent() is None, reason="this machine gives no memory cgroup"
)


@needs_a_group
def test_a_burst_is_stopped_by_the_kernel(run: Runner) -> None:
    if run.executor.level.name == "process":
        pytest.skip("this level has no memory group")

    result = run(
        """
        import mmap, os
        for _ in range(3):
            if os.fork() == 0:
                break
        # Faster than anybody could measure it.
        mmap.mmap(-1, 400 << 20, flags=mmap.MAP_PRIVATE | 0x20 | mmap.MAP_POPULATE)
        os.wait()
        """,
        limits={"memory_bytes": 64 * MEBIBYTE, "disk_bytes": 64 * MEBIBYTE},
    )

    assert result.stop_reason is StopReason.MEMORY_LIMIT
    assert result.usage.peak_memory_bytes < 200 * MEBIBYTE
    parent = find_parent()
    assert parent is not None
    assert list(parent.path.glob(f"{memory_group.PREFIX}{os.getpid()}-*")) == []


@needs_a_group
def test_the_limit_covers_files_in_memory() -> None:
    limits = Limits(memory_bytes=64 * MEBIBYTE)
    with make_memory_group(limits) as group:
        assert group is not None
        name = "memory.max" if (group.path / "memory.max").exists() else "memory.limit_in_bytes"
        most = int((group.path / name).read_text())

    assert most == limits.memory_bytes + limits.room_bytes + memory_group.GUARD_BYTES
    assert not group.path.exists()


def test_a_machine_without_groups_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_group, "find_parent", lambda: None)

    with make_memory_group(Limits()) as group:
        assert group is None
    found = layer()
    assert not found.works
    assert not found.needed
    assert "Delegate=memory" in found.remedy


def test_a_group_that_cannot_be_made_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(
        memory_group, "find_parent", lambda: Parent(tmp_path / "gone", unified=True)
    )

    with make_memory_group(Limits()) as group:
        assert group is None
    assert "A run has no memory group" in caplog.text

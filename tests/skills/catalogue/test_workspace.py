"""Bundles on a host's disk: there while they are used, and fetched again when they were not."""

from __future__ import annotations

import os
import time

import pytest

from executors.script.bundle_use import hold_bundle
from executors.script.environment.store import lock_file
from skills.catalogue import workspace
from tests.factories.skills import make_skill

pytestmark = pytest.mark.usefixtures("acme")
DAY_S = 86_400


@pytest.fixture
def version(monkeypatch):
    """A version whose bundle is on this host; nothing was swept here lately."""
    monkeypatch.setattr(workspace, "_marked_at", {})
    code = f"def main() -> str:\n    return {os.urandom(8).hex()!r}\n"
    version = make_skill(code=code).version.script_version
    workspace.sync_bundle(version.digest, version.stored_as)
    return version


@pytest.fixture
def folder(version):
    return workspace.bundle_folder(version.digest)


def age(folder, days):
    then = time.time() - days * DAY_S
    os.utime(workspace._lock_path(folder), (then, then))


def test_what_nobody_used_for_long_goes_and_comes_back_when_it_is_needed(version, folder):
    age(folder, 31)

    workspace.sweep_workspace(30 * DAY_S)
    assert not folder.exists()
    assert not workspace._lock_path(folder).exists()

    assert workspace.sync_bundle(version.digest, version.stored_as) == folder
    assert (folder / "main.py").is_file()


def test_the_lock_of_a_bundle_that_is_gone_goes_unless_it_is_fetched_just_now(folder):
    gone, fetched = (folder.with_name(digit * 64) for digit in "ab")
    workspace._lock_path(gone).touch()

    with lock_file(workspace._lock_path(fetched)):
        workspace.sweep_workspace(30 * DAY_S)
        assert workspace._lock_path(fetched).exists()

    assert not workspace._lock_path(gone).exists()
    assert folder.is_dir()


def test_what_was_used_since_or_is_used_now_stays(folder):
    age(folder, 29)
    workspace.sweep_workspace(30 * DAY_S)
    assert folder.is_dir()

    age(folder, 31)
    with hold_bundle(folder):
        workspace.sweep_workspace(30 * DAY_S)
    assert folder.is_dir()


def test_a_use_is_noted_once_an_hour(version, folder):
    age(folder, 31)
    workspace._marked_at[folder] -= workspace.MARK_EVERY_S

    workspace.sync_bundle(version.digest, version.stored_as)
    workspace.sweep_workspace(30 * DAY_S)

    assert folder.is_dir()


def test_a_host_sweeps_by_itself_as_it_goes_on(version, folder, monkeypatch):
    age(folder, 31)
    monkeypatch.setattr(workspace, "_swept_at", -workspace.SWEEP_EVERY_S)
    other = make_skill("other", code="def main() -> int:\n    return 2\n").version.script_version

    workspace.sync_bundle(other.digest, other.stored_as)

    assert not folder.exists()


def test_what_killed_processes_left_goes(folder):
    left = folder.with_name(".removed-0123456789abcdef")
    left.mkdir()
    (left / "main.py").touch()
    workspace.sweep_workspace(30 * DAY_S)
    assert left.is_dir()

    then = time.time() - 31 * DAY_S
    os.utime(left, (then, then))
    workspace.sweep_workspace(30 * DAY_S)
    assert not left.exists()

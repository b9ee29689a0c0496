"""What the level without namespaces grants of the machine, and what it keeps hidden."""

from __future__ import annotations

from pathlib import Path

import pytest

from executors.script.sandbox.level import system_folders
from executors.script.sandbox.unshared_level import build_plan, parts_without


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("bin", "opt/platform/var", "opt/other"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "opt" / "file").touch()
    return tmp_path


def granted(folder: Path, *hidden: str) -> list[str]:
    places = tuple(folder / name for name in hidden)
    return [str(Path(part).relative_to(folder)) for part in parts_without(folder, places)]


def test_what_hides_nothing_is_granted_as_a_whole(folder: Path) -> None:
    assert granted(folder) == ["."]


def test_all_beside_the_hidden_one_is_granted(folder: Path) -> None:
    assert granted(folder, "opt/platform") == ["bin", "opt/file", "opt/other"]


@pytest.mark.parametrize("target", ["opt/platform", "opt/platform/var", "opt", "."])
def test_no_link_leads_to_the_hidden_one(folder: Path, target: str) -> None:
    for place in ("link", "opt/link"):
        (folder / place).symlink_to(folder / target)

    assert granted(folder, "opt/platform") == ["bin", "opt/file", "opt/other"]


def test_a_hidden_folder_may_be_named_by_a_link(tmp_path: Path) -> None:
    [system, *_], _ = system_folders()
    inside = next(path for path in sorted(Path(system).iterdir()) if not path.is_symlink())
    (tmp_path / "link").symlink_to(inside)
    rules = build_plan(None, (tmp_path / "link",))["rules"]

    assert str(inside) not in rules
    assert system not in rules

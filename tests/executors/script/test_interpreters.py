"""Which Python a script gets, and that it runs on others than the platform's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from executors.contract import Outcome
from executors.script.environment import build_environment
from executors.script.executor import ScriptExecutor
from executors.script.interpreters import (
    Interpreter,
    NoFittingInterpreter,
    choose_interpreter,
    find_interpreters,
    interpreter_for_tag,
    parse_requires_python,
    probe_interpreter,
)
from tests.executors.conftest import MakeFolder, Runner

SCRIPT = """
import sys
from typing import Optional

def main(number: int, name: Optional[str] = None) -> dict:
    print("running")
    return {"version": list(sys.version_info[:2]), "number": number, "name": name}
"""


def made(version: str, tag: str = "") -> Interpreter:
    major, minor, patch = map(int, version.split("."))
    return Interpreter(Path(f"/opt/{version}"), (major, minor, patch), tag or f"cpython-3{minor}")


PRESENT = [made("3.11.2"), made("3.13.0"), made("3.11.7"), made("3.9.18")]


@pytest.mark.parametrize(
    ("wanted", "version"),
    [("", "3.11.2"), (">=3.11", "3.13.0"), ("<3.13", "3.11.7"), ("~=3.9.1", "3.9.18"),
     (">=3.11,!=3.13.*", "3.11.7"), ("==3.11.2", "3.11.2")],
)  # fmt: skip
def test_the_newest_that_fits_is_chosen_and_the_platforms_own_when_any_will_do(
    wanted: str, version: str
) -> None:
    assert choose_interpreter(PRESENT, SpecifierSet(wanted)).version_text == version


def test_when_none_fits_it_says_what_is_there() -> None:
    with pytest.raises(NoFittingInterpreter) as caught:
        choose_interpreter(PRESENT, SpecifierSet(">=3.14"))

    assert str(caught.value) == (
        "The script asks for Python >=3.14, but this machine has only 3.9.18, 3.11.2, 3.11.7, "
        "3.13.0."
    )


@pytest.mark.parametrize("wanted", ["nonsense", ">=3.11;", "3", ">" * 1000])
def test_what_is_no_condition_is_refused(wanted: str) -> None:
    with pytest.raises(NoFittingInterpreter, match="not understood"):
        parse_requires_python(wanted, where="skill.toml")


def test_packages_go_to_an_interpreter_of_their_kind_not_older_than_theirs() -> None:
    assert interpreter_for_tag(PRESENT, "cpython-311", (3, 11, 1)).version_text == "3.11.2"
    assert interpreter_for_tag(PRESENT, "cpython-311", (3, 11, 5)).version_text == "3.11.7"
    assert interpreter_for_tag(PRESENT, "cpython-311", (3, 11, 9)).version_text == "3.11.7"
    with pytest.raises(NoFittingInterpreter, match="prepared for cpython-312"):
        interpreter_for_tag(PRESENT, "cpython-312")


def test_shims_scripts_and_programs_others_may_replace_are_no_interpreters(
    tmp_path: Path, executor: ScriptExecutor
) -> None:
    shim = tmp_path / "python3.12"
    shim.write_text('#!/bin/sh\necho \'[[3, 12, 0], "final", true, "x"]\'\n')
    shim.chmod(0o755)
    binary = tmp_path / "python3.10"
    binary.write_bytes(Path(os.path.realpath("/bin/sh")).read_bytes())
    binary.chmod(0o777)

    assert probe_interpreter(shim) is None
    assert probe_interpreter(binary) is None
    assert probe_interpreter(tmp_path / "none") is None


def test_a_place_can_be_named(tmp_path: Path, executor: ScriptExecutor) -> None:
    base = executor.base_python()
    (tmp_path / "python3.99").symlink_to(base)

    found = find_interpreters(base, None, [tmp_path])

    assert found[0].path == base.resolve()
    assert len({one.path for one in found}) == len(found)


def test_a_script_runs_on_every_python_it_may_ask_for(
    run: Runner, executor: ScriptExecutor, make_folder: MakeFolder, open_folder: Path
) -> None:
    newest = {one.version[:2]: one for one in reversed(executor.interpreters())}
    for minor in newest:
        condition = f"=={minor[0]}.{minor[1]}.*"
        folder = make_folder(f"on-{minor[1]}", main__py=SCRIPT)
        python = build_environment(
            folder,
            root=open_folder / "environments-choice",
            python=executor.base_python(),
            interpreters=executor.interpreters(),
            requires_python=condition,
            open_to_all=not executor.level.hides_machine,
        )

        result = run.folder(folder, python=python, inputs={"number": 3})

        assert result.outcome is Outcome.SUCCEEDED, (condition, result.error)
        assert result.output == {"version": list(minor), "number": 3, "name": None}
        assert run.sink.text() == "running\n"

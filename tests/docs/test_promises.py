"""What the pages tell people to type must exist, and what they say of the code must be so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from executors.contract import MEBIBYTE, Limits
from executors.inputs import INPUT_BYTES, INPUT_DEPTH
from executors.manifest import Field, SkillTable, load_manifest
from executors.script import bundle
from executors.script.command import build_environment_variables
from executors.script.level import Places
from skills.executions.states import Status
from tests.docs.pages import PAGES, ROOT, name_of

DOCS = ROOT / "docs"
COMMAND = re.compile(r"manage\.py ([a-z][a-z_]+)")
TARGET = re.compile(r"\bmake ([a-z]+)\b")
VARIABLE = re.compile(r"\bEXECFABRIC_[A-Z]+(?:_[A-Z]+)*\b")
IN_CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
FOREIGN_PATH = re.compile(r"(?<![\w.<>/])/(work|root|home)/")


def code_of(page: Path) -> str:
    return "\n".join(IN_CODE.findall(page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_make_target_named_exists(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))

    assert set(TARGET.findall(code_of(page))) <= targets


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_of_the_operator_named_exists(page: Path) -> None:
    from django.core.management import get_commands

    assert set(COMMAND.findall(code_of(page))) <= get_commands().keys()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_variable_named_is_a_setting_or_part_of_a_contract(page: Path) -> None:
    from cli import config
    from execfabric.settings.environment import SECRETS, Environment

    settings = {f"EXECFABRIC_{name.upper()}" for name in Environment.model_fields}
    files = {f"EXECFABRIC_{name.upper()}_FILE" for name in SECRETS}
    client = {config.URL_VARIABLE, config.TOKEN_VARIABLE, config.PATH_VARIABLE}
    contract = {f"EXECFABRIC_{name}" for name in CONTRACT_NAMES}

    known = settings | files | client | contract
    assert set(VARIABLE.findall(page.read_text(encoding="utf-8"))) <= known


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_names_a_folder_of_one_machine(page: Path) -> None:
    assert FOREIGN_PATH.findall(page.read_text(encoding="utf-8")) == []


CONTRACT_NAMES = (
    "EXECUTION_ID", "INPUT", "INPUT_DIR", "OUTPUT_DIR", "PROGRESS", "RESULT", "TENANT",
)  # fmt: skip


def test_the_script_contract_names_every_variable_of_a_run(tmp_path: Path) -> None:
    from executors.contract import ExecutionRequest

    places = Places(tmp_path, tmp_path)
    request = ExecutionRequest(execution_id="1", tenant="t", kind="script", resource={})
    given = build_environment_variables(places, request, {}, None)
    text = (DOCS / "script-contract.md").read_text(encoding="utf-8")

    assert {name for name in given if name.startswith("EXECFABRIC_")} == {
        f"EXECFABRIC_{name}" for name in CONTRACT_NAMES
    }
    assert [name for name in CONTRACT_NAMES if f"| `EXECFABRIC_{name}` |" not in text] == []


def test_the_script_contract_names_every_key_of_a_manifest() -> None:
    text = (DOCS / "script-contract.md").read_text(encoding="utf-8")
    skill = text.split("### `[skill]`")[1].split("### ")[0]
    fields = text.split("### `[inputs.<name>]`")[1].split("### ")[0]

    assert [key for key in SkillTable.model_fields if f"| `{key}` |" not in skill] == []
    assert [key for key in Field.model_fields if f"`{key}`" not in fields] == []


def test_the_defaults_in_the_script_contract_are_those_of_the_manifest() -> None:
    text = (DOCS / "script-contract.md").read_text(encoding="utf-8")
    for name in ("risk", "approval", "visibility", "timeout_s", "memory_mb", "confirm", "manual"):
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
        default = str(SkillTable.model_fields[name].default)
        shown = row.split("|")[3].strip().strip("`")
        assert shown == (default.lower() if default in ("True", "False") else default)


def test_the_limits_in_the_script_contract_are_those_in_force() -> None:
    text = (DOCS / "script-contract.md").read_text(encoding="utf-8")
    limits = Limits()
    for sentence in (
        f"At most {bundle.MAX_FILES} files and {bundle.MAX_BYTES // MEBIBYTE} MiB.",
        f"{INPUT_BYTES // MEBIBYTE} MiB, {INPUT_DEPTH} levels deep",
        f"| result | {limits.result_bytes // MEBIBYTE} MiB |",
        f"{limits.artifact_count} files, {limits.artifact_bytes // MEBIBYTE} MiB together",
        f"| one file the run writes | {limits.file_bytes // MEBIBYTE} MiB |",
        f"{limits.log_bytes // MEBIBYTE} MiB kept; above {limits.log_flood_bytes // MEBIBYTE} MiB",
        f"| processes and threads | {limits.processes} |",
        f"| open files | {limits.open_files} |",
    ):
        assert sentence in text


def test_the_examples_in_the_script_contract_are_usable(tmp_path: Path) -> None:
    text = (DOCS / "script-contract.md").read_text(encoding="utf-8")
    blocks = dict(re.findall(r"```(python|bash|toml)\n(.*?)```", text, flags=re.DOTALL))
    shell, python = tmp_path / "shell", tmp_path / "python"
    shell.mkdir()
    python.mkdir()
    (shell / "main.sh").write_text(blocks["bash"])
    (shell / "skill.toml").write_text(blocks["toml"])
    (python / "main.py").write_text(blocks["python"])

    described, made = load_manifest(shell), load_manifest(python)

    assert (described.skill.name, list(described.inputs)) == ("count-lines", ["file", "order"])
    assert list(made.inputs) == ["orders", "minimum", "currency"]
    assert made.inputs["orders"].format == "file"
    assert made.inputs["minimum"].description == "Smallest amount to keep."


def test_concepts_explain_every_status() -> None:
    text = (DOCS / "concepts.md").read_text(encoding="utf-8")

    assert [status for status in Status if f"`{status.value}`" not in text] == []


def test_every_decision_has_its_parts_and_is_in_the_list() -> None:
    folder = DOCS / "decisions"
    index = (folder / "index.md").read_text(encoding="utf-8")
    decisions = sorted(folder.glob("0*.md"))
    assert [int(page.name[:4]) for page in decisions] == list(range(1, len(decisions) + 1))
    for page in decisions:
        text = page.read_text(encoding="utf-8")
        assert re.findall(r"^## (.+)$", text, flags=re.MULTILINE) == [
            "Context", "Decision", "Consequences",
        ]  # fmt: skip
        assert text.splitlines()[0].removeprefix("# ") in index
        assert page.name in index

"""Every example skill is complete, small and agrees with its own manifest."""

from __future__ import annotations

from typing import Any

import pytest

from executors.manifest import generate_manifest, load_manifest
from executors.script.bundle import read_bundle
from executors.script.environment import read_requirements
from tests.examples.conftest import EXAMPLES, RunExample, run_sample

NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/skill.toml"))
JSON_TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "array": list,
    "null": type(None),
}
HEADINGS = ("Purpose", "Input", "Output", "Prerequisites", "Files generated")


def test_there_are_seven_examples() -> None:
    assert NAMES == [
        "clean-orders",
        "folder-checksum",
        "invoice-reminder-drafts",
        "merge-spreadsheets",
        "sales-report",
        "slow-progress",
        "text-statistics",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_manifest_explains_the_skill_to_a_user(name: str) -> None:
    manifest = load_manifest(EXAMPLES / name)
    assert manifest.skill.name == name
    assert manifest.skill.title
    assert manifest.skill.description
    assert len(manifest.skill.examples) >= 3
    assert manifest.skill.tags
    assert not manifest.skill.network
    for field in manifest.inputs.values():
        assert field.title
        assert field.description or field.enum or field.optional
    assert manifest.outputs


@pytest.mark.parametrize("name", NAMES)
def test_a_readme_has_every_section_a_reviewer_needs(name: str) -> None:
    readme = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    sections = [line[3:] for line in readme.splitlines() if line.startswith("## ")]
    assert sections == list(HEADINGS)
    for field in load_manifest(EXAMPLES / name).inputs:
        assert f"`{field}`" in readme


@pytest.mark.parametrize("name", [name for name in NAMES if name != "folder-checksum"])
def test_the_manifest_agrees_with_the_signature_of_main(name: str) -> None:
    written = load_manifest(EXAMPLES / name).inputs
    generated = generate_manifest(EXAMPLES / name).inputs
    assert set(written) == set(generated)
    for key, field in written.items():
        assert (field.is_required, field.format == "file", field.default, field.enum) == (
            generated[key].is_required,
            generated[key].format == "file",
            generated[key].default,
            generated[key].enum,
        ), key


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_a_small_bundle_with_pinned_requirements(name: str) -> None:
    assert read_bundle(EXAMPLES / name).size_bytes < 100_000
    assert all("==" in line for line in read_requirements(EXAMPLES / name).splitlines())


@pytest.mark.parametrize("shared", ["tabular.py", "values.py"])
def test_copies_of_a_shared_file_are_equal(shared: str) -> None:
    copies = [path.read_bytes() for path in EXAMPLES.glob(f"*/{shared}")]
    assert len(copies) >= 3
    assert len(set(copies)) == 1


@pytest.mark.parametrize("name", NAMES)
def test_an_example_returns_what_its_manifest_declares(run_example: RunExample, name: str) -> None:
    changes = {"seconds": 0} if name == "slow-progress" else {}
    run = run_sample(run_example, name, **changes)
    for key, field in load_manifest(EXAMPLES / name).outputs.items():
        assert any(isinstance(run.output[key], JSON_TYPES[one]) for one in field.types), key

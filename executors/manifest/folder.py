"""Reads the manifest of a script folder, or makes one from its code and README."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from executors.manifest.model import (
    MANIFEST_NAME,
    SLUG_LENGTH,
    Field,
    Manifest,
    ManifestError,
    ResourceManifest,
)
from executors.manifest.signature import read_inputs

TEXT_BYTES = 1024 * 1024
DESCRIPTION_LENGTH = 500
LINE_LENGTH = 500
"""What is looked at of a line of the README: the time of a pattern may grow with its square."""


def load_manifest(folder: Path) -> Manifest:
    """Return the manifest of folder: its ``skill.toml``, or a generated one.

    What ``skill.toml`` leaves open (runtime, title, description, the whole of the inputs) is
    filled in from the code and the README. Raises ManifestError.
    """
    path = folder / MANIFEST_NAME
    if not path.exists():
        return generate_manifest(folder)
    data = _parse(path)
    skill = data.get("skill")
    if isinstance(skill, dict):
        skill.setdefault("runtime", _runtime(folder))
        _fill_in_texts(skill, folder)
    manifest = Manifest.from_tables(data)
    if not (folder / manifest.skill.entry).is_file():
        raise ManifestError(
            f"{MANIFEST_NAME}: [skill] entry names {manifest.skill.entry}, which is not in the "
            "folder. Correct the name or add the file."
        )
    if "inputs" not in data and manifest.skill.runtime == "python":
        manifest.inputs = _inputs_of(folder / manifest.skill.entry)
    return manifest


def load_resource_manifest(folder: Path) -> ResourceManifest:
    """Return the manifest of a folder that describes a skill of another kind than script.

    It holds ``skill.toml`` with ``kind``, and README.md if anybody is to read it. Raises
    ManifestError.
    """
    if not (folder / MANIFEST_NAME).is_file():
        raise ManifestError(f"The folder has no {MANIFEST_NAME}. Add one that names the kind.")
    data = _parse(folder / MANIFEST_NAME)
    skill = data.get("skill")
    if isinstance(skill, dict):
        _fill_in_texts(skill, folder)
    return ResourceManifest.from_tables(data)


def generate_manifest(folder: Path) -> Manifest:
    """Return a first manifest for folder, never running its code. Raises ManifestError.

    Python: the inputs come from the signature of ``main``. Shell: there are no inputs.
    """
    runtime = _runtime(folder)
    entry = "main.py" if runtime == "python" else "main.sh"
    title, description = _read_readme(folder)
    name = _slug(folder.resolve().name) or _slug(title) or "skill"
    inputs = _inputs_of(folder / entry) if runtime == "python" else {}
    tables: dict[str, Any] = {
        "skill": {
            "name": name,
            "title": title or _title_of(name),
            "description": description,
            "runtime": runtime,
            "entry": entry,
        },
        "inputs": {key: field.model_dump(exclude_none=True) for key, field in inputs.items()},
    }
    return Manifest.from_tables(tables, file=entry)


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_read_text(path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ManifestError(
            f"{path.name} is not valid TOML: {error}. Correct that line."
        ) from error


def _fill_in_texts(skill: dict[str, Any], folder: Path) -> None:
    title, description = _read_readme(folder)
    skill.setdefault("title", title or _title_of(str(skill.get("name", ""))))
    skill.setdefault("description", description)


def _inputs_of(path: Path) -> dict[str, Field]:
    return read_inputs(_read_text(path), file=path.name)


def _runtime(folder: Path) -> str:
    if (folder / "main.py").is_file():
        return "python"
    if (folder / "main.sh").is_file():
        return "shell"
    raise ManifestError("The folder has neither main.py nor main.sh. Add one of them.")


def _read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ManifestError(f"{path.name} cannot be read: {error.strerror}.") from error
    if len(data) > TEXT_BYTES:
        raise ManifestError(f"{path.name} is larger than {TEXT_BYTES // 1024} KiB. Shorten it.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ManifestError(
            f"{path.name} is not UTF-8 text (line {line}). Save it as UTF-8."
        ) from error


def _read_readme(folder: Path) -> tuple[str, str]:
    """Return (first heading, first paragraph) of README.md, both one line, maybe empty."""
    path = folder / "README.md"
    if not path.is_file():
        return "", ""
    lines = [line.strip()[:LINE_LENGTH] for line in _read_text(path).splitlines()]
    title, fenced = "", False
    paragraph: list[str] = []
    for number, line in enumerate(lines):
        if line.startswith(("```", "~~~")):
            fenced = not fenced
        heading = re.fullmatch(r"#{1,6}\s+(.*)", line)
        underlined = number + 1 < len(lines) and re.fullmatch(r"=+", lines[number + 1])
        if fenced or re.fullmatch(r"[`~=-]{3,}\w*|=+", line):
            continue
        if heading or (line and underlined):
            if paragraph:
                break
            title = title or (heading[1].rstrip("#").rstrip() if heading else line)
        elif line and not line.startswith(("[![", "![", "<")):
            paragraph.append(line)
        elif paragraph:
            break
    description = " ".join(paragraph)[: 10 * DESCRIPTION_LENGTH]
    return _plain(title)[:200], _plain(description)[:DESCRIPTION_LENGTH]


def _plain(markdown: str) -> str:
    """Return markdown without links, emphasis, code marks and control characters."""
    text = re.sub(r"!?\[([^\[\]]*)\]\([^)]*\)", r"\1", markdown)
    text = re.sub(r"(\*\*|__|`)(.+?)\1", r"\2", text)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:SLUG_LENGTH].strip("-")


def _title_of(slug: str) -> str:
    return slug.replace("-", " ").replace("_", " ").strip().capitalize()

"""What approving would change: files, description and packages, against the version in use."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django_tenants.utils import schema_context

from execfabric.core.errors import DomainError, NotFound
from execfabric.core.storage import open_file
from executors.script.bundle import Bundle, BundleError, read_archive
from executors.script.differences import Change, changed_text
from skills.catalogue.described import words_of
from skills.catalogue.edits import Edit, edits_met_by, with_edits
from skills.catalogue.models import Skill, SkillVersion
from skills.hot_update.models import Revision
from skills.hot_update.reviewing.rules import Rules, manifest_of


@dataclass(frozen=True, slots=True)
class Live:
    """The version in use."""

    version: SkillVersion
    bundle: Bundle | None
    """None where its files are not stored any more."""
    lock: str
    """Its Python and packages, in the lines of changed_packages; empty for the platform's own."""


def live_version(revision: Revision) -> Live | None:
    """Return what is in use under the name of the submission; None where nothing is."""
    with schema_context(revision.submission.tenant.schema_name):
        versions = Skill.objects.select_related("version__script_version__environment")
        skill = versions.filter(name=revision.submission.skill_name).first()
        version = skill.version if skill else None
        if version is None:
            return None
        script = version.script_version
        environment = script.environment if script else None
        lock = _packages(environment.python, environment.lock) if environment else ""
        try:
            if script is None:
                return Live(version, None, lock)
            with open_file(script.stored_as) as stored:
                return Live(version, read_archive(io.BytesIO(stored.read())), lock)
        except (BundleError, NotFound):
            return Live(version, None, lock)


BEGUN = ("runtime", "entry")
"""Keys of a manifest that a script version keeps."""


def edits_met(live: Live, revision: Revision, rules: Rules) -> list[Edit]:
    """Return what people of the tenant edited of the version in use, and what becomes of it."""
    try:
        manifest = manifest_of(revision, rules)
    except DomainError:
        return []
    with schema_context(revision.submission.tenant.schema_name):
        return edits_met_by(live.version, words_of(revision.submission.skill_name, manifest, ""))


def changed_description(
    live: Live, revision: Revision, rules: Rules, edits: Sequence[Edit] = ()
) -> Change | None:
    """Compare what the version in use says with the effective manifest, key by key.

    Edits that are kept are no change.
    """
    try:
        manifest = manifest_of(revision, rules)
    except DomainError:
        return None
    version = live.version
    words = with_edits(words_of(revision.submission.skill_name, manifest, ""), edits)
    script = version.script_version
    old = {name: getattr(version, name) for name in words}
    begun = {name: getattr(manifest.skill, name) for name in BEGUN}
    was_begun = {name: getattr(script, name, "") for name in BEGUN}
    for known in (old, words):
        known["inputs"] = known.pop("input_schema")
        known["outputs"] = known.pop("output_schema")
        del known["readme"]  # It is one of the files.
    old, new = {**was_begun, **old}, {**begun, **words}
    return changed_text("skill.toml", _written(old), _written(new))


def changed_packages(live: Live | None, lock: dict[str, Any] | None) -> Change | None:
    before = live.lock if live else ""
    after = _packages(lock["python"], lock["text"]) if lock and "text" in lock else ""
    return changed_text("requirements", before, after)


def _packages(python: str, lock: str) -> str:
    return f"Python {python}\n{lock}"


def _written(values: dict[str, Any]) -> str:
    lines: list[str] = []
    for key, value in values.items():
        if isinstance(value, dict):
            lines.extend(_fields(key, value))
        else:
            lines.append(f"{key} = {value!r}")
    return "\n".join(lines)


def _fields(key: str, schema: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each input or output, and one for whatever else the schema says."""
    for name, words in schema.get("properties", {}).items():
        yield f"{key}.{name}: {_words(words)}"
    if rest := {word: said for word, said in schema.items() if word != "properties"}:
        yield f"{key}: {_words(rest)}"


def _words(words: dict[str, Any]) -> str:
    return ", ".join(f"{word} = {words[word]!r}" for word in sorted(words))

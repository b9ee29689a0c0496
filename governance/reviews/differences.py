"""What approving would change: files, description and packages, against the version in use."""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django_tenants.utils import schema_context

from execfabric.core.errors import DomainError, NotFound
from execfabric.core.storage import open_file
from executors.script.bundle import Bundle, BundleError, read_archive
from skills.catalogue.described import words_of
from skills.catalogue.models import Skill, SkillVersion
from skills.hot_update.models import Revision
from skills.hot_update.reviewing.rules import Rules, manifest_of

from .sources import text_of, with_hidden_shown

MOST_LINES = 1_500
"""Of one file; what is longer is cut, and says so."""
LONGEST = 20_000
"""Lines of a file that is compared line by line."""


@dataclass(frozen=True, slots=True)
class Change:
    path: str
    what: str
    """"added", "removed" or "changed"."""
    lines: list[tuple[str, str]] = field(default_factory=list)
    """(sign, text): '+', '-', ' ' or '@' for a gap; none for what is no text."""
    is_cut: bool = False
    added: int = 0
    removed: int = 0


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


def changed_files(old: Bundle, new: Bundle) -> list[Change]:
    before = {file.path: file for file in old.files}
    after = {file.path: file for file in new.files}
    changes = []
    for path in sorted(before.keys() | after.keys()):
        was, now = before.get(path), after.get(path)
        if was == now:
            continue
        old_text = text_of(was.content) if was else ""
        new_text = text_of(now.content) if now else ""
        what = "added" if was is None else "removed" if now is None else "changed"
        if old_text is None or new_text is None:
            changes.append(Change(path, what))
            continue
        note = ""
        if was and now and was.executable != now.executable:
            note = "executable now" if now.executable else "no longer executable"
        changes.append(_compare(path, what, old_text, new_text, note))
    return changes


def changed_description(live: Live, revision: Revision, rules: Rules) -> Change | None:
    """Compare what the version in use says with the effective manifest, key by key."""
    try:
        manifest = manifest_of(revision, rules)
    except DomainError:
        return None
    version = live.version
    words = words_of(revision.submission.skill_name, manifest, "")
    script = version.script_version
    old = {name: getattr(version, name) for name in words}
    begun = {name: getattr(manifest.skill, name) for name in BEGUN}
    was_begun = {name: getattr(script, name, "") for name in BEGUN}
    for known in (old, words):
        known["inputs"] = known.pop("input_schema")
        known["outputs"] = known.pop("output_schema")
        del known["readme"]  # It is one of the files.
    old, new = {**was_begun, **old}, {**begun, **words}
    before, after = _written(old), _written(new)
    return _compare("skill.toml", "changed", before, after) if before != after else None


def changed_packages(live: Live | None, lock: dict[str, Any] | None) -> Change | None:
    before = live.lock if live else ""
    after = _packages(lock["python"], lock["text"]) if lock and "text" in lock else ""
    return _compare("requirements", "changed", before, after) if before != after else None


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


def _compare(path: str, what: str, before: str, after: str, note: str = "") -> Change:
    old, new = (with_hidden_shown(text)[0].splitlines() for text in (before, after))
    lines: list[tuple[str, str]] = [("@", note)] if note else []
    if max(len(old), len(new)) > LONGEST:
        return Change(path, what, lines, is_cut=True)
    found = list(difflib.unified_diff(old, new, lineterm="", n=3))[2:]
    lines += [("@", line) if line.startswith("@@") else (line[:1], line[1:]) for line in found]
    return Change(
        path,
        what,
        lines[:MOST_LINES],
        is_cut=len(lines) > MOST_LINES,
        added=sum(sign == "+" for sign, _ in lines),
        removed=sum(sign == "-" for sign, _ in lines),
    )

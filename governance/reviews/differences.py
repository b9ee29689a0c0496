"""What approving would change: files, description and packages, against the version in use."""

from __future__ import annotations

import difflib
import io
from dataclasses import dataclass, field
from typing import Any

from django_tenants.utils import schema_context

from execfabric.core.errors import DomainError, NotFound
from execfabric.core.storage import open_file
from executors.script.bundle import Bundle, BundleError, read_archive
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
        lock = environment.lock if environment else ""
        try:
            if script is None:
                return Live(version, None, lock)
            with open_file(script.stored_as) as stored:
                return Live(version, read_archive(io.BytesIO(stored.read())), lock)
        except (BundleError, NotFound):
            return Live(version, None, lock)


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
    skill = manifest.skill
    new: dict[str, Any] = {
        **{key: getattr(skill, key) for key in _SAME_NAMES},
        "memory_mb": skill.memory_mb,
        "inputs": manifest.input_schema()["properties"],
        "outputs": manifest.output_schema().get("properties", {}),
    }
    version = live.version
    old: dict[str, Any] = {
        **{key: getattr(version, key) for key in _SAME_NAMES},
        "memory_mb": version.memory_bytes // (1024 * 1024),
        "inputs": version.input_schema.get("properties", {}),
        "outputs": version.output_schema.get("properties", {}),
    }
    before, after = _written(old), _written(new)
    return _compare("skill.toml", "changed", before, after) if before != after else None


def changed_packages(live: Live | None, lock: dict[str, Any] | None) -> Change | None:
    before = live.lock if live else ""
    after = str((lock or {}).get("text", ""))
    return _compare("requirements", "changed", before, after) if before != after else None


_SAME_NAMES = (
    *("title", "description", "risk", "confirm", "approval", "ai_callable", "manual", "network"),
    *("network_hosts", "timeout_s", "queue", "concurrency", "tags", "examples"),
)


def _written(values: dict[str, Any]) -> str:
    lines: list[str] = []
    for key, value in values.items():
        if isinstance(value, dict):
            lines.extend(f"{key}.{name}: {_words(words)}" for name, words in value.items())
        else:
            lines.append(f"{key} = {value!r}")
    return "\n".join(lines)


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

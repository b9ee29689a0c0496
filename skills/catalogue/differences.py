"""What differs between two versions of a skill: description, rules, inputs, packages, files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from execfabric.core.errors import NotFound
from executors.script.bundle import Bundle, BundleError
from executors.script.differences import Change, Omitted, changed_files, changed_text

from .bundles import bundle_of
from .models import ScriptVersion, SkillVersion

Label = str | Promise

LABELS: dict[str, Label] = {
    "title": _("Title"),
    "description": _("Description"),
    "readme": _("README"),
    "tags": _("Tags"),
    "examples": _("Example sentences"),
    "risk": _("Risk"),
    "confirm": _("Confirmation"),
    "approval": _("Approval"),
    "visibility": _("Rights when it is new"),
    "ai_callable": _("Assistant may call it"),
    "manual": _("Manual execution"),
    "network": _("Network"),
    "network_hosts": _("Hosts it may reach"),
    "timeout_s": _("Time limit in seconds"),
    "memory_bytes": _("Memory limit in bytes"),
    "queue": _("Workers"),
    "concurrency": _("Runs at once"),
    "max_retries": _("Times a lost run starts again"),
}
"""What a version says of itself, and how people call it."""

TEXTS = frozenset({"title", "description", "readme", "tags", "examples"})
"""Of these, what only explains. All others are rules: they decide what a run may do."""
LONG_TEXTS = frozenset({"readme"})
OMITTED: dict[Omitted, Label] = {
    Omitted.NO_TEXT: _("It is no text."),
    Omitted.TOO_LARGE: _("It is too large to be compared."),
    Omitted.CUT: _("There are too many changes to show all of them."),
}


@dataclass(frozen=True, slots=True)
class FieldChange:
    name: str
    label: Label
    old: Any
    new: Any
    is_rule: bool
    diff: str = ""
    """Of a long text, as a unified diff."""


@dataclass(frozen=True, slots=True)
class ParameterChange:
    """One input or output."""

    name: str
    what: str
    """added, removed or changed"""
    fields: tuple[FieldChange, ...] = ()


@dataclass(frozen=True, slots=True)
class PackageChange:
    name: str
    old: str
    """Its version; empty where it was not there."""
    new: str


@dataclass(frozen=True, slots=True)
class FileChange:
    path: str
    what: str
    """added, removed, changed, or mode (executable or not)"""
    diff: str = ""
    note: Label = ""
    """What the diff does not say: why it is cut or not there, or whether it can be executed."""


@dataclass(frozen=True, slots=True)
class Difference:
    old: SkillVersion
    new: SkillVersion
    fields: tuple[FieldChange, ...]
    inputs: tuple[ParameterChange, ...]
    outputs: tuple[ParameterChange, ...]
    python: tuple[str, str] | None
    """The versions of Python, where they differ; empty for the platform's own."""
    packages: tuple[PackageChange, ...]
    code_differs: bool
    """The files, or what a skill of another kind connects to."""
    files: tuple[FileChange, ...] | None
    """None where the code is not shown, or cannot be read."""

    @property
    def rules(self) -> list[FieldChange]:
        return [change for change in self.fields if change.is_rule]

    @property
    def is_empty(self) -> bool:
        return not self.summary

    @property
    def summary(self) -> list[Label]:
        """Return in a word each what is different."""
        said: list[Label] = []
        if self.code_differs:
            said.append(_("Code"))
        if self.packages or self.python:
            said.append(_("Packages"))
        if self.inputs:
            said.append(_("Inputs"))
        if self.outputs:
            said.append(_("Outputs"))
        return [*said, *(change.label for change in self.fields)]


def compare(old: SkillVersion, new: SkillVersion, *, with_files: bool = False) -> Difference:
    """Return what differs from old to new. with_files: whether the reader may see the code."""
    before, after = old.script_version, new.script_version
    digests = (before and before.digest) != (after and after.digest)
    code_differs = digests or (old.kind, old.resource) != (new.kind, new.resource)
    return Difference(
        old=old,
        new=new,
        fields=tuple(_field_changes(old, new)),
        inputs=tuple(_parameter_changes(old.input_schema, new.input_schema)),
        outputs=tuple(_parameter_changes(old.output_schema, new.output_schema)),
        python=_python_change(before, after),
        packages=tuple(_package_changes(before, after)),
        code_differs=code_differs,
        files=_files(before, after) if with_files and code_differs else None,
    )


def _field_changes(old: SkillVersion, new: SkillVersion) -> Iterator[FieldChange]:
    for name, label in LABELS.items():
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            text = changed_text(name, before, after) if name in LONG_TEXTS else None
            diff = text.unified if text else ""
            yield FieldChange(name, label, before, after, name not in TEXTS, diff)


def _parameter_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[ParameterChange]:
    before, after = old.get("properties", {}), new.get("properties", {})
    needed = (set(old.get("required", ())), set(new.get("required", ())))
    for name in [*before, *(name for name in after if name not in before)]:
        if name not in after:
            yield ParameterChange(name, "removed")
        elif name not in before:
            yield ParameterChange(name, "added")
        else:
            first = {**before[name], "required": name in needed[0]}
            second = {**after[name], "required": name in needed[1]}
            fields = tuple(_word_changes(first, second))
            if fields:
                yield ParameterChange(name, "changed", fields)


def _word_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[FieldChange]:
    for word in [*old, *(word for word in new if word not in old)]:
        before, after = old.get(word), new.get(word)
        if before != after or type(before) is not type(after):
            is_rule = word not in {"title", "description", "examples"}
            yield FieldChange(word, word, before, after, is_rule)


def _python_change(old: ScriptVersion | None, new: ScriptVersion | None) -> tuple[str, str] | None:
    before, after = (
        one.environment.python if one and one.environment else "" for one in (old, new)
    )
    return (before, after) if before != after else None


def _package_changes(
    old: ScriptVersion | None, new: ScriptVersion | None
) -> Iterator[PackageChange]:
    before, after = _packages(old), _packages(new)
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield PackageChange(name, before.get(name, ""), after.get(name, ""))


def _packages(version: ScriptVersion | None) -> dict[str, str]:
    environment = version.environment if version else None
    return {one.name: one.version for one in environment.packages} if environment else {}


def _files(old: ScriptVersion | None, new: ScriptVersion | None) -> tuple[FileChange, ...] | None:
    try:
        before, after = (bundle_of(one) if one else Bundle(()) for one in (old, new))
    except (BundleError, NotFound):
        return None
    return compare_files(before, after)


def compare_files(old: Bundle, new: Bundle) -> tuple[FileChange, ...]:
    """Return the files that differ, by path, with unified diffs of texts of bearable size."""
    return tuple(
        FileChange(change.path, change.what, change.unified, _note(change))
        for change in changed_files(old, new)
    )


def _note(change: Change) -> Label:
    """Return what the lines of a change do not say."""
    if change.omitted is not None:
        return OMITTED[change.omitted]
    if change.executable is not None:
        return _("It can be executed now.") if change.executable else _("Not executable now.")
    return ""

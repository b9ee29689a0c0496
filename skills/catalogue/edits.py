"""What people edited of a skill in the browser, and what a version that comes with a script keeps.

Three are compared, field by field: what the version in use said when it came (its origin), what it
says since it was edited, and what the new one says. An edit stays unless the new one changes the
same field from what the origin said. Rules can only be edited to be stricter, so they always stay.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from executors.inputs import FORMATS, InputValidator

from .differences import LABELS
from .managing.editing import OWN_OF_EACH, STRICTER
from .models import SkillVersion

TEXTS = ("title", "description", "tags", "examples")
INPUT_LABELS: dict[str, str | Promise] = {
    "title": gettext_lazy("Title"),
    "description": gettext_lazy("Help"),
    "examples": gettext_lazy("Examples"),
}
LONGEST_NOTE = 200

Words = Mapping[str, Any]
"""What a version says, by column; see ``described.words_of``."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One field that was edited, of which the new version says something else."""

    name: str
    """A column, or inputs.<name>.<word>."""
    label: str
    came: Any
    """As the version in use came, before it was edited."""
    edited: Any
    """As it is in use."""
    new: Any
    """As the new version has it."""
    is_kept: bool


def origin_of(version: SkillVersion) -> SkillVersion:
    """Return the version that came with its script, from which version was edited, maybe itself."""
    while version.based_on is not None:
        version = version.based_on
    return version


def edits_met_by(in_use: SkillVersion, words: Words) -> list[Edit]:
    """Return the edits of the version in use that words would undo or replace."""
    if in_use.based_on_id is None:
        return []
    came, edited, new = (_fields(said) for said in (_said(origin_of(in_use)), _said(in_use), words))
    return [
        Edit(
            name=name,
            label=_label(name),
            came=came[name],
            edited=value,
            new=new[name],
            is_kept=new[name] == came[name] and _fits(name, value, words),
        )
        for name, value in edited.items()
        if name in came and name in new and value not in (came[name], new[name])
    ]


def with_edits(words: Words, edits: Iterable[Edit]) -> dict[str, Any]:
    """Return words with the edits that are kept."""
    merged = copy.deepcopy(dict(words))
    for edit in edits:
        if not edit.is_kept:
            continue
        if not edit.name.startswith("inputs."):
            merged[edit.name] = copy.deepcopy(edit.edited)
            continue
        _inputs, name, word = edit.name.split(".")
        field = merged["input_schema"]["properties"][name]
        if edit.edited:
            field[word] = copy.deepcopy(edit.edited)
        else:
            field.pop(word, None)
    return merged


def version_with_edits(in_use: SkillVersion | None, version: SkillVersion) -> SkillVersion:
    """Return version, or one on the same script that keeps what was edited of the one in use.

    That is one that is there already, or a new one: not stored, without number and author.
    """
    if in_use is None or in_use.pk == version.pk:
        return version
    words = _said(version)
    kept = [edit for edit in edits_met_by(in_use, words) if edit.is_kept]
    if not kept:
        return version
    merged = with_edits(words, kept)
    for known in (in_use, *version.edits.order_by("number")):
        if _said(known) == merged:
            return known
    note = _("Kept what was edited here: %(names)s") % {"names": names_of(kept)}
    if len(note) > LONGEST_NOTE:
        note = f"{note[: LONGEST_NOTE - 1]}…"
    return SkillVersion(**merged, based_on=version, note=note)


def names_of(edits: Iterable[Edit]) -> str:
    return ", ".join(edit.label for edit in edits)


def _said(version: SkillVersion) -> dict[str, Any]:
    """Return everything a version says, and what it runs, by column."""
    return {
        field.attname: getattr(version, field.attname)
        for field in SkillVersion._meta.concrete_fields
        if field.name not in OWN_OF_EACH
    }


def _fields(words: Words) -> dict[str, Any]:
    """Return whatever can be edited, by name."""
    found = {name: words[name] for name in (*TEXTS, *STRICTER)}
    for name, schema in words["input_schema"].get("properties", {}).items():
        for word in INPUT_LABELS:
            found[f"inputs.{name}.{word}"] = schema.get(word) or ([] if word == "examples" else "")
    return found


def _fits(name: str, value: Any, words: Words) -> bool:
    """Return whether edited examples are still values of their input."""
    if not (name.startswith("inputs.") and name.endswith(".examples")):
        return True
    schema = words["input_schema"]["properties"][name.split(".")[1]]
    validator = InputValidator(
        {word: part for word, part in schema.items() if word != "examples"}, format_checker=FORMATS
    )
    return all(validator.is_valid(example) for example in value)


def _label(name: str) -> str:
    if not name.startswith("inputs."):
        return str(LABELS[name])
    _inputs, field, word = name.split(".")
    return f"{field}: {INPUT_LABELS[word]}"


def in_sentences(edits: Iterable[Edit]) -> Iterator[str]:
    """Yield what becomes of each edit, for authors and reviewers."""
    for edit in edits:
        if edit.is_kept:
            said = _("%(label)s was edited in the browser and stays %(edited)s.")
        else:
            said = _("%(label)s was edited in the browser to %(edited)s; this makes it %(new)s.")
        yield said % {
            "label": edit.label,
            "edited": shown(edit.edited),
            "new": shown(edit.new),
        }


def shown(value: Any) -> str:
    """Return a value of a field as people read it."""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    return f'"{value}"' if value else _("empty")

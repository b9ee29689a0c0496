from __future__ import annotations

from skills.catalogue.described import words_of
from skills.catalogue.edits import edits_met_by, in_sentences
from skills.catalogue.models import Skill

from .registry import Finding, Level, Subject, check, in_lines


@check("edits", title="What was edited in the browser stays")
def check_edits(subject: Subject) -> Finding:
    """Name what somebody edited of the version in use, and what becomes of it."""
    if subject.manifest is None:
        return Finding(Level.WARN, "Without a valid manifest there is nothing to compare.")
    name = subject.manifest.skill.name
    skill = Skill.objects.select_related("version").filter(name=name).first()
    if skill is None or skill.version is None:
        return Finding(Level.PASS, "No version of it is in use yet.")
    edits = edits_met_by(skill.version, words_of(name, subject.manifest, ""))
    if not edits:
        return Finding(Level.PASS, "Nothing that was edited would change.")
    level = Level.PASS if all(edit.is_kept for edit in edits) else Level.WARN
    return Finding(level, in_lines(in_sentences(edits)))

"""What verifying found, for one file and for the files of one trail together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from execfabric.core.sealing.bundle import Part
from execfabric.core.sealing.seals import Seal


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was sealed."""

    message: str
    line: int = 0
    """Of the file, from 1; 0 where no line is to blame."""
    event_id: str = ""


@dataclass(slots=True)
class Archived:
    """Seals of an export whose events were moved to an archive."""

    first: int
    last: int
    events: int
    last_digest: str
    """Of the seal with the highest number."""


@dataclass(slots=True)
class Report:
    schema: str = ""
    exported_at: str = ""
    is_whole: bool = False
    part: Part | None = None
    """What the file says it holds, if it is an archive."""
    seals: int = 0
    events: int = 0
    unsealed: int = 0
    """Events that were left out, since they had no seal yet; by the file's own word."""
    first_seal: Seal | None = None
    last_seal: Seal | None = None
    archived: dict[str, Archived] = field(default_factory=dict)
    """By sha256 of the archive."""
    keys: dict[str, None] = field(default_factory=dict)
    """Public keys that signed, in the order in which they were met."""
    compared: int = 0
    """Seals that were compared with one kept elsewhere."""
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_as_sealed(self) -> bool:
        return not self.findings


def check_together(reports: Mapping[str, Report]) -> list[str]:
    """Return what is missing between the archives and the export of one trail, or is of another.

    reports: by sha256 of the file. Each is as it was sealed.
    """
    problems = []
    schemas = sorted({one.schema for one in reports.values()})
    if len(schemas) > 1:
        return [f"These files are of several trails: {', '.join(schemas)}."]
    parts = sorted(
        ((one.part, sha256, one) for sha256, one in reports.items() if one.part is not None),
        key=lambda entry: entry[0],
    )
    last: Seal | None = None
    for part, _sha256, report in parts:
        first = report.first_seal
        follows = last.number + 1 if last else 1
        if part.first != follows:
            problems.append(
                f"The archive of seals {follows} to {part.first - 1} is not among them."
            )
        elif first is not None and last is not None and first.previous != last.digest:
            problems.append(f"Seal {part.first} does not follow seal {last.number}.")
        last = report.last_seal
    for report in reports.values():
        for sha256, archived in report.archived.items():
            found = reports.get(sha256)
            name = f"The archive of seals {archived.first} to {archived.last} ({sha256})"
            if found is None:
                problems.append(f"{name} is not among them.")
            elif found.last_seal is None or found.last_seal.digest != archived.last_digest:
                problems.append(f"{name} ends with another seal.")
    return problems

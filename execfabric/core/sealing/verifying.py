"""Checks an exported file against its seals, and against seals that were kept elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from execfabric.core.sealing.bundle import ARCHIVE_ACT, FORMAT, Part, part_from
from execfabric.core.sealing.canonical import (
    EVENT_FIELDS,
    NotCanonical,
    event_digest,
    from_text,
    ids_digest,
    leaf_of,
    parse,
)
from execfabric.core.sealing.merkle import root_from
from execfabric.core.sealing.reports import Archived, Finding, Report
from execfabric.core.sealing.seals import FIRST_PREVIOUS, NotASeal, Seal, seal_from

MOST_FINDINGS = 100
SHA256 = re.compile(r"[0-9a-f]{64}")
EVENT_ID = re.compile(rb'"id":"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"')


def verify(
    lines: Iterable[bytes],
    *,
    kept: Sequence[Seal] = (),
    keys: frozenset[str] = frozenset(),
    until: str = "",
) -> Report:
    """Check the lines of a file.

    kept: seals of any schemas from elsewhere. keys: the only ones trusted; without any, those of
    kept; without either every key is taken for the platform's. until: seals kept that were made
    after this moment (ISO 8601, UTC) need not be in the file, which is older than they are.
    """
    return _Check(kept, keys or frozenset(one.key for one in kept), until).read(lines)


class _Check:
    def __init__(self, kept: Sequence[Seal], keys: frozenset[str], until: str) -> None:
        self.report = Report()
        self._all_kept = kept
        self._kept: dict[int, Seal] = {}
        self._keys = keys
        self._until = until
        self._line = 0
        self._ended = False
        self._before: Seal | None = None
        self._seal: Seal | None = None
        """The one whose events are read; None when it cannot be believed."""
        self._ids: list[str] | None = None
        self._seen: dict[int, str] = {}
        self._said_archived = 0
        """Up to which seal proven events of the trail say that it was archived."""

    def read(self, lines: Iterable[bytes]) -> Report:
        kinds: dict[str, Callable[[Mapping[str, Any]], None]] = {
            "seal": self._read_seal,
            "event": self._read_event,
            "end": self._read_end,
        }
        for number, line in enumerate(lines, 1):
            self._line = number
            if len(self.report.findings) >= MOST_FINDINGS:
                self._find("There is more; the rest was not looked at.")
                return self.report
            document = self._parsed(line)
            if document is None:
                continue
            if number == 1:
                self._read_header(document)
                if self.report.findings:
                    return self.report
            elif self._ended:
                self._find("Something stands after the end of the export.")
            elif document.get("kind") in kinds:
                kinds[document["kind"]](document)
            else:
                self._find("This line is of no kind that an export has.")
        self._line = 0
        self._close_seal()
        if not self._ended:
            self._find("The file ends early: its last line, which says how much it holds, is gone.")
        self._compare_rest()
        self._check_archives()
        return self.report

    def _find(self, message: str, event_id: str = "") -> None:
        self.report.findings.append(Finding(message, self._line, event_id))

    def _parsed(self, line: bytes) -> Mapping[str, Any] | None:
        try:
            document = parse(line.removesuffix(b"\n"))
            if isinstance(document, dict):
                return document
        except NotCanonical:
            pass
        named = EVENT_ID.search(line)
        event_id = named[1].decode() if named else ""
        if event_id:
            self._find(f"Event {event_id} was changed: its line cannot be read.", event_id)
            if self._ids and event_id in self._ids:
                self._seen.setdefault(self._ids.index(event_id), event_id)
        else:
            self._find("This line was changed: it cannot be read.")
        return None

    def _read_header(self, document: Mapping[str, Any]) -> None:
        known = {"kind", "format", "schema", "exported_at", "selection", "unsealed"}
        part = part_from(document.get("archive")) if "archive" in document else None
        is_known = set(document) - {"archive"} == known and document["format"] == FORMAT
        if not is_known or ("archive" in document and part is None):
            self._find("This is no export of an audit trail that this program knows.")
            return
        self.report.schema = str(document["schema"])
        self.report.exported_at = str(document["exported_at"])
        self.report.is_whole = document["selection"] is None
        self.report.part = part
        self.report.unsealed = document["unsealed"] if type(document["unsealed"]) is int else 0
        self._kept = {one.number: one for one in self._all_kept if one.schema == document["schema"]}

    # --- seals --------------------------------------------------------------------------------

    def _read_seal(self, document: Mapping[str, Any]) -> None:
        self._close_seal()
        self.report.seals += 1
        try:
            seal = seal_from(document.get("seal"))
        except NotASeal as error:
            self._find(f"A seal was changed. {error}")
            return
        seal_is_good = self._is_believed(seal)
        trusted = self._kept.get(seal.number)
        self._seal = seal if seal_is_good else trusted
        self._check_chain(seal)
        self._before = seal
        self.report.first_seal = self.report.first_seal or seal
        self.report.last_seal = seal
        if "archived" in document:
            self._note_archived(seal, document["archived"])
            self._seal = None
            return
        self._ids = self._checked_ids(document.get("ids"))

    def _note_archived(self, seal: Seal, sha256: Any) -> None:
        archived = self.report.archived
        holds_until = max((one.last for one in archived.values()), default=0)
        is_digest = isinstance(sha256, str) and SHA256.fullmatch(sha256)
        if not is_digest or not self.report.is_whole or self.report.part is not None:
            self._find(f"The line of seal {seal.number} was changed.")
        elif holds_until != seal.number - 1:
            self._find(
                f"Seal {seal.number} is said to be archived, though seals before it are not."
            )
        elif sha256 in archived:
            one = archived[sha256]
            one.last, one.events = seal.number, one.events + seal.count
            one.last_digest = seal.digest
        else:
            archived[sha256] = Archived(seal.number, seal.number, seal.count, seal.digest)

    def _is_believed(self, seal: Seal) -> bool:
        name = f"Seal {seal.number}"
        before = len(self.report.findings)
        if seal.schema != self.report.schema:
            self._find(f"{name} is of another schema, {seal.schema}.")
        elif not seal.is_genuine():
            self._find(f"{name} was changed: its signature does not fit.")
        elif self._keys and seal.key not in self._keys:
            self._find(f"{name} is signed by a key that is not trusted: {seal.key}")
        kept = self._kept.get(seal.number)
        if kept is not None:
            self.report.compared += 1
            if kept.digest != seal.digest:
                self._find(f"{name} is not the one that was kept elsewhere.")
        self.report.keys.setdefault(seal.key)
        return len(self.report.findings) == before

    def _check_chain(self, seal: Seal) -> None:
        before = self._before
        if before is not None and seal.number <= before.number:
            self._find(f"Seal {seal.number} stands at the wrong place, after seal {before.number}.")
            return
        if not self.report.is_whole:
            return
        part = self.report.part
        if before is None and part is not None and part.first > 1:
            self._check_start(seal, part)
            return
        expected = before.number + 1 if before else 1
        if seal.number != expected:
            held = seal.total - seal.count - (before.total if before else 0)
            self._find(
                f"Seals {expected} to {seal.number - 1} were deleted, with their {held} events."
            )
        elif seal.previous != (before.digest if before else FIRST_PREVIOUS):
            self._find(f"Seal {seal.number} does not follow the seal before it: one was replaced.")
        elif seal.total != seal.count + (before.total if before else 0):
            self._find(f"Seal {seal.number} counts other events than the seals before it.")

    def _check_start(self, seal: Seal, part: Part) -> None:
        """Check the first seal of an archive that is not the first one, as far as it is known."""
        before = self._kept.get(part.first - 1)
        if seal.number != part.first:
            self._find(f"The archive begins with seal {seal.number} and not with {part.first}.")
        elif before is not None and seal.previous != before.digest:
            self._find(f"Seal {seal.number} does not follow the seal that was kept elsewhere.")

    def _checked_ids(self, ids: Any) -> list[str] | None:
        if not self.report.is_whole or self._seal is None:
            return None
        try:
            if isinstance(ids, list) and ids_digest(ids) == self._seal.ids:
                return ids
        except (ValueError, AttributeError, TypeError):
            pass
        self._find(f"The list of events of seal {self._seal.number} was changed.")
        return None

    def _close_seal(self) -> None:
        """Name the events of the seal at hand that are not there."""
        if self._seal is not None and self.report.is_whole:
            for index in range(self._seal.count):
                if index in self._seen:
                    continue
                if len(self.report.findings) >= MOST_FINDINGS:
                    break
                place = f"number {index + 1} of seal {self._seal.number}"
                if self._ids is not None:
                    event_id = self._ids[index]
                    self._find(f"Event {event_id} was deleted. It was {place}.", event_id)
                else:
                    self._find(f"An event was deleted. It was {place}.")
        self._seal, self._ids, self._seen = None, None, {}

    # --- events -------------------------------------------------------------------------------

    def _read_event(self, document: Mapping[str, Any]) -> None:
        self.report.events += 1
        event = document.get("event")
        if not isinstance(event, dict) or set(event) != set(EVENT_FIELDS):
            self._find("An event was changed: it has other fields than events have.")
            return
        event_id, index = str(event["id"]), document.get("index")
        if self._seal is None:
            self._find(f"Event {event_id} stands under no seal that can be believed.", event_id)
            return
        seal = self._seal
        at_wrong_place = f"Event {event_id} stands at the wrong place."
        place = index if type(index) is int and 0 <= index < seal.count else None
        if self._ids is not None and place is not None and place not in self._seen:
            if (held := self._ids[place]) != event_id:
                self._seen[place] = held
                self._find(f"In the place of event {held} stands another one, {event_id}.", held)
                return
        elif self._ids is not None and event_id not in self._ids:
            self._find(
                f"Event {event_id} was inserted: seal {seal.number} has none such.", event_id
            )
            return
        if document.get("seal") != seal.number or type(index) is not int:
            self._find(at_wrong_place, event_id)
            return
        if index in self._seen:
            self._find(f"Event {event_id} was inserted: its place is taken already.", event_id)
            return
        if not self._is_proven(event, index, document.get("path")):
            self._find(
                f"Event {event_id} was changed: it is not what seal {seal.number} holds.", event_id
            )
        elif index < max(self._seen, default=-1):
            self._find(at_wrong_place, event_id)
        else:
            self._note_act(event)
        if 0 <= index < seal.count:
            self._seen[index] = event_id

    def _note_act(self, event: Mapping[str, Any]) -> None:
        details = event["details"]
        if (
            event["code"] == ARCHIVE_ACT
            and event["outcome"] == "done"
            and isinstance(details, dict)
        ):
            last = details.get("last_seal")
            self._said_archived = max(self._said_archived, last if type(last) is int else 0)

    def _is_proven(self, event: Mapping[str, Any], index: int, path: Any) -> bool:
        if self._seal is None or not isinstance(path, list):
            return False
        try:
            nodes = [from_text(node) for node in path]
            leaf = leaf_of(event["id"], event_digest(event))
        except (ValueError, TypeError, AttributeError):
            return False
        if self._ids is not None and self._ids[index : index + 1] != [event["id"]]:
            return False
        root = root_from(leaf, index, self._seal.count, nodes)
        return root is not None and root.hex() == self._seal.root

    # --- the end ------------------------------------------------------------------------------

    def _read_end(self, document: Mapping[str, Any]) -> None:
        self._close_seal()
        self._ended = True
        said = (document.get("seals"), document.get("events"))
        if said != (self.report.seals, self.report.events):
            self._find(
                f"The end says {said[0]} seals and {said[1]} events; there are "
                f"{self.report.seals} and {self.report.events}."
            )

    def _compare_rest(self) -> None:
        if not self.report.is_whole or self.report.part is not None or not self._kept:
            return
        last = self.report.last_seal.number if self.report.last_seal else 0
        beyond = [
            one
            for number, one in sorted(self._kept.items())
            if number > last and (not self._until or one.sealed_at <= self._until)
        ]
        if beyond:
            self._find(
                f"The end was cut off: the export ends with seal {last}, and seal "
                f"{beyond[0].number} to {beyond[-1].number} were kept elsewhere. The last one was "
                f"made at {beyond[-1].sealed_at}; {beyond[-1].total} events were sealed by then. "
                "If the export is older than that, say with --until when it was made."
            )

    def _check_archives(self) -> None:
        part, last = self.report.part, self.report.last_seal
        if part is not None and (last is None or last.number != part.last):
            self._find(f"The archive does not go up to seal {part.last}: its end was cut off.")
        until = max((one.last for one in self.report.archived.values()), default=0)
        if until > self._said_archived:
            self._find(
                f"Seals 1 to {until} are said to be archived, and no event of the trail says so: "
                "their events were deleted."
            )


def kept_seals(lines: Iterable[bytes]) -> tuple[list[Seal], int]:
    """Return the genuine seals of a file of copies, and how many of its lines hold none."""
    seals, broken = [], 0
    for line in lines:
        try:
            seal = seal_from(parse(line.strip()))
        except (NotCanonical, NotASeal):
            broken += bool(line.strip())
            continue
        if seal.is_genuine():
            seals.append(seal)
        else:
            broken += 1
    return seals, broken

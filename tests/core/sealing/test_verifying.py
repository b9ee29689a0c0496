"""Whatever is done to an export, verifying finds it and names the event."""

from __future__ import annotations

from dataclasses import replace

import pytest

from execfabric.core.sealing.bundle import as_line
from execfabric.core.sealing.canonical import parse
from execfabric.core.sealing.verifying import EVENT_ID, kept_seals, verify
from tests.core.sealing.exported import (
    STRANGER,
    changed,
    event,
    export,
    seal_of,
    sealed,
)

TRAIL = sealed(3, 1, 5)
WHOLE = export(TRAIL)
KEPT = [seal for seal, _events in TRAIL]
FIRST, SECOND = 2, 3
"""Lines of the first two events, counted from 0."""


def findings(lines, **options):
    return [one.message for one in verify(lines, **options).findings]


def renumbered(lines, seals, events):
    """Return lines with an end that fits: a forger would take care of it."""
    return [*lines[:-1], as_line({"kind": "end", "seals": seals, "events": events})]


def test_an_export_is_as_it_was_sealed():
    report = verify(WHOLE, kept=KEPT)

    assert report.findings == []
    assert (report.seals, report.events, report.compared, report.is_whole) == (3, 9, 3, True)


def test_a_selection_is_proven_event_by_event():
    lines = export(TRAIL, is_whole=False)
    some = renumbered([*lines[:3], *lines[4:]], 3, 8)

    assert findings(some) == []
    assert verify(some).is_whole is False


@pytest.mark.parametrize("line", range(1, len(WHOLE)))
def test_no_byte_behind_the_header_can_be_changed_unnoticed(line):
    text = WHOLE[line]
    held = EVENT_ID.search(text) if b'"kind":"event"' in text else None
    for place in range(len(text) - 1):
        byte = bytes([text[place] ^ 1])
        lines = [*WHOLE[:line], text[:place] + byte + text[place + 1 :], *WHOLE[line + 1 :]]

        report = verify(lines)

        assert report.findings, (place, text)
        if held:
            assert held[1].decode() in {one.event_id for one in report.findings}, (place, text)


@pytest.mark.parametrize(
    "fields",
    [{"actor_name": "olivia"}, {"details": {}}, {"at": "2026-11-26T10:00:59.000000+00:00"}],
    ids=str,
)
def test_a_changed_event_is_named(fields):
    lines = [*WHOLE[:FIRST], changed(WHOLE[FIRST], **fields), *WHOLE[FIRST + 1 :]]

    report = verify(lines)

    assert [one.event_id for one in report.findings] == [event(1)["id"]]
    assert report.findings[0].line == FIRST + 1


def test_a_deleted_event_is_named():
    lines = renumbered([*WHOLE[:FIRST], *WHOLE[FIRST + 1 :]], 3, 8)

    assert findings(lines) == [f"Event {event(1)['id']} was deleted. It was number 1 of seal 1."]


def test_an_inserted_event_is_named():
    document = parse(WHOLE[FIRST].strip())
    document["event"] = event(50)
    lines = [*WHOLE[: SECOND + 1], as_line(document), *WHOLE[SECOND + 1 :]]

    assert findings(renumbered(lines, 3, 10)) == [
        f"Event {event(50)['id']} was inserted: seal 1 has none such."
    ]


def test_an_event_that_stands_twice_is_named():
    lines = renumbered([*WHOLE[: FIRST + 1], *WHOLE[FIRST:]], 3, 10)

    assert findings(lines) == [f"Event {event(1)['id']} was inserted: its place is taken already."]


def test_events_in_another_order_are_named():
    lines = [*WHOLE[:FIRST], WHOLE[SECOND], WHOLE[FIRST], *WHOLE[SECOND + 1 :]]

    assert findings(lines) == [f"Event {event(1)['id']} stands at the wrong place."]


def test_a_deleted_seal_is_missed_with_its_events():
    lines = renumbered([*WHOLE[:5], *WHOLE[7:]], 2, 8)

    assert findings(lines) == ["Seals 2 to 2 were deleted, with their 1 events."]


def test_a_file_that_ends_early_is_found():
    assert findings(WHOLE[:-1])[-1].startswith("The file ends early")


def test_an_end_cut_off_with_care_is_found_by_seals_kept_elsewhere():
    cut = renumbered([*WHOLE[:7], WHOLE[-1]], 2, 4)

    assert findings(cut) == []
    (found,) = findings(cut, kept=KEPT)
    assert found.startswith("The end was cut off: the export ends with seal 2")


def test_an_export_may_be_older_than_the_seals_kept_when_the_auditor_says_so():
    older = export(TRAIL[:2])

    assert findings(older, kept=KEPT, until=TRAIL[1][0].sealed_at) == []


def test_a_trail_sealed_anew_by_somebody_else_is_found():
    forged = export(sealed(3, 1, 5, signer=STRANGER))

    assert findings(forged) == []  # It is consistent in itself; its key is another one.
    assert "not trusted" in findings(forged, keys=frozenset({KEPT[0].key}))[0]
    assert any("kept elsewhere" in one for one in findings(forged, kept=KEPT))


def test_a_trail_sealed_anew_with_the_stolen_key_is_found_by_seals_kept_elsewhere():
    events = [event(1), event(3)]
    seal = seal_of(events, None)

    assert findings(export([(seal, events)])) == []
    assert findings(export([(seal, events)]), kept=KEPT)[0] == (
        "Seal 1 is not the one that was kept elsewhere."
    )


def test_a_seal_of_another_schema_is_none():
    first, events = TRAIL[0]
    other = seal_of(events, None, schema="tenant_1002")

    assert findings(export([(other, events)]))[0] == "Seal 1 is of another schema, tenant_1002."
    assert first.is_genuine()


def test_a_copy_of_seals_with_a_torn_line_is_read():
    lines = [as_line(seal.document()) for seal in KEPT]
    forged = as_line(replace(KEPT[0], count=2).document())

    assert kept_seals([lines[0], lines[1][:50] + b"\n", lines[2], forged]) == (
        [KEPT[0], KEPT[2]],
        2,
    )

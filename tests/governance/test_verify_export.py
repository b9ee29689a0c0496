"""docs/how-to/12-verify-an-execution.md, followed step by step."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from django.utils import timezone

from cli.commands.audit import fingerprint
from cli.exit_codes import ExitCode
from cli.main import main
from execfabric.core.errors import ProofNeeded
from execfabric.core.models import AuditEvent
from execfabric.core.sealing.canonical import parse
from execfabric.core.sealing.seals import Signer
from execfabric.web.audit.services import export_trail
from governance.audit.sealing import seal_schemas
from skills.executions.services import request_execution
from tests.factories.skills import make_skill

SIGNER = Signer("a key of the tests, long enough to be one")


@pytest.fixture
def verify(capsys, monkeypatch, tmp_path):
    """Return a caller of ``audit verify`` without a server."""
    monkeypatch.setenv("EXECFABRIC_CONFIG", str(tmp_path / "none.json"))
    monkeypatch.setenv("EXECFABRIC_URL", "http://nowhere.invalid")

    def call(*words):
        code = 0
        try:
            main(["audit", "verify", *map(str, words), "--json"])
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = capsys.readouterr()
        return SimpleNamespace(code=code, document=_first(said.out), said=said.err)

    return call


def _first(text):
    return json.JSONDecoder().raw_decode(text)[0] if text.strip() else None


def sealed(tenant, folder):
    seal_schemas(
        [tenant.schema_name],
        signer=SIGNER,
        folder=folder,
        now=timezone.now(),
        below_xid=2**62,
        everywhere=True,
    )
    return folder / f"{tenant.schema_name}.jsonl"


def exported(person, file, **fields):
    answer = person.browser.post("/audit/export/", {"form": "bundle", **fields})
    assert answer.status_code == 200
    file.write_bytes(b"".join(answer.streaming_content))
    return file


@pytest.fixture
def run(acme, person):
    skill = make_skill()
    oscar = person("oscar")
    return request_execution(actor=oscar.actor, skill=skill, inputs={"name": "Ada"})


def test_the_how_to_can_be_followed(acme, person, run, verify, tmp_path):
    olivia = person("olivia")
    # 1. Seals, as they are copied outside of the database.
    copies = sealed(acme, tmp_path / "seals")

    # 2. The evidence pack of the execution.
    page = olivia.browser.get(f"/executions/{run.pk}/evidence/").content.decode()
    assert "under seal 1" in page
    assert run.inputs_digest in page
    pack = tmp_path / "evidence.json"
    pack.write_bytes(olivia.browser.get(f"/executions/{run.pk}/evidence.json").content)
    assert json.loads(pack.read_bytes())["execution"]["requested_by"] == "oscar"
    assert verify(pack, "--seals", copies).code == 0

    # 3. The whole trail, verified offline.
    trail = exported(olivia, tmp_path / "trail.jsonl")
    result = verify(trail, "--seals", copies)
    assert (result.code, result.document["whole"]) == (0, True)
    assert result.document["events"] == AuditEvent.objects.count() - 1  # The export's own.
    assert result.document["compared_seals"] == 1

    # 4. One byte is changed: the event is named.
    event = AuditEvent.objects.get(code="executions.execution.request")
    lines = trail.read_bytes().split(b"\n")
    (place,) = [
        number for number, line in enumerate(lines) if f'"id":"{event.pk}"'.encode() in line
    ]
    lines[place] = lines[place].replace(b'"actor_name":"oscar"', b'"actor_name":"oscas"')
    trail.write_bytes(b"\n".join(lines))

    result = verify(trail, "--seals", copies)

    assert result.code == ExitCode.NOT_AS_SEALED
    assert [one["event"] for one in result.document["findings"]] == [str(event.pk)]
    assert f"Event {event.pk} was changed" in result.said


def test_a_byte_of_the_pack_is_found_too(acme, person, run, verify, tmp_path):
    sealed(acme, tmp_path / "seals")
    pack = person("olivia").browser.get(f"/executions/{run.pk}/evidence.json").content
    file = tmp_path / "evidence.json"
    head, proof, rest = pack.partition(b'"proof":')
    file.write_bytes(head + proof + rest.replace(b'"door":"api"', b'"door":"cli"', 1))

    result = verify(file)

    assert result.code == ExitCode.NOT_AS_SEALED
    assert result.document["findings"][0]["event"]


def test_an_event_deleted_from_the_database_is_named(acme, person, run, verify, tmp_path):
    sealed(acme, tmp_path / "seals")
    trail = exported(person("olivia"), tmp_path / "trail.jsonl")
    lines = trail.read_bytes().splitlines(keepends=True)
    gone = next(line for line in lines if b"executions.execution.request" in line)
    lines.remove(gone)
    trail.write_bytes(b"".join(lines))

    result = verify(trail)

    event_id = parse(gone.strip())["event"]["id"]
    assert event_id in {one["event"] for one in result.document["findings"]}


def test_a_trail_that_was_cut_is_found_by_the_copies(acme, person, run, verify, tmp_path):
    sealed(acme, tmp_path / "seals")
    older = exported(person("olivia"), tmp_path / "older.jsonl")
    copies = sealed(acme, tmp_path / "seals")

    result = verify(older, "--seals", copies)

    assert result.code == ExitCode.NOT_AS_SEALED
    assert "The end was cut off" in result.document["findings"][0]["message"]
    made = parse(older.read_bytes().splitlines()[0])["exported_at"]
    assert verify(older, "--seals", copies, "--until", made).code == 0


def test_a_selection_holds_what_was_selected(acme, person, run, verify, tmp_path):
    sealed(acme, tmp_path / "seals")

    some = exported(person("olivia"), tmp_path / "some.jsonl", code="executions.execution.request")

    result = verify(some)
    assert (result.code, result.document["whole"], result.document["events"]) == (0, False, 1)


def test_only_a_trusted_key_will_do(acme, person, run, verify, tmp_path):
    sealed(acme, tmp_path / "seals")
    trail = exported(person("olivia"), tmp_path / "trail.jsonl")

    assert verify(trail, "--key", fingerprint(SIGNER.key)).code == 0
    assert verify(trail, "--key", "0" * 64).code == ExitCode.NOT_AS_SEALED


@pytest.mark.parametrize(("form", "first"), [("csv", b"id,at,code"), ("jsonl", b"{")])
def test_the_events_can_be_read_on_as_a_table_or_as_lines(acme, person, run, form, first):
    answer = person("olivia").browser.post("/audit/export/", {"form": form, "actor": "oscar"})

    content = b"".join(answer.streaming_content)
    assert content.startswith(first)
    assert b"executions.execution.request" in content
    assert re.search(r"audit-events-.*\." + form, answer["Content-Disposition"])


def test_an_export_leaves_one_event_and_needs_the_right(acme, person, run):
    before = AuditEvent.objects.filter(code="core.audit.export")
    person("olivia").browser.post("/audit/export/", {"form": "csv"})

    assert before.count() == 1
    assert person("oscar").browser.post("/audit/export/", {"form": "csv"}).status_code == 404
    assert person("oscar").browser.get(f"/executions/{run.pk}/evidence/").status_code == 404
    assert before.count() == 1


def test_an_export_asks_for_a_fresh_proof(acme, person):
    stale = replace(person("olivia").actor, is_proven=False)

    with pytest.raises(ProofNeeded):
        export_trail(actor=stale, form="csv", selection={})


@pytest.mark.parametrize("text", [b"", b"{}\n", b"\x00\xff", b'{"format":1}'])
def test_what_is_no_export_is_told(verify, tmp_path, text):
    file = tmp_path / "file"
    file.write_bytes(text)

    assert verify(file).code == ExitCode.NOT_AS_SEALED


def test_files_that_are_not_there_are_told(verify, tmp_path):
    assert verify(tmp_path / "nowhere").code == ExitCode.USAGE

from __future__ import annotations

import io
import json
import zipfile

import pytest
from openpyxl import load_workbook

from execfabric.core.storage import store_file
from skills.batches import services
from skills.batches.archive import as_zip
from skills.batches.results import ResultTable, as_csv, as_xlsx, safe_text
from skills.executions.models import Artifact, Execution
from skills.executions.states import Status

from .conftest import read_csv


@pytest.fixture
def done(greet, draft, oscar, work):
    batch = draft(greet, 'name,times\n=HYPERLINK("http://x"),1\nBob,x\nEve,1\n')
    services.start_batch(actor=oscar.actor, batch=batch, skip_invalid=True)
    work(batch, outcomes=[Status.SUCCEEDED, Status.FAILED])
    return batch


def test_the_table_has_inputs_results_and_errors_of_every_row(done):
    rows = read_csv(b"".join(as_csv(ResultTable(done))))

    assert [row["row"] for row in rows] == ["2", "3", "4"]
    assert [row["status"] for row in rows] == ["succeeded", "invalid", "failed"]
    assert rows[1]["error"] == "times must be a whole number"
    assert list(rows[0]) == [
        *("row", "status", "name", "times", "greeting", "error", "seconds", "execution")
    ]


def test_no_cell_of_the_table_is_a_formula(done):
    rows = read_csv(b"".join(as_csv(ResultTable(done))))
    assert rows[0]["name"] == '\'=HYPERLINK("http://x")'
    assert rows[2]["error"] == "'=it broke"

    sheet = load_workbook(as_xlsx(ResultTable(done))).active
    kinds = {cell.data_type for row in sheet.iter_rows() for cell in row}
    assert kinds <= {"inlineStr", "s", "n"}
    assert sheet["C2"].value == '\'=HYPERLINK("http://x")'
    assert sheet["D2"].value == 1


@pytest.mark.parametrize("text", ["=1", "+1+1", "-cmd", "@x", "\t=1", "\r=1", "\n=1"])
def test_texts_that_begin_like_a_formula_are_marked(text):
    assert safe_text(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-5", "+49", "-1.5", "12%", "a=1", "", "2026-01-31"])
def test_other_texts_stay(text):
    assert safe_text(text) == text


def test_texts_no_workbook_can_hold_are_still_written(greet, draft, oscar, work):
    batch = draft(greet, f"name\nA\x07da{'x' * 40_000}\n")
    services.start_batch(actor=oscar.actor, batch=batch)
    work(batch)

    sheet = load_workbook(as_xlsx(ResultTable(batch))).active

    assert sheet["C2"].value.startswith("A\ufffdda")
    assert len(sheet["C2"].value) == 32_767


def test_the_archive_has_the_files_of_each_row_and_names_what_is_gone(done):
    for row in done.rows.filter(execution__isnull=False):
        for name in ("a.txt", "sub/b.txt"):
            stored = store_file("artifacts/x", f"{row.number}-{name[-5:]}", io.BytesIO(b"abc" * 99))
            Artifact.objects.create(
                execution=row.execution,
                name=name,
                size_bytes=297,
                sha256="0" * 64,
                media_type="text/plain",
                stored_as=stored if (row.number, name) != (4, "a.txt") else f"{stored}.gone",
            )

    with zipfile.ZipFile(io.BytesIO(b"".join(as_zip(done)))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            "row-2/a.txt",
            "row-2/sub/b.txt",
            "row-4/sub/b.txt",
            "missing-files.txt",
        ]
        assert archive.read("row-2/a.txt") == b"abc" * 99
        assert b"row-4/a.txt" in archive.read("missing-files.txt")


def test_an_output_that_is_no_object_has_a_column_too(greet, draft, oscar, work):
    batch = draft(greet, "name\nAda\nBob\n")
    services.start_batch(actor=oscar.actor, batch=batch)
    work(batch)
    first = Execution.objects.get(inputs_digest=batch.rows.get(number=2).execution.inputs_digest)
    Execution.objects.filter(pk=first.pk).update(output=[1, 2])

    rows = read_csv(b"".join(as_csv(ResultTable(batch))))

    assert (rows[0]["result"], rows[0]["greeting"]) == ("[1, 2]", "")
    assert rows[1]["greeting"] == "Hello, Bob!"


def test_of_the_names_scripts_make_up_not_all_become_columns(done):
    run = Execution.objects.filter(batch_row__batch=done).first()
    made_up = {f"n{number:03}": number for number in range(250)}
    Execution.objects.filter(pk=run.pk).update(output={"greeting": "Hi", **made_up})

    rows = read_csv(b"".join(as_csv(ResultTable(done))))
    (row,) = [row for row in rows if row["n000"]]

    assert len(row) == 5 + 2 + 200 + 1
    assert (row["greeting"], row["n198"]) == ("Hi", "198")
    assert json.loads(row["output"]) == {f"n{number}": number for number in range(199, 250)}

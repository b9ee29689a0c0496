"""A preview shows a bounded part as data, and says why where there is none."""

from __future__ import annotations

import io
import json
import time
import tracemalloc
import zipfile

import pytest
from django.core.files.storage import default_storage

from skills.executions import files
from skills.executions.previews import TEXT_BYTES, kind_of, preview_of
from skills.executions.workbooks import Bounds, Unreadable, read_workbook
from tests.live import ROOT

BOUNDS = Bounds(sheets=2, rows=3, columns=3, cell=10)
SAMPLE = ROOT / "examples" / "merge-spreadsheets" / "samples" / "visits.xlsx"
NAMESPACE = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
HEAD = b"<worksheet><sheetData>"


def workbook(*sheets: bytes, texts: str = "", styles: str = "", **packing) -> io.BytesIO:
    """Return a workbook of these sheets' XML, as small as one can be."""
    kinds = [("worksheet", f"worksheets/s{number}.xml") for number in range(len(sheets))]
    kinds += [("sharedStrings", "sharedStrings.xml"), ("styles", "styles.xml")]
    relations = "".join(
        f'<Relationship Id="r{number}" Type="x/{kind}" Target="{part}"/>'
        for number, (kind, part) in enumerate(kinds)
    )
    named = "".join(f'<sheet name="S{one}" r:id="r{one}"/>' for one in range(len(sheets)))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packing.get("packing", zipfile.ZIP_DEFLATED)) as archive:
        archive.writestr(
            "xl/workbook.xml", f"<workbook {NAMESPACE}><sheets>{named}</sheets></workbook>"
        )
        archive.writestr("xl/_rels/workbook.xml.rels", f"<R>{relations}</R>")
        archive.writestr("xl/sharedStrings.xml", f"<sst>{texts}</sst>")
        archive.writestr("xl/styles.xml", f"<styleSheet>{styles}</styleSheet>")
        for number, sheet in enumerate(sheets):
            archive.writestr(f"xl/worksheets/s{number}.xml", sheet)
    return file


def rows_of(*rows: str) -> bytes:
    filled = "".join(f"<row>{row}</row>" for row in rows)
    return HEAD + f"{filled}</sheetData></worksheet>".encode()


class TestWorkbooks:
    def test_an_ordinary_one_is_read(self):
        with SAMPLE.open("rb") as file:
            [sheet], there = read_workbook(file, Bounds(5, 50, 30, 200))

        assert (sheet.name, there, sheet.is_cut) == ("Visits", 1, False)
        assert sheet.rows[0] == ["CUSTOMER ID", "Last visit", "Visits", "Note"]
        assert sheet.rows[1] == ["0012", "2026-01-09", "4", "=likes the new form"]

    @pytest.mark.parametrize(
        ("cell", "shown"),
        [
            ('<c t="s"><v>1</v></c>', "shared"),
            ('<c t="s"><v>99</v></c>', ""),
            ('<c t="inlineStr"><is><r><t>in</t></r><r><t>line</t></r></is></c>', "inline"),
            ('<c t="b"><v>1</v></c>', "TRUE"),
            ('<c t="e"><v>#REF!</v></c>', "#REF!"),
            ("<c><v>0.30000000000000004</v></c>", "0.3"),
            ("<c><v>1000000</v></c>", "1000000"),
            ('<c s="1"><v>45351</v></c>', "2024-02-29"),
            ('<c s="1"><v>45351.5</v></c>', "2024-02-29 12:00:00"),
            ('<c s="2"><v>0.25</v></c>', "06:00:00"),
            ('<c s="3"><v>45351</v></c>', "45351"),
            ("<c><f>1+1</f><v>2</v></c>", "2"),
            ('<c t="str"><v>a text that is long</v></c>', "a text tha…"),
        ],
    )
    def test_each_kind_of_cell(self, cell, shown):
        styles = (
            '<numFmts><numFmt numFmtId="170" formatCode="hh:mm"/>'
            '<numFmt numFmtId="171" formatCode="0 &quot;days&quot;"/></numFmts>'
            '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="170"/>'
            '<xf numFmtId="171"/></cellXfs>'
        )
        texts = "<si><t>first</t></si><si><t>sha</t><t>red</t><rPh><t>no</t></rPh></si>"
        file = workbook(rows_of(f"{cell}<c><v>9</v></c>"), texts=texts, styles=styles)

        [sheet], _ = read_workbook(file, BOUNDS)

        assert sheet.rows == [[shown, "9"]]

    def test_rows_columns_and_sheets_are_bounded(self):
        cells = "".join(f"<c><v>{number}</v></c>" for number in range(5))
        file = workbook(*[rows_of(*[cells] * 5)] * 4)

        sheets, there = read_workbook(file, BOUNDS)

        assert there == 4
        assert [sheet.name for sheet in sheets] == ["S0", "S1"]
        assert [sheet.rows for sheet in sheets] == [[["0", "1", "2"]] * 3] * 2
        assert all(sheet.is_cut for sheet in sheets)

    def test_cells_lie_where_they_say(self):
        [sheet], _ = read_workbook(workbook(rows_of('<c r="C7"><v>1</v></c>')), BOUNDS)

        assert sheet.rows == [["", "", "1"]]

    @pytest.mark.parametrize(
        "sheet",
        [
            pytest.param(HEAD + b'<row><c t="str"><v>' + b"x" * 200_000_000, id="one long text"),
            pytest.param(HEAD + b"<row>" + b"<c/>" * 20_000_000, id="one long row"),
            pytest.param(HEAD + b"<a>" * 5_000_000, id="nested"),
            pytest.param(HEAD + b'<row><c a="' + b"x" * 50_000_000, id="one long tag"),
            pytest.param(
                b'<!DOCTYPE x [<!ENTITY a "aa">]><worksheet>&a;</worksheet>', id="entities"
            ),
            pytest.param(HEAD + b"</x>", id="broken"),
        ],
    )
    def test_a_bomb_costs_little_time_and_memory(self, sheet):
        file = workbook(sheet)
        tracemalloc.start()
        started = time.process_time()
        try:
            read_workbook(file, BOUNDS)
        except Unreadable:
            pass
        finally:
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()

        assert most < 8 * 1024 * 1024
        assert time.process_time() - started < 20

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"no workbook",
            b"PK\5\6",
            workbook(packing=zipfile.ZIP_STORED).getvalue(),
            workbook(rows_of(), packing=zipfile.ZIP_LZMA).getvalue(),
            workbook(rows_of()).getvalue()[:-30],
        ],
        ids=["empty", "a text", "only the end", "no sheet", "packed oddly", "cut off"],
    )
    def test_what_is_none_says_so(self, content):
        with pytest.raises(Unreadable):
            read_workbook(io.BytesIO(content), BOUNDS)

    def test_an_archive_of_very_many_parts_is_not_listed(self):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for number in range(3000):
                archive.writestr(f"{number}", b"")

        with pytest.raises(Unreadable, match="too many parts"):
            read_workbook(file, BOUNDS)


@pytest.fixture
def file(acme, person):
    oscar = person("oscar")

    def upload(name, content):
        return files.upload_file(actor=oscar.actor, name=name, content=io.BytesIO(content))

    return upload


def test_json_is_laid_out(file):
    preview = preview_of(file("a.json", b'{"b":[1,{"\xc3\xa4":null}]}'))

    assert preview.text == json.dumps({"b": [1, {"ä": None}]}, indent=2, ensure_ascii=False)
    assert not preview.is_cut


@pytest.mark.parametrize(
    "content",
    [b"{broken", b"[" * 100_000, b"1" * 10_000],
    ids=["broken", "deep", "a long number"],
)
def test_json_that_is_none_is_shown_as_it_is_and_says_so(file, content):
    preview = preview_of(file("a.json", content))

    assert preview.text == content.decode()[:TEXT_BYTES]
    assert "not valid JSON" in preview.why


def test_json_that_unfolds_or_is_long_is_cut(file):
    for content in (b"[" + b"[]," * 100_000 + b"1]", b'"' + b"x" * 2_000_000 + b'"'):
        preview = preview_of(file("a.json", content))
        assert preview.is_cut
        assert len(preview.text) <= TEXT_BYTES


def test_a_workbook_is_shown_as_tables_with_the_names_of_its_sheets(file):
    preview = preview_of(file("a.xlsx", SAMPLE.read_bytes()))

    assert preview.kind == "table"
    assert [sheet.name for sheet in preview.sheets] == ["Visits"]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.xlsx", b"no workbook", "not a workbook"),
        ("a.pdf", b"<script>alert(1)</script>", "called a PDF but is none"),
    ],
)
def test_what_cannot_be_shown_says_why(file, name, content, why):
    preview = preview_of(file(name, content))

    assert preview.kind == "failed"
    assert why in preview.why


def test_a_file_that_is_lost_says_so(file):
    lost = file("a.csv", b"a;b\n")
    default_storage.delete(lost.stored_as)

    assert preview_of(lost).why == "This file is no longer stored."


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.html", "text"),
        ("a.svg", "text"),
        ("a.xhtml", "none"),
        ("a.PDF", "pdf"),
        ("a.xlsx", "workbook"),
        ("a.json", "json"),
        ("a.png", "image"),
        ("a.bin", "none"),
    ],
)
def test_nothing_that_could_act_is_shown_as_itself(file, name, kind):
    assert kind_of(file(name, b"x")) == kind


def test_text_of_windows_is_read(file):
    assert preview_of(file("a.txt", "Größe".encode("utf-16"))).text.endswith("Größe")

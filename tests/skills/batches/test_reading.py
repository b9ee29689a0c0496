from __future__ import annotations

import io
import zipfile
from datetime import date, datetime

import pytest
from openpyxl import Workbook

from skills.batches import reading
from skills.batches.reading import UnreadableTable, open_table


def rows_of(name: str, content: bytes | str):
    data = content.encode() if isinstance(content, str) else content
    with open_table(io.BytesIO(data), name=name, size_bytes=len(data)) as table:
        return table.columns, [(row.number, row.problem or row.values) for row in table.rows]


def workbook(*rows) -> bytes:
    book, file = Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    book.save(file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "name,times\nAda,2\n"),
        ("a.csv", "name;times\r\nAda;2\r\n"),
        ("a.tsv", "name\ttimes\nAda\t2"),
        ("a.CSV", "\ufeffname,times\nAda,2\n"),
        ("a.csv", "name,times\nAda,2\n".encode("utf-16")),
        ("a.csv", "name,times,,\nAda,2,,\n"),
    ],
)
def test_csv_in_the_forms_programs_write(name, content):
    assert rows_of(name, content) == (["name", "times"], [(2, {"name": "Ada", "times": "2"})])


def test_rows_are_called_by_their_first_line_and_empty_ones_are_left_out():
    _columns, rows = rows_of("a.csv", 'name,note\n\nAda,"one\ntwo"\n,\nBob,\n')

    assert [number for number, _values in rows] == [3, 6]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.pdf", "x", "Rows are read from"),
        ("a.csv", "", "must name the columns"),
        ("a.csv", ",,\n1,2,3\n", "must name the columns"),
        ("a.csv", "name,name\n1,2\n", "Two columns are called 'name'"),
        ("a.csv", b"name\nM\xfcller\n", "not UTF-8"),
        ("a.csv", 'name\n"' + "x" * (1 << 20) + "\n" + "y" * 100, "quotation mark not closed"),
        ("a.csv", "x" * (reading.LINE_CHARACTERS + 1), "Line 1 is too long"),
        ("a.csv", ",".join(f"c{number}" for number in range(201)), "200 columns at most"),
        ("a.xlsx", b"PK not really", "no XLSX workbook"),
        ("a.xlsx", b"\xd0\xcf\x11\xe0 an old one", "no XLSX workbook"),
        ("a.xlsx", workbook(), "first sheet is empty"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 40 else "",
)
def test_a_file_that_cannot_be_read_says_why(name, content, why):
    with pytest.raises(UnreadableTable, match=why):
        rows_of(name, content)


def test_a_file_that_is_too_large_is_not_opened():
    with (
        pytest.raises(UnreadableTable, match="50 MiB"),
        open_table(io.BytesIO(), name="a.csv", size_bytes=reading.FILE_BYTES + 1),
    ):
        pass


def test_jsonl_keeps_types_and_names_bad_lines():
    columns, rows = rows_of("a.jsonl", '{"a": 1}\n\n{"b": [true]}\n[1]\n{"a": NaN}\nnope\n')

    assert columns == ["a", "b"]
    assert rows == [
        (1, {"a": 1}),
        (3, {"b": [True]}),
        (4, 'must be an object such as {"name": "value"}'),
        (5, "is not JSON"),
        (6, "is not JSON"),
    ]


def test_a_line_of_json_nested_without_end_is_one_bad_line():
    _columns, rows = rows_of("a.jsonl", "[" * 100_000 + "\n" + '{"a": 1}\n')

    assert rows == [(1, "is not JSON"), (2, {"a": 1})]


def test_xlsx_keeps_numbers_dates_and_the_rows_of_the_sheet():
    content = workbook(["name", "on", "n"], ["Ada", date(2026, 1, 31), 2], [], ["Bob", None, 1.5])

    assert rows_of("a.xlsx", content) == (
        ["name", "on", "n"],
        [
            (2, {"name": "Ada", "on": datetime(2026, 1, 31), "n": 2}),
            (4, {"name": "Bob", "on": None, "n": 1.5}),
        ],
    )


def part_of_workbook(name: str, change) -> bytes:
    """Return a good workbook with one part changed."""
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook(["name"], ["Ada"]))) as good,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as changed,
    ):
        for part in good.infolist():
            content = good.read(part)
            changed.writestr(part.filename, change(content) if part.filename == name else content)
        if name not in good.namelist():
            changed.writestr(name, change(b""))
    return made.getvalue()


@pytest.mark.parametrize("part", ["xl/sharedStrings.xml", "xl/worksheets/texts.xml"])
def test_a_workbook_that_unpacks_to_very_much_is_refused_before_it_is(part):
    padded = part_of_workbook(part, lambda xml: xml + b" " * (40 << 20))
    assert len(padded) < 1 << 20

    with pytest.raises(UnreadableTable, match="too much text"):
        rows_of("a.xlsx", padded)


@pytest.mark.parametrize(
    "part", ["xl/worksheets/sheet1.xml", "xl/workbook.xml", "[Content_Types].xml"]
)
def test_entities_in_a_workbook_are_not_expanded(part):
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'

    def with_bomb(xml: bytes) -> bytes:
        start = xml.index(b"?>") + 2 if xml.startswith(b"<?xml") else 0
        return xml[:start] + bomb + xml[start:]

    with pytest.raises(UnreadableTable):
        rows_of("a.xlsx", part_of_workbook(part, with_bomb))


def test_a_damaged_sheet_is_said():
    with pytest.raises(UnreadableTable):
        rows_of("a.xlsx", part_of_workbook("xl/worksheets/sheet1.xml", lambda xml: xml[:-30]))


def test_a_cell_far_to_the_right_costs_nothing():
    far = part_of_workbook(
        "xl/worksheets/sheet1.xml", lambda xml: xml.replace(b'r="A2"', b'r="XFD1048576"')
    )

    columns, _rows = rows_of("a.xlsx", far)
    assert columns == ["name"]


def test_a_workbook_with_a_large_table_of_contents_is_refused_before_it_is_read(monkeypatch):
    data = bytearray(workbook(["name"], ["Ada"]))
    data[-10:-6] = (9 << 20).to_bytes(4, "little")
    monkeypatch.setattr(reading.zipfile, "ZipFile", None)

    with pytest.raises(UnreadableTable, match="The workbook is too large"):
        rows_of("a.xlsx", bytes(data))


@pytest.mark.parametrize(
    ("gap", "why"), [(10_000, "more than 10000 empty rows"), (10**9, "more than 50000 rows")]
)
def test_a_row_number_of_a_workbook_is_not_believed(monkeypatch, gap, why):
    monkeypatch.setattr(reading, "XLSX_GAP", gap)
    monkeypatch.setattr(reading, "XLSX_ROWS", 50_000)
    made, changed = io.BytesIO(workbook(["name"], ["Ada"])), io.BytesIO()
    with zipfile.ZipFile(made) as source, zipfile.ZipFile(changed, "w") as target:
        for part in source.namelist():
            content = source.read(part).replace(b'r="2"', b'r="2000000000"')
            target.writestr(part, content.replace(b'r="A2"', b'r="A2000000000"'))

    with pytest.raises(UnreadableTable, match=why):
        rows_of("a.xlsx", changed.getvalue())

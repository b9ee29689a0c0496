"""The example skills do what their README says, on their samples and on bad files."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from executors.manifest import generate_manifest, load_manifest
from executors.script.bundle import read_bundle
from executors.script.environment import read_requirements
from tests.examples.conftest import EXAMPLES, Run, RunExample

NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/skill.toml"))
HEADINGS = ("Purpose", "Input", "Output", "Prerequisites", "Files generated")


def sample(name: str) -> tuple[dict[str, Any], dict[str, Path]]:
    """Return the sample inputs of an example: plain values, and paths of its sample files."""
    folder = EXAMPLES / name / "samples"
    inputs = json.loads((folder / "inputs.json").read_text(encoding="utf-8"))
    files = {
        key: folder / inputs.pop(key)
        for key, field in load_manifest(EXAMPLES / name).inputs.items()
        if field.is_file and key in inputs
    }
    return inputs, files


def run_sample(run_example: RunExample, name: str, **changes: Any) -> Run:
    """Run name on its samples and require success."""
    inputs, files = sample(name)
    run = run_example(name, {**inputs, **changes}, files)
    assert run.exit_code == 0, run.stderr
    assert run.stderr == ""
    return run


# Every example


def test_there_are_seven_examples() -> None:
    assert NAMES == [
        "clean-orders",
        "folder-checksum",
        "invoice-reminder-drafts",
        "merge-spreadsheets",
        "sales-report",
        "slow-progress",
        "text-statistics",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_manifest_explains_the_skill_to_a_user(name: str) -> None:
    manifest = load_manifest(EXAMPLES / name)
    assert manifest.skill.name == name
    assert manifest.skill.title and manifest.skill.description
    assert len(manifest.skill.examples) >= 3
    assert manifest.skill.tags
    assert not manifest.skill.network
    for field in manifest.inputs.values():
        assert field.title
        assert field.description or field.enum or field.optional
    assert manifest.outputs


@pytest.mark.parametrize("name", NAMES)
def test_a_readme_has_every_section_a_reviewer_needs(name: str) -> None:
    readme = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    sections = [line[3:] for line in readme.splitlines() if line.startswith("## ")]
    assert sections == list(HEADINGS)
    for field in load_manifest(EXAMPLES / name).inputs:
        assert f"`{field}`" in readme


@pytest.mark.parametrize("name", [name for name in NAMES if name != "folder-checksum"])
def test_the_manifest_agrees_with_the_signature_of_main(name: str) -> None:
    written = load_manifest(EXAMPLES / name).inputs
    generated = generate_manifest(EXAMPLES / name).inputs
    assert set(written) == set(generated)
    for key, field in written.items():
        assert (field.is_required, field.is_file, field.default, field.enum) == (
            generated[key].is_required,
            generated[key].is_file,
            generated[key].default,
            generated[key].enum,
        ), key


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_a_small_bundle_with_pinned_requirements(name: str) -> None:
    assert read_bundle(EXAMPLES / name).size_bytes < 100_000
    assert all("==" in line for line in read_requirements(EXAMPLES / name).splitlines())


@pytest.mark.parametrize("shared", ["tabular.py", "values.py"])
def test_copies_of_a_shared_file_are_equal(shared: str) -> None:
    copies = [path.read_bytes() for path in EXAMPLES.glob(f"*/{shared}")]
    assert len(copies) >= 3
    assert len(set(copies)) == 1


@pytest.mark.parametrize("name", NAMES)
def test_an_example_returns_what_its_manifest_declares(run_example: RunExample, name: str) -> None:
    changes = {"seconds": 0} if name == "slow-progress" else {}
    run = run_sample(run_example, name, **changes)
    for key, field in load_manifest(EXAMPLES / name).outputs.items():
        kind = {
            "string": str, "integer": int, "number": (int, float), "array": list, "null": type(None),
        }  # fmt: skip
        assert any(isinstance(run.output[key], kind[one]) for one in field.types), key


# clean-orders


def test_clean_orders_tidies_the_sample(run_example: RunExample) -> None:
    run = run_sample(run_example, "clean-orders")

    assert run.files == ["clean-orders.csv", "rejected-rows.csv", "summary.md"]
    clean = run.rows("clean-orders.csv")
    assert clean[1] == {
        "order_id": "A-1002",
        "order_date": "2026-01-06",
        "customer": "Lindqvist & Daughters",
        "email": "office@lindqvist.example",
        "currency": "EUR",
        "amount": "1240.00",
        "channel": "web",
    }
    assert [(row["order_date"], row["currency"], row["amount"]) for row in clean[2:7]] == [
        ("2026-01-07", "GBP", "84.50"),
        ("2026-01-08", "EUR", "310.00"),
        ("2026-01-09", "USD", "2199.00"),
        ("2026-01-15", "EUR", "-29.90"),
        ("2026-01-16", "EUR", "4870.25"),
    ]
    assert (run.output["rows_read"], run.output["rows_kept"], run.output["rows_rejected"]) == (
        20, 11, 9,
    )  # fmt: skip
    assert {row["currency"]: row["amount"] for row in run.output["totals"]} == {
        "CHF": 1050.0,
        "EUR": 6834.85,
        "GBP": 84.5,
        "USD": 2199.0,
    }
    assert run.progress[-1] == "1.00 Done"


def test_clean_orders_says_why_each_row_was_left_out(run_example: RunExample) -> None:
    rejected = run_sample(run_example, "clean-orders").rows("rejected-rows.csv")
    assert [(row["line"], row["reason"]) for row in rejected] == [
        ("7", "duplicate of line 3"),
        ("8", "the date '31.02.2026' does not exist"),
        ("9", "the customer is empty"),
        ("10", "the email 'mirela(at)stoica.example' is not an address"),
        ("11", "the amount 'on request' is not a number"),
        ("14", "the order number is empty"),
        ("15", "the amount '$ 120.00' does not agree with the currency EUR"),
        ("16", "duplicate of line 5"),
        ("19", "the currency 'XXX' is unknown"),
    ]
    assert rejected[1]["Customer"] == "Harbour Print"


def test_clean_orders_rejects_refunds_when_asked(run_example: RunExample) -> None:
    run = run_sample(run_example, "clean-orders", refunds="reject")
    assert run.output["rows_kept"] == 10
    assert {"reason": "refunds are left out", "rows": 1} in run.output["reasons"]


@pytest.mark.parametrize(
    ("date_order", "expected"), [("day first", "2026-04-03"), ("month first", "2026-03-04")]
)
def test_clean_orders_reads_slashed_dates_as_told(
    run_example: RunExample, date_order: str, expected: str
) -> None:
    data = b"order_id,date,customer,amount\n1,03/04/2026,Ana,5\n"
    run = run_example("clean-orders", {"date_order": date_order}, {"orders": ("o.csv", data)})
    assert run.rows("clean-orders.csv")[0]["order_date"] == expected


@pytest.mark.parametrize(
    "data",
    [
        "\ufefforder id;date;customer;amount\r\n1;01.02.2026;Müller;1.000,50\r\n".encode(),
        "order id;date;customer;amount\n1;01.02.2026;Müller;1.000,50\n".encode("cp1252"),
        "order id\tdate\tcustomer\tamount\n1\t1 Feb 2026\tMüller\t1000.5\n".encode("utf-16"),
        b'sep=|\r\nOrder-ID|DATE|Client|Total\r\n1|2026-02-01|M\xc3\xbcller|"1,000.50"\r\n',
        '\n\nORDER_ID,Date,Customer,Amount\n1,2026/02/01, Müller ,"€ 1\'000.50"\n\n'.encode(),
    ],
    ids=["bom-semicolon-crlf", "windows-encoding", "utf16-tab", "sep-line", "blank-lines"],
)
def test_clean_orders_reads_exports_of_every_kind(run_example: RunExample, data: bytes) -> None:
    run = run_example("clean-orders", files={"orders": ("orders.csv", data)})
    assert run.exit_code == 0, run.stderr
    row = run.rows("clean-orders.csv")[0]
    assert (row["order_id"], row["order_date"], row["customer"], row["amount"]) == (
        "1", "2026-02-01", "Müller", "1000.50",
    )  # fmt: skip


def test_clean_orders_reads_a_workbook(
    run_example: RunExample, workbook: Callable[[list[list[object]]], tuple[str, bytes]]
) -> None:
    file = workbook([["Order No", "Date", "Customer", "Total"], [17, "2026-02-01", "Ana", 1234.5]])
    run = run_example("clean-orders", files={"orders": file})
    assert run.exit_code == 0, run.stderr
    row = run.rows("clean-orders.csv")[0]
    assert (row["order_id"], row["amount"], row["currency"]) == ("17", "1234.50", "EUR")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv", b"", "a.csv: the file is empty."),
        ("a.csv", b"\r\n \r\n", "a.csv: the file is empty."),
        ("a.csv", b"order_id,date,customer,amount\n", "the file has headings but no rows."),
        ("a.csv", b"id,date,amount\n1,2,3\n", "the column 'customer' is missing."),
        ("a.csv", b"\x7fELF\0\0\0\0", "this is not a CSV or XLSX file."),
        ("a.xlsx", b"PK\x03\x04 cut off", "not a readable XLSX file"),
        ("a.xls", b"\xd0\xcf\x11\xe0 old", "save it as .xlsx or CSV first."),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(
    run_example: RunExample, name: str, data: bytes, message: str
) -> None:
    run = run_example("clean-orders", files={"orders": (name, data)})
    assert run.exit_code == 1
    assert message in run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert run.files == []


# sales-report


def test_sales_report_adds_up_the_sample(run_example: RunExample) -> None:
    run = run_sample(run_example, "sales-report")

    assert run.files == ["report.csv", "sales-chart.png", "summary.md"]
    assert (run.output["total"], run.output["sales"], run.output["skipped_rows"]) == (
        11229.8, 57, 1,
    )  # fmt: skip
    assert run.output["periods"][0] == {"period": "2025-07", "sales": 6, "total": 1674.6}
    assert len(run.output["periods"]) == 10
    best = run.output["top_products"][0]
    assert best == {"product": "Oak desk lamp", "total": 3822.0, "share_percent": 34.0}
    assert run.rows("report.csv")[0] == {"period": "2025-07", "sales": "6", "total": "1674.60"}
    assert "Line 32: the date 'soon' is not understood." in run.text("summary.md")


def test_sales_report_totals_agree_in_every_period(run_example: RunExample) -> None:
    month = run_sample(run_example, "sales-report").output
    quarter = run_sample(run_example, "sales-report", period="quarter", chart="line").output
    assert [row["period"] for row in quarter["periods"]] == [
        "2025 Q3", "2025 Q4", "2026 Q1", "2026 Q2",
    ]  # fmt: skip
    for report in (month, quarter):
        assert round(sum(row["total"] for row in report["periods"]), 2) == report["total"]


def test_sales_report_draws_a_picture_that_is_not_empty(
    run_example: RunExample, colours: Callable[[Path], dict[str, int]]
) -> None:
    run = run_sample(run_example, "sales-report")
    picture = (run.folder / "sales-chart.png").read_bytes()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", picture[16:24]) == (1280, 640)
    counted = colours(run.folder / "sales-chart.png")
    assert counted["#2563eb"] > 50_000  # the bars of the periods
    assert counted["#0d9488"] > 5_000  # the bars of the products


def test_sales_report_shows_empty_periods_and_refunds(run_example: RunExample) -> None:
    data = b"Date;Item;Qty;Unit price\r\n2026-01-05;Pen;2;10,50\r\n2026-03-05;Pen;-1;30\r\n"
    run = run_example("sales-report", files={"sales": ("s.csv", data)})
    assert run.exit_code == 0, run.stderr
    assert run.output["periods"] == [
        {"period": "2026-01", "sales": 1, "total": 21.0},
        {"period": "2026-02", "sales": 0, "total": 0.0},
        {"period": "2026-03", "sales": 1, "total": -30.0},
    ]
    assert run.output["top_products"][0]["share_percent"] is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"date,product\n2026-01-01,Pen\n", "the column 'amount' is missing. It has: date"),
        (b"date,product,amount\nx,Pen,1\n", "no row has a usable date and amount. Line 2: the"),
        (
            b"date,product,amount\n1999-01-01,Pen,1\n2026-01-01,Pen,1\n",
            "The sales cover more than 120 months",
        ),
    ],
)
def test_sales_report_refuses_what_it_cannot_report_on(
    run_example: RunExample, data: bytes, message: str
) -> None:
    run = run_example("sales-report", files={"sales": ("sales.csv", data)})
    assert run.exit_code == 1
    assert message in run.stderr
    assert len(run.stderr.splitlines()) == 1


# merge-spreadsheets


@pytest.mark.parametrize(
    ("how", "keys"),
    [
        ("left", ["0012", "0015", "0021", "0021", "0033", "0040"]),
        ("inner", ["0012", "0040"]),
        ("outer", ["0012", "0015", "0021", "0021", "0033", "0040", "0099"]),
    ],
)
def test_merge_keeps_the_rows_asked_for(
    run_example: RunExample,
    cells: Callable[[Path], list[list[Any]]],
    how: str,
    keys: list[str],
) -> None:
    run = run_sample(run_example, "merge-spreadsheets", how=how)
    assert run.files == ["merged.xlsx"]
    heading, *rows = cells(run.folder / "merged.xlsx")
    assert heading == [
        "Customer ID", "Name", "City", "plan", "since", "city (second)", "Last visit", "Visits",
        "Note",
    ]  # fmt: skip
    assert [row[0] for row in rows] == keys
    assert run.output["rows"] == len(keys)
    assert rows[0] == [
        "0012", "Brightwater Cafe", "Bristol", "Team", "2024-03-01", "Bristol", "2026-01-09", 4,
        "=likes the new form",
    ]  # fmt: skip


def test_merge_counts_what_matched(run_example: RunExample) -> None:
    contracts = run_sample(run_example, "merge-spreadsheets").output["files"][1]
    assert contracts == {
        "file": "contracts.csv",
        "rows": 5,
        "keys": 4,
        "keys_in_all_files": 2,
        "keys_only_here": 1,
        "repeated_keys": 1,
        "rows_without_key": 0,
    }


def test_merge_matches_numbers_with_text_and_keeps_rows_without_key(
    run_example: RunExample,
    workbook: Callable[[list[list[object]]], tuple[str, bytes]],
    cells: Callable[[Path], list[list[Any]]],
) -> None:
    files = {
        "first": workbook([["no", "name"], [12, "Ana"], [None, "Nobody"], ["B7", "Ben"]]),
        "second": ("b.csv", b"\xef\xbb\xbfNO;size\r\n 12 ;L\r\nb7;M\r\n;S\r\n"),
    }
    run = run_example("merge-spreadsheets", {"key": "No", "how": "outer"}, files)
    assert run.exit_code == 0, run.stderr
    assert cells(run.folder / "merged.xlsx")[1:] == [
        [12, "Ana", "L"], ["B7", "Ben", "M"], [None, "Nobody", None], [None, None, "S"],
    ]  # fmt: skip


def test_merge_names_the_missing_key_column(run_example: RunExample) -> None:
    inputs, files = sample("merge-spreadsheets")
    run = run_example("merge-spreadsheets", {**inputs, "key": "sku"}, files)
    assert run.exit_code == 1
    assert run.stderr == (
        "customers.csv: the column 'sku' is missing. It has: Customer ID, Name, City.\n"
    )


def test_merge_stops_before_a_repeating_key_fills_the_memory(run_example: RunExample) -> None:
    many = b"k,v\n" + b"a,1\n" * 1000
    files = {"first": ("1.csv", many), "second": ("2.csv", many)}
    run = run_example("merge-spreadsheets", {"key": "k"}, files)
    assert run.exit_code == 1
    assert "the key 'k' repeats too often" in run.stderr


# text-statistics


def test_text_statistics_counts_the_sample(run_example: RunExample) -> None:
    output = run_sample(run_example, "text-statistics").output
    assert (output["words"], output["sentences"], output["paragraphs"]) == (68, 7, 3)
    assert output["top_words"][:2] == [
        {"word": "desk", "count": 3},
        {"word": "works", "count": 2},
    ]
    assert output["reading_level"] == "easy"


def test_text_statistics_rates_hard_prose_as_harder(run_example: RunExample) -> None:
    easy = run_example("text-statistics", {"text": "The cat sat. The dog ran. We like them."})
    hard_text = (
        "Notwithstanding considerable organisational complexity, interdepartmental communication "
        "necessitates comprehensive documentation of administrative responsibilities."
    )
    hard = run_example("text-statistics", {"text": hard_text})
    assert easy.output["reading_level"] == "very easy"
    assert hard.output["reading_level"] == "very hard"


def test_text_statistics_handles_other_languages(run_example: RunExample) -> None:
    run = run_example("text-statistics", {"text": "Добрый день, коллеги. Встреча в пять."})
    assert (run.output["words"], run.output["reading_ease"]) == (6, None)
    assert run.output["reading_level"] == "only rated for English"


def test_text_statistics_refuses_a_text_without_words(run_example: RunExample) -> None:
    run = run_example("text-statistics", {"text": " ... \n"})
    assert (run.exit_code, run.stderr) == (1, "The text has no words.\n")


# folder-checksum


def test_folder_checksum_lists_the_sample(run_example: RunExample) -> None:
    run = run_sample(run_example, "folder-checksum")
    listed = dict(line.split("  ", 1)[::-1] for line in run.text("checksums.sha256").splitlines())
    parts = b"Part,Count\nHinge,12\nHandle,6\n"
    assert list(listed) == [
        "delivery/drawings/handle.txt",
        "delivery/drawings/hinge plan.txt",
        "delivery/note.txt",
        "delivery/parts.csv",
    ]
    assert listed["delivery/parts.csv"] == hashlib.sha256(parts).hexdigest()
    assert (run.output["files"], run.output["total_bytes"]) == (4, 111)
    own = hashlib.sha256(run.text("checksums.sha256").encode()).hexdigest()
    assert run.output["list_checksum"] == own


def zip_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_folder_checksum_takes_several_files_of_any_kind(run_example: RunExample) -> None:
    files = {
        "file": ("parts.zip", zip_of({"a b.txt": b"one", "sub/ü.txt": b"two"})),
        "file_2": ("-rf notes.txt", b"three"),
        "file_3": ("sheet.xlsx", zip_of({"xl/workbook.xml": b"<x/>"})),
    }
    run = run_example("folder-checksum", {"algorithm": "sha512"}, files)
    assert run.exit_code == 0, run.stderr
    listed = [line.split("  ", 1) for line in run.text("checksums.sha512").splitlines()]
    assert [(digest, name) for digest, name in listed if "sub" not in name] == [
        (hashlib.sha512(b"one").hexdigest(), "1/a b.txt"),
        (hashlib.sha512(b"three").hexdigest(), "2/-rf notes.txt"),
        # An office file is a zip archive too, but is meant as one file.
        (hashlib.sha512(files["file_3"][1]).hexdigest(), "3/sheet.xlsx"),
    ]
    assert run.output["files"] == 4


def test_folder_checksum_does_not_follow_links_out_of_the_archive(
    run_example: RunExample, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        link = tarfile.TarInfo("link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, str(secret)
        archive.addfile(link)
        plain = tarfile.TarInfo("plain.txt")
        plain.size = 5
        archive.addfile(plain, io.BytesIO(b"plain"))
    run = run_example("folder-checksum", files={"file": ("d.tar.gz", buffer.getvalue())})
    assert run.exit_code == 0, run.stderr
    assert [line.split("  ")[1] for line in run.text("checksums.sha256").splitlines()] == [
        "plain.txt"
    ]


def test_folder_checksum_refuses_a_broken_archive(run_example: RunExample) -> None:
    run = run_example("folder-checksum", files={"file": ("d.zip", b"PK\x03\x04 cut")})
    assert run.exit_code == 1
    assert run.stderr == "d.zip: not a zip archive that can be unpacked.\n"


# slow-progress


def test_slow_progress_reports_every_step(run_example: RunExample) -> None:
    run = run_example("slow-progress", {"seconds": 0.2, "steps": 4})
    assert run.progress == [f"{n / 4:.2f} Step {n} of 4" for n in range(1, 5)]
    assert run.stdout.splitlines() == [f"Step {n} of 4 done" for n in range(1, 5)]
    assert run.output["steps"] == 4
    assert 0.2 <= run.output["seconds"] < 5


def test_slow_progress_fails_at_the_step_asked_for(run_example: RunExample) -> None:
    run = run_example("slow-progress", {"seconds": 0, "steps": 4, "fail_at_step": 3})
    assert run.exit_code == 1
    assert run.stderr.splitlines()[-1] == "RuntimeError: Step 3 failed, as asked."
    assert len(run.progress) == 2


# invoice-reminder-drafts


def test_reminders_are_governed_as_risky() -> None:
    skill = load_manifest(EXAMPLES / "invoice-reminder-drafts").skill
    assert (skill.risk, skill.confirm) == ("high", True)


def test_reminders_are_drafted_for_overdue_invoices_only(run_example: RunExample) -> None:
    run = run_sample(run_example, "invoice-reminder-drafts", min_amount=0)
    assert run.files == [
        "brightwater-cafe.md",
        "index.csv",
        "peak-vale-cycles.md",
        "simkova-preklady.md",
        "umber-studio-2.md",
        "umber-studio.md",
    ]
    assert (run.output["drafts"], run.output["overdue_invoices"]) == (5, 6)
    assert run.rows("index.csv")[0] == {
        "customer": "Brightwater Cafe",
        "email": "accounts@brightwater.example",
        "currency": "EUR",
        "invoices": "2",
        "total": "326.40",
        "days_late": "34",
        "file": "brightwater-cafe.md",
    }
    letter = run.text("brightwater-cafe.md")
    assert "| 2026-014 | 2026-01-12 | 34 | 240.00 |" in letter
    assert "Together: **326.40 EUR**" in letter
    assert "2026-003" not in letter
    # Due after the day of writing, paid, or a credit: no reason to remind anybody.
    everything = "".join(run.text(name) for name in run.files)
    assert not any(number in everything for number in ("2026-022", "2026-026", "2026-031"))


def test_reminders_leave_out_small_amounts_and_thank_for_paid_ones(run_example: RunExample) -> None:
    run = run_sample(
        run_example, "invoice-reminder-drafts", min_amount=100, include_paid=True, tone="firm"
    )
    assert [row["customer"] for row in run.rows("index.csv")] == [
        "Brightwater Cafe", "Peak & Vale Cycles", "Umber Studio",
    ]  # fmt: skip
    letter = run.text("brightwater-cafe.md")
    assert "2026-019" not in letter
    assert "We have received, with thanks: 2026-003." in letter
    assert "we receive 240.00 EUR by 2026-02-22 at the latest" in letter


def test_reminders_are_not_written_where_it_is_unclear(run_example: RunExample) -> None:
    run = run_sample(run_example, "invoice-reminder-drafts")
    assert run.output["skipped_rows"] == [
        "Line 11: it is unclear whether 'maybe' means paid.",
        "Line 12: the date '31.11.2025' does not exist.",
    ]
    assert "Kestrel" not in run.text("index.csv")


def test_reminders_name_the_missing_column(run_example: RunExample) -> None:
    data = b"invoice,customer,amount\n1,Ana,5\n"
    inputs = {"as_of": "2026-01-01"}
    run = run_example("invoice-reminder-drafts", inputs, {"invoices": ("i.csv", data)})
    assert run.exit_code == 1
    assert run.stderr == (
        "i.csv: the column 'due_date' is missing. It has: invoice, customer, amount.\n"
    )

"""The example clean-orders does what its README says, on its samples and on bad files."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.examples.conftest import RunExample, run_sample


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
    assert run.heard.progressed[-1] == (1.0, "Done")


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
    assert run.succeeded, run.result.error
    row = run.rows("clean-orders.csv")[0]
    assert (row["order_id"], row["order_date"], row["customer"], row["amount"]) == (
        "1", "2026-02-01", "Müller", "1000.50",
    )  # fmt: skip


def test_clean_orders_reads_a_workbook(
    run_example: RunExample, workbook: Callable[[list[list[object]]], tuple[str, bytes]]
) -> None:
    file = workbook([["Order No", "Date", "Customer", "Total"], [17, "2026-02-01", "Ana", 1234.5]])
    run = run_example("clean-orders", files={"orders": file})
    assert run.succeeded, run.result.error
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
    assert not run.succeeded
    assert message in run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert run.files == []

"""The example sales-report does what its README says, on its samples and on bad files."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.examples.conftest import RunExample, run_sample


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
    picture = run.path("sales-chart.png").read_bytes()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", picture[16:24]) == (1280, 640)
    counted = colours(run.path("sales-chart.png"))
    assert counted["#2563eb"] > 50_000  # the bars of the periods
    assert counted["#0d9488"] > 5_000  # the bars of the products


def test_sales_report_shows_empty_periods_and_refunds(run_example: RunExample) -> None:
    data = b"Date;Item;Qty;Unit price\r\n2026-01-05;Pen;2;10,50\r\n2026-03-05;Pen;-1;30\r\n"
    run = run_example("sales-report", files={"sales": ("s.csv", data)})
    assert run.succeeded, run.result.error
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
    assert not run.succeeded
    assert message in run.stderr
    assert len(run.stderr.splitlines()) == 1

"""The example merge-spreadsheets does what its README says, on its samples and on bad files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.examples.conftest import RunExample, run_sample, sample


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
    heading, *rows = cells(run.path("merged.xlsx"))
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
    assert run.succeeded, run.result.error
    assert cells(run.path("merged.xlsx"))[1:] == [
        [12, "Ana", "L"], ["B7", "Ben", "M"], [None, "Nobody", None], [None, None, "S"],
    ]  # fmt: skip


def test_merge_names_the_missing_key_column(run_example: RunExample) -> None:
    inputs, files = sample("merge-spreadsheets")
    run = run_example("merge-spreadsheets", {**inputs, "key": "sku"}, files)
    assert not run.succeeded
    assert run.stderr == (
        "customers.csv: the column 'sku' is missing. It has: Customer ID, Name, City.\n"
    )


def test_merge_stops_before_a_repeating_key_fills_the_memory(run_example: RunExample) -> None:
    many = b"k,v\n" + b"a,1\n" * 1000
    files = {"first": ("1.csv", many), "second": ("2.csv", many)}
    run = run_example("merge-spreadsheets", {"key": "k"}, files)
    assert not run.succeeded
    assert "the key 'k' repeats too often" in run.stderr

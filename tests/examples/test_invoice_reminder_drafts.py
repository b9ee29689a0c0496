"""The example invoice-reminder-drafts does what its README says, and refuses bad files."""

from __future__ import annotations

from executors.manifest import load_manifest
from tests.examples.conftest import EXAMPLES, RunExample, run_sample


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
    assert not run.succeeded
    assert run.stderr == (
        "i.csv: the column 'due_date' is missing. It has: invoice, customer, amount.\n"
    )

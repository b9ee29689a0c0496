"""Drafts one reminder letter per customer with overdue invoices. It sends nothing."""

from __future__ import annotations

import csv
import os
import re
import unicodedata
from datetime import date
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

from letters import Invoice, write_letter
from tabular import Row, Table, read_table
from values import parse_amount, parse_date

PAID_WORDS = frozenset(["yes", "y", "true", "1", "x", "paid"])
OPEN_WORDS = frozenset(["", "no", "n", "false", "0", "-", "open", "unpaid", "overdue"])
MAX_LETTERS = 150
INDEX = ("customer", "email", "currency", "invoices", "total", "days_late", "file")


class Tone(StrEnum):
    FRIENDLY = "friendly"
    NEUTRAL = "neutral"
    FIRM = "firm"


def main(
    invoices: Path,
    as_of: date,
    tone: Tone = Tone.FRIENDLY,
    min_amount: float = 0,
    include_paid: bool = False,
) -> dict[str, Any]:
    """Write a letter per customer and currency, and an index of them."""
    if not 1900 <= as_of.year <= 2100:
        raise SystemExit(f"The day {as_of} is not plausible.")
    table = read_table(invoices)
    listed, skipped = read_invoices(table)
    # Credits and zero amounts are never reminded of.
    least = max(Decimal(str(min_amount)), Decimal("0.01"))
    overdue = [
        invoice
        for invoice in listed
        if not invoice.paid and invoice.due_on < as_of and invoice.amount >= least
    ]
    paid = [invoice for invoice in listed if invoice.paid] if include_paid else []
    groups = by_customer(overdue)
    if len(groups) > MAX_LETTERS:
        raise SystemExit(f"That would be {len(groups)} letters; at most {MAX_LETTERS} at a time.")

    output = Path(os.environ["EXECFABRIC_OUTPUT_DIR"])
    paid_by = by_customer(paid)
    index: list[dict[str, Any]] = []
    names: set[str] = set()
    for place, (key, owed) in enumerate(groups.items(), 1):
        name = file_name(owed[0].customer, names)
        text = write_letter(owed, paid_by.get(key, []), tone, as_of)
        (output / name).write_text(text, encoding="utf-8")
        total = sum((invoice.amount for invoice in owed), Decimal())
        late = (as_of - owed[0].due_on).days
        row = (owed[0].customer, owed[0].email, owed[0].currency, len(owed), total, late, name)
        index.append(dict(zip(INDEX, row, strict=True)))
        tell_progress(place / len(groups), f"Letter {place} of {len(groups)}")
    write_index(output / "index.csv", index)
    for reason in skipped:
        print(f"Skipped: {reason}")
    summary = f"{len(index)} letters for {len(overdue)} overdue invoices. Nothing was sent."
    print(summary)
    return {
        "summary": summary,
        "drafts": len(index),
        "overdue_invoices": len(overdue),
        "skipped_rows": skipped,
        "letters": [{**row, "total": float(row["total"])} for row in index],
    }


def read_invoices(table: Table) -> tuple[list[Invoice], list[str]]:
    """Return the invoices and, one sentence each, why other rows can't be used."""
    columns = {
        "number": table.need("invoice", "invoice number", "invoice no", "number"),
        "customer": table.need("customer", "customer name", "client"),
        "due": table.need("due_date", "due", "due on", "payable by"),
        "amount": table.need("amount", "total", "open amount"),
    }
    optional = {
        "email": table.find("email", "e-mail", "mail"),
        "currency": table.find("currency"),
        "paid": table.find("paid", "paid on", "status"),
    }
    listed: list[Invoice] = []
    skipped: list[str] = []
    for row in table.rows:
        try:
            listed.append(read_invoice(row, columns, optional))
        except ValueError as reason:
            skipped.append(f"Line {row.line}: {reason}.")
    return listed, skipped


def read_invoice(row: Row, columns: dict[str, str], optional: dict[str, str | None]) -> Invoice:
    """Return the row as an invoice. Raises ValueError with the reason it can't be used."""
    if row.surplus:
        raise ValueError("the row has more cells than there are headings")
    number, customer = row.text(columns["number"]), row.text(columns["customer"])
    if not number or not customer:
        raise ValueError("the invoice number or the customer is empty")
    return Invoice(
        number=number,
        customer=" ".join(customer.split()),
        email=row.text(optional["email"]).lower(),
        due_on=parse_date(row.cells[columns["due"]]),
        amount=parse_amount(row.cells[columns["amount"]]),
        currency=row.text(optional["currency"]).upper() or "EUR",
        paid=is_paid(row.text(optional["paid"])),
    )


def is_paid(text: str) -> bool:
    """Return whether the mark means paid; a date does. Raises ValueError when it is unclear."""
    word = text.casefold()
    if word in PAID_WORDS or word in OPEN_WORDS:
        return word in PAID_WORDS
    try:
        parse_date(text)
    except ValueError:
        # Reminding somebody who has paid is worse than leaving a row to a person.
        raise ValueError(f"it is unclear whether '{text}' means paid") from None
    return True


def by_customer(listed: list[Invoice]) -> dict[tuple[str, str], list[Invoice]]:
    """Return the invoices per customer and currency, in the order of customers, oldest first."""
    groups: dict[tuple[str, str], list[Invoice]] = {}
    for invoice in sorted(listed, key=lambda one: (one.customer.casefold(), one.due_on)):
        groups.setdefault((invoice.customer.casefold(), invoice.currency), []).append(invoice)
    return groups


def file_name(customer: str, taken: set[str]) -> str:
    """Return a file name for the customer's letter that is not in taken yet, and add it."""
    plain = unicodedata.normalize("NFKD", customer).encode("ascii", "ignore").decode().lower()
    base = re.sub(r"[^a-z0-9]+", "-", plain)[:60].strip("-") or "customer"
    name, repeat = f"{base}.md", 2
    while name in taken:
        name, repeat = f"{base}-{repeat}.md", repeat + 1
    taken.add(name)
    return name


def write_index(path: Path, index: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, INDEX, lineterminator="\n")
        writer.writeheader()
        writer.writerows(index)


def tell_progress(fraction: float, message: str) -> None:
    """Show the line as the run's progress; fraction is in 0..1."""
    if path := os.environ.get("EXECFABRIC_PROGRESS"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{fraction:.2f} {message}\n")

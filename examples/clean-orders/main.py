"""Cleans an order export: one tidy CSV, and the rows that were left out with the reason."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from tabular import Row, Table, as_text, plain_name, read_table
from values import money, parse_amount, parse_date

KNOWN = "AUD BRL CAD CHF CNY CZK DKK EUR GBP HKD HUF INR JPY MXN NOK NZD PLN SEK SGD TRY USD ZAR"
CURRENCIES = frozenset(KNOWN.split())
# What a sign may stand for; the first is taken when nothing else names the currency.
SIGNS = {
    "€": ("EUR",),
    "£": ("GBP",),
    "¥": ("JPY", "CNY"),
    "$": ("USD", "AUD", "CAD", "HKD", "NZD", "SGD", "MXN"),
}
EMAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>.]+")
CLEAN_COLUMNS = ["order_id", "order_date", "customer", "email", "currency", "amount"]


class Columns:
    """Where the known columns stand in this export. Ends the script if a needed one is missing."""

    def __init__(self, table: Table) -> None:
        self.order_id = table.need("order_id", "order", "order no", "order number", "id")
        self.date = table.need("order_date", "date", "ordered on", "ordered at", "created at")
        self.customer = table.need("customer", "customer name", "client", "buyer", "name")
        self.amount = table.need("amount", "total", "order total", "sum", "price")
        self.currency = table.find("currency", "currency code")
        self.email = table.find("email", "e-mail", "customer email", "mail")
        known = set(vars(self).values())
        self.others = [column for column in table.columns if column not in known]


def main(
    orders: Path,
    currency: Literal["EUR", "USD", "GBP", "CHF"] = "EUR",
    date_order: Literal["day first", "month first"] = "day first",
    refunds: Literal["keep", "reject"] = "keep",
) -> dict[str, Any]:
    """Clean orders. Amounts in the result are numbers in the currency beside them."""
    tell_progress(0.05, "Reading the export")
    table = read_table(orders)
    columns = Columns(table)

    kept: list[dict[str, str]] = []
    rejected: list[tuple[Row, str]] = []
    seen: dict[str, int] = {}
    for number, row in enumerate(table.rows, 1):
        if number % 1000 == 1:
            tell_progress(0.1 + 0.8 * number / len(table.rows), f"Cleaning row {number}")
        try:
            clean = clean_row(row, columns, currency, day_first=date_order == "day first")
            if refunds == "reject" and clean["amount"].startswith("-"):
                raise ValueError("refunds are left out")
            first = seen.setdefault(clean["order_id"].casefold(), row.line)
            if first != row.line:
                raise ValueError(f"duplicate of line {first}")
        except ValueError as reason:
            rejected.append((row, str(reason)))
        else:
            kept.append(clean)

    tell_progress(0.95, "Writing the files")
    output = Path(os.environ["EXECFABRIC_OUTPUT_DIR"])
    others = [name for name in (kept[0] if kept else {}) if name not in CLEAN_COLUMNS]
    write_csv(output / "clean-orders.csv", CLEAN_COLUMNS + others, (row.values() for row in kept))
    write_csv(
        output / "rejected-rows.csv",
        ["line", "reason", *table.columns],
        ([row.line, why, *(row.text(name) for name in table.columns)] for row, why in rejected),
    )
    result = summarise(table, kept, rejected)
    (output / "summary.md").write_text(summary_text(table.name, result), encoding="utf-8")
    tell_progress(1, "Done")
    print(result["summary"])
    return result


def clean_row(row: Row, columns: Columns, default: str, *, day_first: bool) -> dict[str, str]:
    """Return the tidy row, columns in output order. Raises ValueError with the reason."""
    if row.surplus:
        raise ValueError("the row has more cells than there are headings")
    order_id = single_spaced(row.text(columns.order_id))
    if not order_id:
        raise ValueError("the order number is empty")
    ordered_on = parse_date(row.cells[columns.date], day_first=day_first)
    customer = single_spaced(row.text(columns.customer))
    if not customer:
        raise ValueError("the customer is empty")
    email = row.text(columns.email).lower()
    if email and not EMAIL.fullmatch(email):
        raise ValueError(f"the email '{email}' is not an address")
    amount = parse_amount(row.cells[columns.amount])
    code = currency_of(row.text(columns.amount), row.text(columns.currency), default)
    clean = dict(
        zip(
            CLEAN_COLUMNS,
            (order_id, ordered_on.isoformat(), customer, email, code, str(amount)),
            strict=True,
        )
    )
    for column in columns.others:
        name = plain_name(column).replace(" ", "_") or column
        while name in clean:
            name += "_2"
        clean[name] = single_spaced(as_text(row.cells[column]))
    return clean


def currency_of(amount: str, stated: str, default: str) -> str:
    """Return the ISO code for the row. Raises ValueError when it is unknown or contradicts."""
    code = SIGNS.get(stated, (stated.upper(),))[0]
    marks = re.findall(r"[€£¥$]|[A-Za-z]{3}", amount)
    possible = [SIGNS.get(mark, (mark.upper(),)) for mark in marks]
    if not code:
        usual = possible[0] if possible else (default,)
        code = default if default in usual else usual[0]
    if code not in CURRENCIES:
        raise ValueError(f"the currency '{code}' is unknown")
    if any(code not in codes for codes in possible):
        raise ValueError(f"the amount '{amount}' does not agree with the currency {code}")
    return code


def summarise(
    table: Table, kept: list[dict[str, str]], rejected: list[tuple[Row, str]]
) -> dict[str, Any]:
    """Return the counts, the totals per currency and the reasons, most frequent first."""
    totals: defaultdict[str, Decimal] = defaultdict(Decimal)
    orders = Counter(row["currency"] for row in kept)
    for row in kept:
        totals[row["currency"]] += Decimal(row["amount"])
    reasons = Counter(reason_kind(reason) for _, reason in rejected)
    return {
        "summary": f"Kept {len(kept)} of {len(table.rows)} rows.",
        "rows_read": len(table.rows),
        "rows_kept": len(kept),
        "rows_rejected": len(rejected),
        "totals": [
            {"currency": code, "orders": orders[code], "amount": float(totals[code])}
            for code in sorted(totals)
        ],
        "reasons": [{"reason": reason, "rows": rows} for reason, rows in reasons.most_common()],
    }


def reason_kind(reason: str) -> str:
    """Return the reason without the value it quotes, so that like reasons count together."""
    if reason.startswith("duplicate"):
        return "duplicate order number"
    return re.sub(r" ?'.*?'|\b[A-Z]{3}$", "", reason).strip()


def summary_text(name: str, result: dict[str, Any]) -> str:
    lines = [f"# Cleaned: {name}", ""]
    lines += [f"- Rows read: {result['rows_read']}", f"- Rows kept: {result['rows_kept']}"]
    lines += [f"- Rows left out: {result['rows_rejected']}", "", "## Totals", ""]
    lines += ["| Currency | Orders | Amount |", "| --- | ---: | ---: |"]
    for total in result["totals"]:
        amount = money(Decimal(str(total["amount"])))
        lines.append(f"| {total['currency']} | {total['orders']} | {amount} |")
    if result["reasons"]:
        lines += ["", "## Why rows were left out", ""]
        lines += [f"- {reason['rows']}: {reason['reason']}" for reason in result["reasons"]]
    return "\n".join(lines) + "\n"


def write_csv(path: Path, columns: list[str], rows: Iterable[Iterable[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def single_spaced(text: str) -> str:
    return " ".join(text.split())


def tell_progress(fraction: float, message: str) -> None:
    """Show the line as the run's progress; fraction is in 0..1."""
    if path := os.environ.get("EXECFABRIC_PROGRESS"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{fraction:.2f} {message}\n")

"""Makes a sales report: a chart, a table per period and the best-selling products."""

from __future__ import annotations

import csv
import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from chart import draw_report
from tabular import Row, Table, read_table
from values import money, parse_amount, parse_date

MAX_PERIODS = 120
Period = Literal["month", "quarter"]


@dataclass
class Sale:
    """One usable row; a refund has a negative amount."""

    sold_on: date
    product: str
    amount: Decimal


def main(
    sales: Path,
    title: str = "Sales report",
    period: Period = "month",
    top_n: int = 5,
    chart: Literal["bar", "line"] = "bar",
) -> dict[str, Any]:
    """Report on sales. Amounts are in the file's own currency, which must be one."""
    if not 1 <= top_n <= 20:
        raise SystemExit("The number of top products must be between 1 and 20.")
    tell_progress(0.1, "Reading the sales")
    table = read_table(sales)
    sold, skipped = read_sales(table)
    if not sold:
        raise SystemExit(f"{table.name}: no row has a usable date and amount. {skipped[0]}")

    tell_progress(0.5, "Adding up")
    periods = totals_by_period(sold, period)
    products = totals_by_product(sold)
    total = sum((sale.amount for sale in sold), Decimal())
    result: dict[str, Any] = {
        "summary": f"{len(sold)} sales, {money(total)} in total.",
        "title": title.strip() or "Sales report",
        "total": float(total),
        "sales": len(sold),
        "skipped_rows": len(skipped),
        "periods": periods,
        "top_products": [
            {
                "product": product,
                "total": float(amount),
                "share_percent": float(round(100 * amount / total, 1)) if total > 0 else None,
            }
            for product, amount in products[:top_n]
        ],
    }

    tell_progress(0.7, "Drawing the chart")
    output = Path(os.environ["EXECFABRIC_OUTPUT_DIR"])
    first, last = periods[0]["period"], periods[-1]["period"]
    span = first if first == last else f"{first} to {last}"
    draw_report(
        output / "sales-chart.png",
        title=result["title"],
        subtitle=f"{span}   |   total {money(total)}   |   {len(sold)} sales",
        kind=chart,
        periods=[(row["period"], row["total"]) for row in periods],
        products=[(row["product"], row["total"]) for row in result["top_products"]],
    )
    write_csv(output / "report.csv", periods)
    (output / "summary.md").write_text(summary_text(result, skipped), encoding="utf-8")
    tell_progress(1, "Done")
    print(f"{result['summary']} Rows skipped: {len(skipped)}.")
    return result


def read_sales(table: Table) -> tuple[list[Sale], list[str]]:
    """Return the usable sales and, one sentence each, why other rows were skipped."""
    day = table.need("date", "order_date", "sold on", "day")
    product = table.need("product", "item", "article", "product name")
    amount = table.find("amount", "total", "revenue", "sales")
    quantity = table.find("quantity", "qty", "units")
    price = table.find("unit_price", "price", "unit price")
    if amount is None and (quantity is None or price is None):
        table.need("amount")
    sold: list[Sale] = []
    skipped: list[str] = []
    for row in table.rows:
        try:
            if row.surplus:
                raise ValueError("the row has more cells than there are headings")
            worth = sale_amount(row, amount, quantity, price)
            name = " ".join(row.text(product).split()) or "(no name)"
            sold.append(Sale(parse_date(row.cells[day]), name, worth))
        except ValueError as reason:
            skipped.append(f"Line {row.line}: {reason}.")
    return sold, skipped


def sale_amount(row: Row, amount: str | None, quantity: str | None, price: str | None) -> Decimal:
    """Return what the row is worth: its amount, else quantity times price."""
    if amount is not None:
        return parse_amount(row.cells[amount])
    assert quantity is not None
    assert price is not None
    return round(parse_amount(row.cells[quantity]) * parse_amount(row.cells[price]), 2)


def totals_by_period(sold: list[Sale], period: Period) -> list[dict[str, Any]]:
    """Return one row per period from first to last; a period without sales is there with 0."""
    months = 1 if period == "month" else 3
    totals: defaultdict[int, Decimal] = defaultdict(Decimal)
    counts: Counter[int] = Counter()
    for sale in sold:
        number = (sale.sold_on.year * 12 + sale.sold_on.month - 1) // months
        totals[number] += sale.amount
        counts[number] += 1
    first, last = min(totals), max(totals)
    if last - first >= MAX_PERIODS:
        raise SystemExit(
            f"The sales cover more than {MAX_PERIODS} {period}s; check the dates or split the file."
        )
    return [
        {
            "period": period_name(number, months),
            "sales": counts[number],
            "total": float(totals[number]),
        }
        for number in range(first, last + 1)
    ]


def period_name(number: int, months: int) -> str:
    """Return 2026-03 or 2026 Q1; number counts the periods since year 0."""
    year, place = divmod(number, 12 // months)
    return f"{year}-{place + 1:02}" if months == 1 else f"{year} Q{place + 1}"


def totals_by_product(sold: list[Sale]) -> list[tuple[str, Decimal]]:
    """Return the products by total, largest first; capitals do not make a second product."""
    names: dict[str, str] = {}
    totals: defaultdict[str, Decimal] = defaultdict(Decimal)
    for sale in sold:
        names.setdefault(sale.product.casefold(), sale.product)
        totals[sale.product.casefold()] += sale.amount
    ranked = sorted(totals.items(), key=lambda entry: (-entry[1], entry[0]))
    return [(names[key], amount) for key, amount in ranked]


def summary_text(result: dict[str, Any], skipped: list[str]) -> str:
    best = max(result["periods"], key=lambda row: row["total"])
    lines = [f"# {result['title']}", ""]
    lines += [f"- Total: {result['total']:,.2f} from {result['sales']} sales"]
    lines += [f"- Best period: {best['period']} with {best['total']:,.2f}", ""]
    lines += ["| Product | Total | Share |", "| --- | ---: | ---: |"]
    for row in result["top_products"]:
        share = "" if row["share_percent"] is None else f"{row['share_percent']:.1f} %"
        name = row["product"].replace("|", "/")
        lines.append(f"| {name} | {row['total']:,.2f} | {share} |")
    if skipped:
        lines += ["", f"## Rows skipped: {len(skipped)}", ""]
        lines += [f"- {reason}" for reason in skipped[:50]]
    return "\n".join(lines) + "\n"


def write_csv(path: Path, periods: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["period", "sales", "total"])
        for row in periods:
            writer.writerow([row["period"], row["sales"], f"{row['total']:.2f}"])


def tell_progress(fraction: float, message: str) -> None:
    """Show the line as the run's progress; fraction is in 0..1."""
    if path := os.environ.get("EXECFABRIC_PROGRESS"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{fraction:.2f} {message}\n")

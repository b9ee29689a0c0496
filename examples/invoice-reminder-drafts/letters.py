"""The wording of the reminder letters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from values import money

LAST_DATE_AFTER = timedelta(days=7)


@dataclass
class Invoice:
    """One row of the invoice list. An amount of a credit is negative."""

    number: str
    customer: str
    email: str
    due_on: date
    amount: Decimal
    currency: str
    paid: bool


OPENINGS = {
    "friendly": "it may have slipped through in a busy week: {these} still open with us.",
    "neutral": "according to our records, {these} overdue.",
    "firm": "despite the agreed terms, {these} overdue and unpaid.",
}
CLOSINGS = {
    "friendly": "If your payment is already on its way, please ignore this letter. Thank you!",
    "neutral": "Please arrange the payment, or tell us if anything about it is unclear.",
    "firm": "Please make sure that we receive {total} by {last_date} at the latest.",
}


def write_letter(overdue: list[Invoice], paid: list[Invoice], tone: str, as_of: date) -> str:
    """Return the letter as Markdown. overdue has one customer, one currency, one or more rows.

    tone is a key of OPENINGS.
    """
    total = sum((invoice.amount for invoice in overdue), Decimal())
    currency = overdue[0].currency
    these = "this invoice is" if len(overdue) == 1 else f"these {len(overdue)} invoices are"
    amount = f"{money(total)} {currency}"
    lines = [f"# Payment reminder for {overdue[0].customer}", ""]
    if overdue[0].email:
        lines.append(f"To: {overdue[0].email}  ")
    lines += [f"Date: {as_of.isoformat()}", "", f"Dear {overdue[0].customer},", ""]
    lines += [OPENINGS[tone].format(these=these), ""]
    lines += ["| Invoice | Due | Days late | Amount |", "| --- | --- | ---: | ---: |"]
    for invoice in overdue:
        late = (as_of - invoice.due_on).days
        number = invoice.number.replace("|", "/")
        lines.append(f"| {number} | {invoice.due_on} | {late} | {money(invoice.amount)} |")
    lines += ["", f"Together: **{amount}**", ""]
    last_date = (as_of + LAST_DATE_AFTER).isoformat()
    lines.append(CLOSINGS[tone].format(total=amount, last_date=last_date))
    if paid:
        numbers = ", ".join(invoice.number for invoice in paid)
        lines += ["", f"We have received, with thanks: {numbers}."]
    return "\n".join([*lines, "", "Kind regards", ""])

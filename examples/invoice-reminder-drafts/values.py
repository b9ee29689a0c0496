"""Turns what people write into dates and amounts. Raises ValueError with a short reason."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
SIGN = r"(?:[A-Za-z]{3}|[€$£¥])?"
AMOUNT = re.compile(rf"{SIGN}([-+]?){SIGN}(\d[\d.,]*|[.,]\d+){SIGN}(-?)")
ISO_DATE = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[t ]\d{1,2}:\d{2}\S*)?")
NUMBER_DATE = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})")
DAY_MONTH = re.compile(r"(\d{1,2})\.?[ -]([a-z]+)\.?[ -](\d{4}|\d{2})")
MONTH_DAY = re.compile(r"([a-z]+)\.? (\d{1,2}),? (\d{4})")


def parse_date(value: object, *, day_first: bool = True) -> date:
    """Return the day. 03/04/2026 follows day_first; with dots the day always comes first."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    text = " ".join(str(value or "").split())
    if not text:
        raise ValueError("the date is empty")
    parts = date_parts(text.lower(), day_first=day_first)
    if parts is None:
        raise ValueError(f"the date '{text}' is not understood")
    year, month, day = parts
    try:
        found = date(year, month, day)
    except ValueError:
        raise ValueError(f"the date '{text}' does not exist") from None
    if not 1900 <= found.year <= 2100:
        raise ValueError(f"the year of '{text}' is not plausible")
    return found


def date_parts(text: str, *, day_first: bool) -> tuple[int, int, int] | None:
    """Return (year, month, day) as written, or None when text is no date."""
    if match := ISO_DATE.fullmatch(text):
        return int(match[1]), int(match[2]), int(match[3])
    if match := NUMBER_DATE.fullmatch(text):
        first, second, year = int(match[1]), int(match[3]), full_year(match[4])
        if day_first or match[2] == ".":
            return year, second, first
        return year, first, second
    if (match := DAY_MONTH.fullmatch(text)) and match[2][:3] in MONTHS:
        return full_year(match[3]), MONTHS.index(match[2][:3]) + 1, int(match[1])
    if (match := MONTH_DAY.fullmatch(text)) and match[1][:3] in MONTHS:
        return int(match[3]), MONTHS.index(match[1][:3]) + 1, int(match[2])
    return None


def full_year(digits: str) -> int:
    return int(digits) + (2000 if len(digits) == 2 else 0)


def parse_amount(value: object) -> Decimal:
    """Return the amount with two decimals: 1,234.50 and 1.234,50 and (12.00) and EUR 5-.

    A single separator before exactly three digits separates thousands: 1.234 is 1234.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        text = f"{value:.4f}"
    else:
        text = re.sub(r"[\s'\u2019]", "", str(value or "")).replace("\u2212", "-")
    if not text:
        raise ValueError("the amount is empty")
    negative = text.startswith("(") and text.endswith(")")
    match = AMOUNT.fullmatch(text[1:-1] if negative else text)
    digits = match and plain_digits(match[2])
    if match is None or digits is None:
        raise ValueError(f"the amount '{value}' is not a number")
    if len(digits) > 18:
        raise ValueError(f"the amount '{value}' is too large")
    amount = Decimal(digits).quantize(CENT, ROUND_HALF_UP)
    return -amount if negative or "-" in (match[1], match[3]) else amount


def plain_digits(text: str) -> str | None:
    """Return text with "." for decimals and no thousands signs; None when they make no sense."""
    decimal = "." if text.rfind(".") > text.rfind(",") else ","
    other = "," if decimal == "." else "."
    # Only one kind of sign, and it stands where a thousands sign would.
    if other not in text and re.fullmatch(rf"[1-9]\d{{0,2}}(\{decimal}\d{{3}})+", text):
        decimal, other = other, decimal
    whole, _, rest = text.partition(decimal)
    if other in whole and not re.fullmatch(rf"\d{{1,3}}(\{other}\d{{3}})+", whole):
        return None
    if rest and not rest.isdecimal():
        return None
    return f"{whole.replace(other, '') or '0'}.{rest or '0'}"


def money(amount: Decimal) -> str:
    """Return the amount for people: 1,234.50."""
    return f"{amount:,.2f}"

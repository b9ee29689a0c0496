"""Draws the report's picture with Pillow: periods on the left, top products on the right."""

from __future__ import annotations

import math
import unicodedata
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

Series = list[tuple[str, float]]
"""Label -> amount, in the order to draw."""

# Everything is drawn at twice the size and then reduced: Pillow does not smooth lines itself.
SCALE = 2
WIDTH, HEIGHT = 1280, 640
INK, MUTED, GRID = "#1f2937", "#6b7280", "#e5e7eb"
BLUE, LIGHT_BLUE, TEAL, RED = "#2563eb", "#dbeafe", "#0d9488", "#dc2626"
PLOT = (90, 120, 800, 560)
"""Left, top, right, bottom of the period chart."""
SIDE = (850, 120, 1240, 560)
LABEL_WIDTH = 58
"""Room one period label or value needs before its neighbours must be left out."""
ASCII_FOR = str.maketrans({"ß": "ss", "\u2013": "-", "\u2019": "'", "€": "EUR", "£": "GBP"})


class Canvas:
    """A picture measured in final pixels, whatever the scale it is drawn at."""

    def __init__(self) -> None:
        self.image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), "white")
        self.draw = ImageDraw.Draw(self.image)

    def line(self, points: list[tuple[float, float]], color: str, width: float = 1) -> None:
        scaled = [(x * SCALE, y * SCALE) for x, y in points]
        self.draw.line(scaled, fill=color, width=round(width * SCALE), joint="curve")

    def box(self, left: float, top: float, right: float, bottom: float, color: str) -> None:
        corners = [round(value * SCALE) for value in (left, top, right, bottom)]
        if corners[2] > corners[0] and corners[3] > corners[1]:
            self.draw.rounded_rectangle(corners, radius=3 * SCALE, fill=color)

    def polygon(self, points: list[tuple[float, float]], color: str) -> None:
        self.draw.polygon([(x * SCALE, y * SCALE) for x, y in points], fill=color)

    def dot(self, x: float, y: float, color: str) -> None:
        for radius, fill in ((5, "white"), (4, color)):
            self.draw.circle((x * SCALE, y * SCALE), radius * SCALE, fill=fill)

    def text(
        self, x: float, y: float, text: str, size: int, color: str = INK, anchor: str = "la",
        bold: bool = False, rim: int = 0,
    ) -> None:  # fmt: skip
        font, text = font_for(text, size, bold)
        # The white rim keeps a value legible where it lies on a line.
        self.draw.text(
            (x * SCALE, y * SCALE), text, fill=color, font=font, anchor=anchor,
            stroke_width=rim * SCALE, stroke_fill="white",
        )  # fmt: skip

    def shorten(self, text: str, size: int, width: float) -> str:
        """Return text, cut with three dots where it would be wider than width."""
        short = text
        while short and self.width(short if short == text else f"{short}...", size) > width:
            short = short[:-1]
        return text if short == text else f"{short.rstrip()}..."

    def width(self, text: str, size: int) -> float:
        font, text = font_for(text, size, False)
        return self.draw.textlength(text, font=font) / SCALE


def font_for(
    text: str, size: int, bold: bool
) -> tuple[ImageFont.FreeTypeFont | ImageFont.ImageFont, str]:
    """Return a font and the text it can show.

    Pillow's own font knows ASCII only, so a system font is taken where there is one.
    """
    try:
        name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
        return ImageFont.truetype(name, size * SCALE), text
    except OSError:
        plain = unicodedata.normalize("NFKD", text.translate(ASCII_FOR))
        kept = "".join(letter for letter in plain if not unicodedata.combining(letter))
        return ImageFont.load_default(size * SCALE), kept.encode("ascii", "replace").decode()


def draw_report(
    path: Path, *, title: str, subtitle: str, kind: str, periods: Series, products: Series
) -> None:
    """Write the PNG. kind is "bar" or "line"; both series must have at least one entry."""
    canvas = Canvas()
    canvas.text(40, 34, canvas.shorten(title, 28, 1150), 28, bold=True)
    canvas.text(40, 74, canvas.shorten(subtitle, 15, 1180), 15, MUTED)
    draw_periods(canvas, periods, kind)
    draw_products(canvas, products)
    canvas.image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS).save(path, optimize=True)


def draw_periods(canvas: Canvas, periods: Series, kind: str) -> None:
    left, top, right, bottom = PLOT
    amounts = [amount for _, amount in periods]
    ticks = axis_ticks(min(0.0, *amounts), max(0.0, *amounts))
    low, high = ticks[0], ticks[-1]

    def height(amount: float) -> float:
        return bottom - (amount - low) / (high - low) * (bottom - top)

    for tick in ticks:
        canvas.line([(left, height(tick)), (right, height(tick))], GRID)
        canvas.text(left - 10, height(tick), short_number(tick), 13, MUTED, "rm")
    step = (right - left) / len(periods)
    points = [
        (left + step * (place + 0.5), height(amount)) for place, (_, amount) in enumerate(periods)
    ]
    if kind == "line":
        base = height(0)
        canvas.polygon([(points[0][0], base), *points, (points[-1][0], base)], LIGHT_BLUE)
        canvas.line(points, BLUE, 2.5)
        for x, y in points:
            canvas.dot(x, y, BLUE)
    else:
        half = min(step * 0.34, 36)
        for (x, y), amount in zip(points, amounts, strict=True):
            edges = sorted((y, height(0)))
            canvas.box(x - half, edges[0], x + half, edges[1], RED if amount < 0 else BLUE)
    canvas.line([(left, height(0)), (right, height(0))], INK, 1.2)
    every = math.ceil(LABEL_WIDTH / step)
    for place, ((label, amount), (x, y)) in enumerate(zip(periods, points, strict=True)):
        if place % every == 0:
            canvas.text(x, bottom + 14, label, 13, MUTED, "ma")
            offset, anchor = (-9, "ms") if amount >= 0 else (9, "mt")
            canvas.text(x, y + offset, short_number(amount), 13, INK, anchor, rim=2)


def draw_products(canvas: Canvas, products: Series) -> None:
    """Draw the bars on the right; a product below zero gets its amount but no bar."""
    left, top, right, bottom = SIDE
    canvas.text(left, top - 22, "Top products", 15, bold=True)
    largest = max(max(amount for _, amount in products), 0.01)
    step = min((bottom - top) / len(products), 62)
    # Many products: smaller labels and thinner bars.
    size, gap = (14, 9) if step >= 34 else (11, 3)
    thickness = min(18, step - size - 2 * gap - 1)
    for place, (label, amount) in enumerate(products):
        y = top + 8 + step * place
        canvas.text(left, y, canvas.shorten(label, size, 290), size)
        canvas.text(right, y, short_number(amount), size, MUTED, "ra")
        if amount > 0:
            length = (right - left) * amount / largest
            bar_top = y + size + gap
            canvas.box(left, bar_top, left + length, bar_top + thickness, TEAL)


def axis_ticks(low: float, high: float) -> list[float]:
    """Return 4 to 8 round values that reach from below low to above high."""
    spread = (high - low) or 1.0
    rough = spread / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [step * place for place in range(first, last + 1)]


def short_number(amount: float) -> str:
    """Return the amount in few signs: 950, 12.4k, 3.1M."""
    for size, sign in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(amount) >= size:
            return f"{amount / size:.1f}".removesuffix(".0") + sign
    return f"{amount:.0f}" if abs(amount) >= 100 else f"{amount:.2f}".removesuffix(".00")

"""Charts of a report as SVG: drawn once, readable without a script, and with what a pointer shows beside every mark.

Colours are classes (`c0` to `c6`, `rest`), so that one drawing serves light and dark. Every chart is drawn twice, wide and for a phone, and the
style sheet shows one of the two: an SVG that shrinks would shrink its text.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from decimal import Decimal
from html import escape

from analytics import formatting
from analytics.palette import RESTS
from analytics.snapshot_report import Chart, Series
from warehouse.schema import COST_CATEGORIES

WIDE, NARROW = 960, 358
_HEIGHT, _TOP, _BOTTOM = 280, 14, 26
_HUES = 7


def draw(chart: Chart, currency: str, grain: str) -> str:
    """The chart, wide and narrow, as SVG elements with a legend. Empty for a chart without data."""
    if not chart.labels or not chart.series:
        return ""
    grain = chart.grain or grain
    over_time = chart.kind in ("stacked", "line")
    pictures = "".join(
        _picture(chart, currency, grain, width, name) if over_time else _bars(chart, currency, width, name)
        for width, name in ((WIDE, "wide"), (NARROW, "narrow"))
    )
    return f'<figure class="chart">{_legend(chart)}{pictures}</figure>'


def colour(name: str, place: int) -> str:
    """The class of a series: a cost category's own, grey for rests, else by place."""
    if name in RESTS:
        return "rest"
    named = [category for category in COST_CATEGORIES if category not in RESTS]
    return f"c{(named.index(name) if name in named else place) % _HUES}"


def describe(chart: Chart, currency: str, grain: str) -> str:
    """The chart in words: what it shows, its largest and its last value."""
    kind = {"stacked": "Stacked columns", "line": "Line", "bars": "Bars", "pairs": "Pairs of bars"}[chart.kind]
    totals = [_sum(one.values[at] for one in chart.series) for at in range(len(chart.labels))]
    if chart.kind == "pairs":
        first = chart.series[0]
        parts = [
            f"{label} {_value(part, chart, currency)}" for label, part in zip(chart.labels, first.values, strict=True)
        ]
        return f"{kind}, {chart.title}. {first.name}: {', '.join(parts[:6])}."
    at = max(range(len(totals)), key=lambda place: totals[place])
    last = len(totals) - 1
    words = f"{kind}, {chart.title}. Largest: {_label(chart, chart.labels[at], grain)}, {_value(totals[at], chart, currency)}."
    if chart.kind in ("stacked", "line") and last != at:
        words += f" Last: {_label(chart, chart.labels[last], grain)}, {_value(totals[last], chart, currency)}."
    return words


def _legend(chart: Chart) -> str:
    if len(chart.series) < 2:
        return ""
    keys = "".join(
        f'<button type="button" class="key" data-s="{at}" aria-pressed="false"><i class="{colour(one.name, at)}"></i>{escape(one.name)}</button>'
        for at, one in enumerate(chart.series)
    )
    return f'<figcaption class="legend">{keys}</figcaption>'


def _open(width: int, height: int, name: str, words: str) -> str:
    label = escape(words, quote=True)
    return f'<svg class="{name}" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{label}">'


def _picture(chart: Chart, currency: str, grain: str, width: int, name: str) -> str:
    """Columns or a line over time."""
    count = len(chart.labels)
    columns = [[one.values[at] for one in chart.series] for at in range(count)]
    stacked = chart.kind == "stacked"
    highs = [
        _sum(max(part, Decimal(0)) for part in column if part is not None) if stacked else _most(column)
        for column in columns
    ]
    lows = [
        _sum(min(part, Decimal(0)) for part in column if part is not None) if stacked else Decimal(0)
        for column in columns
    ]
    low, high, step = _scale(min(lows), max(highs))
    ticks = [low + step * number for number in range(int((high - low) / step) + 1)]
    texts = [_axis(tick, chart, currency, step) for tick in ticks]
    left = 10 + 7 * max(len(text) for text in texts)
    plot = width - left - 8

    def y(value: Decimal) -> float:
        return round(_TOP + float((high - value) / (high - low)) * (_HEIGHT - _TOP - _BOTTOM), 2)

    out = [_open(width, _HEIGHT, name, describe(chart, currency, grain))]
    for tick, text in zip(ticks, texts, strict=True):
        out.append(
            f'<line class="{"zero" if tick == 0 else "grid"}" x1="{left}" x2="{width - 8}" y1="{y(tick)}" y2="{y(tick)}"/>'
        )
        out.append(f'<text class="tick" text-anchor="end" x="{left - 6}" y="{y(tick) + 4}">{escape(text)}</text>')
    slot = plot / count
    bar = max(1.0, min(slot * 0.76, 88))
    every = max(1, -(-count // (3 if width == NARROW else 7)))
    for at, column in enumerate(columns):
        middle = left + slot * (at + 0.5)
        if stacked:
            out += _column(chart.series, column, middle - bar / 2, bar, y)
        if at % every == 0:
            out.append(
                f'<text class="tick" text-anchor="middle" x="{middle:.1f}" y="{_HEIGHT - 8}">{escape(_tick(chart.labels[at], grain))}</text>'
            )
    if not stacked:
        out += _line(chart.series, count, left, slot, y)
    if stacked and count <= 6:
        for at, total in enumerate(_sum(column) for column in columns):
            words = escape(formatting.money(total, currency))
            middle = left + slot * (at + 0.5)
            out.append(
                f'<text class="total" text-anchor="middle" x="{middle:.1f}" y="{y(highs[at]) - 4}">{words}</text>'
            )
    # What a pointer meets lies over everything: one strip per column.
    for at, label in enumerate(chart.labels):
        out.append(
            f'<rect class="hit" x="{left + slot * at:.1f}" y="{_TOP}" width="{slot:.1f}" height="{_HEIGHT - _TOP - _BOTTOM}" '
            f'data-t="{escape(_tip(chart, at, _label(chart, label, grain), currency), quote=True)}"/>'
        )
    return "".join([*out, "</svg>"])


def _column(
    series: Sequence[Series], column: Sequence[Decimal | None], x: float, width: float, y: Callable[[Decimal], float]
) -> list[str]:
    out = []
    above = below = Decimal(0)
    for at, (one, part) in enumerate(zip(series, column, strict=True)):
        if not part:
            continue
        start = above if part > 0 else below
        top, bottom = sorted((y(start), y(start + part)))
        if part > 0:
            above += part
        else:
            below += part
        height = max(bottom - top, 0.4)
        out.append(
            f'<rect class="{colour(one.name, at)}" data-s="{at}" x="{x:.1f}" y="{top}" width="{width:.1f}" height="{height:.2f}"/>'
        )
    return out


def _line(series: Sequence[Series], count: int, left: float, slot: float, y: Callable[[Decimal], float]) -> list[str]:
    """Lines with gaps where a value is not known."""
    out = []
    for at, one in enumerate(series):
        path, pen = [], "M"
        for place in range(count):
            value = one.values[place]
            if value is None:
                pen = "M"
                continue
            path.append(f"{pen}{left + slot * (place + 0.5):.1f} {y(value)}")
            pen = "L"
        out.append(f'<path class="line {colour(one.name, at)}" data-s="{at}" d="{" ".join(path)}"/>')
    return out


def _bars(chart: Chart, currency: str, width: int, name: str) -> str:
    """Horizontal bars: parts of one bar, or two bars per name."""
    pairs, narrow = chart.kind == "pairs", width == NARROW
    bar, gap = (15 if pairs else 16), (28 if narrow else 12)
    row = gap + bar * (len(chart.series) if pairs else 1)
    left = 8 if narrow else 24 + 7 * min(34, max(len(label) for label in chart.labels))
    room = width - left - 86
    totals = [
        _most(one.values[at] for one in chart.series) if pairs else _sum(one.values[at] for one in chart.series)
        for at in range(len(chart.labels))
    ]
    most = max((abs(total) for total in totals), default=Decimal(0)) or Decimal(1)
    height = 10 + row * len(chart.labels)
    out = [_open(width, height, name, describe(chart, currency, "day"))]
    for at, label in enumerate(chart.labels):
        top = 10 + row * at + (gap - 8 if narrow else 0)
        tip = escape(_tip(chart, at, label, currency), quote=True)
        short = label if len(label) <= 34 else f"{label[:33]}…"
        if narrow:
            out.append(f'<text class="name" x="{left}" y="{top - 4}">{escape(short)}</text>')
        else:
            out.append(
                f'<text class="name" text-anchor="end" x="{left - 8}" y="{top + row / 2 - gap / 2 + 5:.1f}">{escape(short)}</text>'
            )
        x = float(left)
        for place, one in enumerate(chart.series):
            value = one.values[at]
            length = float(abs(value) / most) * room if value is not None else 0.0
            if length:
                y = top + bar * place if pairs else top
                out.append(
                    f'<rect class="{colour(one.name, place)}" data-s="{place}" x="{left if pairs else x:.1f}" y="{y}" '
                    f'width="{max(length, 0.5):.1f}" height="{bar - 1}"/>'
                )
            if pairs:
                words, below = escape(_value(value, chart, currency)), top + bar * (place + 1) - 3
                out.append(f'<text class="value" x="{left + length + 5:.1f}" y="{below}">{words}</text>')
            x += length
        if not pairs:
            out.append(
                f'<text class="value" x="{x + 5:.1f}" y="{top + bar - 3}">{escape(_value(totals[at], chart, currency))}</text>'
            )
        out.append(
            f'<rect class="hit" x="0" y="{top - (gap - 8 if narrow else 0)}" width="{width}" height="{row}" data-t="{tip}"/>'
        )
    return "".join([*out, "</svg>"])


def _tip(chart: Chart, at: int, label: str, currency: str) -> str:
    """What a pointer over a mark shows: the label, every part, and the total of parts; one line each."""
    lines = [label]
    parts = [(one.name, one.values[at]) for one in chart.series]
    lines += [
        f"{name}\t{_exact(value, chart, currency)}"
        for name, value in parts
        if value is None or value or len(parts) == 1
    ]
    if len(parts) > 1 and chart.kind in ("stacked", "bars"):
        lines.append(f"Total\t{_exact(_sum(value for _name, value in parts), chart, currency)}")
    return "\n".join(lines)


def _exact(value: Decimal | None, chart: Chart, currency: str) -> str:
    return formatting.to_the_cent(value, currency) if chart.unit == "money" else _value(value, chart, currency)


def _value(value: Decimal | None, chart: Chart, currency: str) -> str:
    return formatting.money(value, currency) if chart.unit == "money" else formatting.share(value)


def _axis(value: Decimal, chart: Chart, currency: str, step: Decimal) -> str:
    if chart.unit == "share":
        return formatting.share(value)
    digits = 0 if step == step.to_integral_value() else max(0, -step.normalize().as_tuple().exponent)  # type: ignore[operator]
    if abs(value) >= 10_000 and step % 1000 == 0:
        return f"{formatting.money(value / 1000, currency, digits=0)}k"
    return formatting.money(value, currency, digits=digits)


def _scale(low: Decimal, high: Decimal) -> tuple[Decimal, Decimal, Decimal]:
    """Ends of an axis and its step: about four steps of 1, 2 or 5 times a power of ten, 0 among them."""
    size = max(high - low, Decimal("0.000001"))
    rough = size / 4
    power = Decimal(10) ** rough.adjusted()
    step = next(power * times for times in (1, 2, 5, 10) if power * times >= rough)
    bottom = -(-low // step) * step if low >= 0 else -((-low + step - Decimal("1e-12")) // step) * step
    top = ((high + step - Decimal("1e-12")) // step) * step
    return min(bottom, Decimal(0)), max(top, step), step


def _tick(label: str, grain: str) -> str:
    day = date.fromisoformat(label)
    month = calendar.month_abbr[day.month]
    return f"{month} {day.year}" if grain == "month" else f"{day.day} {month}"


def _label(chart: Chart, label: str, grain: str) -> str:
    if chart.kind not in ("stacked", "line"):
        return label
    day = date.fromisoformat(label)
    if grain == "month":
        return f"{calendar.month_name[day.month]} {day.year}"
    return f"{'Week of ' if grain == 'week' else ''}{day.day} {calendar.month_name[day.month]} {day.year}"


def _sum(values: Iterable[Decimal | None]) -> Decimal:
    return sum((value for value in values if value is not None), Decimal(0))


def _most(values: Iterable[Decimal | None]) -> Decimal:
    return max((value for value in values if value is not None), default=Decimal(0))

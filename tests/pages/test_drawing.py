"""Charts, tables and colours: what they say and how they number, without a browser."""

from __future__ import annotations

import math
import tomllib
from datetime import date
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from pages import _charts, _palette, _tables, _text
from tests.pages.conftest import OpenShell
from warehouse.schema import COST_CATEGORIES

CONFIG = tomllib.loads((Path(__file__).resolve().parents[2] / ".streamlit" / "config.toml").read_text(encoding="utf-8"))

COSTS = pd.DataFrame(
    [
        (date(2026, 5, 1), "LLM API", Decimal("10.10")),
        (date(2026, 5, 1), "Unclassified", Decimal("50")),
        (date(2026, 5, 2), "LLM API", Decimal("20.20")),
        (date(2026, 5, 2), "GPU inference", None),
        (date(2026, 5, 3), None, Decimal("0.01")),
    ],
    columns=["period", "category", "cost"],
)


def test_series_keep_exact_amounts_and_the_unknown_and_put_rests_last() -> None:
    periods, series = _charts.series_from(COSTS, "period", "category", "cost")
    assert periods == [date(2026, 5, 1), date(2026, 5, 2), date(2026, 5, 3)]
    assert [(one.name, one.values) for one in series] == [
        ("LLM API", (Decimal("10.10"), Decimal("20.20"), Decimal(0))),
        ("GPU inference", (Decimal(0), None, Decimal(0))),
        ("Unclassified", (Decimal(50), Decimal(0), Decimal(0))),
        ("(untagged)", (Decimal(0), Decimal(0), Decimal("0.01"))),
    ]


def test_a_chart_in_words() -> None:
    periods, series = _charts.series_from(COSTS, "period", "category", "cost")
    assert _charts.describe_costs(periods, series, "day", "USD") == (
        "Stacked bars per day, 1 May 2026 to 3 May 2026. Total $80.31. Largest: Unclassified, $50.00 (62%). "
        "Highest day: 1 May 2026, $60.10."
    )
    assert _charts.describe_costs([], [], "day", "USD") == "An empty chart."


def test_categories_have_fixed_colours_and_rests_are_grey() -> None:
    for mode in ("light", "dark"):
        colours = _palette.category_colours(mode)
        assert set(COST_CATEGORIES) <= set(colours)
        named = [colours[name] for name in COST_CATEGORIES if name != "Unclassified"]
        assert len(set(named)) == len(named)
        assert colours["Unclassified"] == colours["Unallocated"] == _palette.NEUTRAL[mode]
    assert _palette.category_colours("light")["LLM API"] == "#0072B2"


@given(st.lists(st.text(min_size=1), min_size=1, max_size=7, unique=True), st.randoms())
def test_a_feature_keeps_its_colour_in_any_order(names: list[str], chance) -> None:
    shuffled = names.copy()
    chance.shuffle(shuffled)
    assert _palette.series_colours(names) == _palette.series_colours(shuffled)
    named = [name for name in names if name not in _palette.RESTS]
    assert len({_palette.series_colours(names)[name] for name in named}) == len(named)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_the_theme_has_the_same_palette_as_our_own_charts(mode: _palette.Mode) -> None:
    assert CONFIG["theme"][mode]["chartCategoricalColors"] == [*_palette.SERIES[mode], _palette.NEUTRAL[mode]]
    assert len(CONFIG["theme"][mode]["chartSequentialColors"]) == 10


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2.2."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_can_be_read_on_its_background(mode: str) -> None:
    theme = CONFIG["theme"][mode]
    grounds = [theme["backgroundColor"], theme["secondaryBackgroundColor"], theme["sidebar"]["backgroundColor"]]
    for ground in grounds:
        assert _contrast(theme["textColor"], ground) >= 7
        for name in ("linkColor", "redColor", "greenColor", "grayColor"):
            assert _contrast(theme[name], ground) >= 4.5, (name, ground)


def test_the_production_settings_hold() -> None:
    assert CONFIG["runner"]["postScriptGC"] is False
    assert CONFIG["server"]["address"] == "127.0.0.1"
    assert CONFIG["server"]["fileWatcherType"] == "none"
    assert CONFIG["browser"]["gatherUsageStats"] is False
    assert CONFIG["client"]["showErrorDetails"] == "none"
    assert CONFIG["client"]["toolbarMode"] == "viewer"
    assert "enableXsrfProtection" not in CONFIG["server"]
    assert "enableCORS" not in CONFIG["server"]


def test_small_amounts_get_the_digits_that_they_need() -> None:
    assert _tables._unit_digits(pd.Series([Decimal("0.0031"), Decimal("2.5"), None])) == 4
    assert _tables._unit_digits(pd.Series([Decimal("0.00031")])) == 5
    assert _tables._unit_digits(pd.Series([Decimal("0.000031")])) == 6
    assert _tables._unit_digits(pd.Series([], dtype=object)) == 4
    assert _tables._unit_digits(pd.Series([Decimal("-0.611"), Decimal(4)])) == 3


def test_the_minus_of_an_amount_stands_before_its_currency() -> None:
    """The browser would write $-0.611; columns without a loss are left to it, and dollars with cents it writes rightly."""
    frame = pd.DataFrame(
        {"saving": [Decimal("-0.611"), None, Decimal("1234.5")], "cost": [Decimal("0.01")] * 3, "sum": [Decimal(-1)] * 3, "euro": [Decimal(-1)] * 3},
        dtype=object,
    )  # fmt: skip
    columns = {
        "saving": _tables.Column("Saving", "unit_money"),
        "cost": _tables.Column("Cost", "unit_money"),
        "sum": _tables.Column("Sum", "money"),
        "euro": _tables.Column("Euro", "money", currency="EUR"),
    }
    written = _tables._written({name: frame[name].to_list() for name in frame}, columns)
    assert set(written) == {"saving", "euro"}
    assert [written["saving"](value) for value in (-0.611, 1234.5)] == ["-$0.611", "$1,234.500"]
    assert written["euro"](-1.0) == "-€1.00"


def test_what_is_nothing_in_the_digits_of_its_column_has_no_sign() -> None:
    """The browser would write -0.004 as -$0.00; the file beside the table keeps it."""
    small = [Decimal("-0.004"), Decimal("-0.005"), Decimal("-0.000"), None, Decimal("0.004"), Decimal("-1")]
    frame = pd.DataFrame({"sum": small, "each": [*small[:5], Decimal("-0.0100")], "part": small}, dtype=object)
    found = _tables.prepared(
        frame,
        {
            "sum": _tables.Column("Sum", "money"),
            "each": _tables.Column("Each", "money", currency="EUR"),
            "part": _tables.Column("Part", "share"),
        },
    )
    cells = found.data.data if hasattr(found.data, "data") else found.data.to_pandas()
    signs = {name: ["" if pd.isna(cell) else str(math.copysign(1, cell)) for cell in cells[name]] for name in frame}
    assert signs["sum"] == ["1.0", "-1.0", "1.0", "", "1.0", "-1.0"]
    assert signs["each"] == ["1.0", "-1.0", "1.0", "", "1.0", "-1.0"]
    assert signs["part"] == ["-1.0", "-1.0", "1.0", "", "1.0", "-1.0"]
    assert found.frame["sum"].tolist() == small


def test_what_is_not_known_of_a_trend_is_left_out() -> None:
    """One NULL in it, and the browser draws an error instead of a line."""
    frame = pd.DataFrame({"trend": [[Decimal(4), None, Decimal("0.5")], (None, Decimal(0)), [None], []]}, dtype=object)
    found = _tables.prepared(frame, {"trend": _tables.Column("Trend", "trend")})
    assert found.data.column("trend").to_pylist() == [[4.0, 0.5], [0.0], [], []]


@pytest.mark.parametrize(
    ("trend", "from_zero"),
    [([0, 2], True), ([-1, 2], True), ([0, 0], True), ([None], True), ([], True), ([0, -6], False), ([-6], False)],
    ids=str,
)
def test_a_trend_below_zero_has_a_scale(trend: list[int | None], from_zero: bool) -> None:
    """The browser draws an error where the least of its scale, 0, is not below the highest value."""
    values = [[1], [None if value is None else Decimal(value) for value in trend]]
    found = _tables.prepared(pd.DataFrame({"trend": values}, dtype=object), {"trend": _tables.Column("Trend", "trend")})
    assert ("y_min" in found.configuration["trend"]["type_config"]) == from_zero


@pytest.mark.parametrize(
    ("days", "grain", "labels"),
    [
        ([date(2026, month, 1) for month in (2, 3, 4, 5)], "month", ["Feb<br>2026", "Mar", "Apr", "May"]),
        ([date(2025, 12, 1), *(date(2026, month, 1) for month in (1, 2, 3, 4, 11))], "month", ["Dec<br>2025", "Feb<br>2026", "Apr", "Nov"]),
        ([date(2026, 5, day) for day in range(1, 32)], "day", ["1 May", "6 May", "11 May", "16 May", "21 May", "26 May", "31 May"]),
        ([date(2026, 5, 4), date(2026, 5, 11)], "week", ["4 May", "11 May"]),
        ([], "month", []),
    ],
    ids=["months", "months with a gap", "days", "weeks", "nothing"],
)  # fmt: skip
def test_labels_of_a_time_axis_have_room(days: list[date], grain: str, labels: list[str]) -> None:
    ticks = _charts._ticks(days, grain)
    assert ticks["ticktext"] == labels
    assert len(labels) == len(ticks["tickvals"]) <= 7


def test_what_the_data_say_is_no_markup() -> None:
    assert _text.plain("$47,231 *bold* [link](x) <b>") == "\\$47,231 \\*bold\\* \\[link\\](x) \\<b\\>"


def test_every_table_has_a_download_beside_it(open_shell: OpenShell) -> None:
    for page in (None, "inform/features.py"):
        app = open_shell(page)
        assert len(app.dataframe) == len(app.main.get("download_button")) == 1


def test_unknown_cells_stay_unknown(open_shell: OpenShell) -> None:
    shown = open_shell("inform/features.py").dataframe[0].value
    assert shown["feature"].tolist() == ["search", "summarize", "support_chat", "(untagged)"]
    assert shown["cost"].isna().tolist() == [False, False, False, True]
    assert shown["cost_per_call"].tolist()[:3] == [0.01, 0.01, 0.01]


def test_an_unknown_figure_is_compared_with_nothing() -> None:
    def script() -> None:
        from decimal import Decimal

        from pages._metrics import Metric, metric_row

        metric_row([Metric("Cost per user", "unknown", None, Decimal(3), "April 2026")])

    (metric,) = AppTest.from_function(script).run().metric
    assert (metric.value, metric.delta) == ("unknown", "")


def test_a_metric_says_against_what(open_shell: OpenShell) -> None:
    app: AppTest = open_shell()
    total, revenue, unchanged, volume = app.metric
    assert (total.value, total.delta) == ("$8,403", "-80.5%")
    assert (revenue.value, revenue.delta) == ("$14,100", "+8.5%")
    assert unchanged.delta == "no change against April 2026"
    assert (volume.value, volume.delta) == ("1.2M", "+20%")

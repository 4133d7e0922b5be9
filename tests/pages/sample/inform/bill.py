from decimal import Decimal

from analytics import formatting
from pages import _draw as draw
from pages._data import answer
from pages._filters import current, describe
from tests.pages.sample.figures import daily_costs

filters = current()
frame = answer(daily_costs, filters)
total = sum(frame["cost"], Decimal(0))
if frame.empty:
    draw.empty_result("charges")
else:
    by_category = (
        frame.groupby("category")["cost"].agg(lambda costs: sum(costs, Decimal(0))).sort_values(ascending=False)
    )
    first = by_category.index[0]
    draw.headline(
        f"AI costs {formatting.usd(total)}; {first} is {formatting.share(by_category.iloc[0] / total)} of it",
        "Every bar is one day. Categories keep their colour on every page.",
        kicker=describe(filters),
    )
    draw.metric_row(
        [
            draw.Metric("Total cost", formatting.usd(total), Decimal(9200), Decimal(47231), "March 2026"),
            draw.Metric("Revenue", "$14,100", Decimal(14100), Decimal(13000), "April 2026", good="up"),
            draw.Metric("Cost per call", formatting.usd(Decimal("0.0031")), Decimal(1), Decimal(1), "April 2026"),
            draw.Metric("Calls", formatting.count(1_234_567), 12, 10, "April 2026", good="neither"),
        ]
    )
    draw.cost_chart(
        frame,
        title="Cost by category",
        note=f"{filters.basis.capitalize()} cost per {filters.grain}, USD, days in UTC",
        key="bill_chart",
    )
    table = by_category.reset_index()
    table["share"] = [float(cost / total) for cost in table["cost"]]
    draw.table(
        table,
        {
            "category": draw.Column("Category"),
            "cost": draw.Column("Cost", "money", help="Exact to the cent; the file has every digit."),
            "share": draw.Column("Share", "bar"),
        },
        key="bill_table",
        export_name=f"bill {filters.start} {filters.end}",
    )

"""Reports as PDF, read back by another library: every text, on A4, page after page, in any script that the font has."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest
from pypdf import PdfReader

from analytics.pdf_report import Bars, Change, Heading, Points, Steps, Table, Text, Total, pdf_report
from warehouse.errors import InputError


def read(data: bytes) -> tuple[PdfReader, str]:
    reader = PdfReader(io.BytesIO(data))
    return reader, "\n".join(page.extract_text() for page in reader.pages)


def test_every_block_can_be_read_back() -> None:
    data = pdf_report(
        "Giảm chi phí tháng Năm",
        [
            Text("Three levers would save $1,200 <b>& more</b>.", lead=True),
            Heading("From today", "USD per month"),
            Steps([Total("Today", Decimal("9200")), Change("Hỏi đáp", Decimal("-1200.40"), Decimal("-1300"), Decimal("-1100")),
                   Change("Router", Decimal("150")), Total("After", Decimal("8149.60"))]),
            Bars(["ước lượng", "unknown one"], [Decimal("12.5"), None]),
            Table(("Lever", "Saves"), [("Phân loại & tóm tắt", "−$1,200"), ("Sum", "$8,149")], align="lr", bold_last=True),
            Points(["Chất lượng không được mô phỏng."]),
        ],
        about="1 to 31 March 2026",
        footer="Percall, simulated",
    )  # fmt: skip
    reader, text = read(data)
    assert len(reader.pages) == 1
    assert [round(float(side)) for side in reader.pages[0].mediabox[2:]] == [595, 842]
    for words in (
        "Giảm chi phí tháng Năm", "Three levers would save $1,200 <b>& more</b>.", "Hỏi đáp", "−$1,200", "+$150.00", "$9,200", "$8,150",
        "ước lượng", "$12.50", "unknown", "Phân loại & tóm tắt", "Chất lượng không được mô phỏng.", "1 to 31 March 2026", "Percall, simulated",
    ):  # fmt: skip
        assert words in text, words
    assert reader.metadata is not None
    assert reader.metadata.title == "Giảm chi phí tháng Năm"


def test_a_long_table_repeats_its_header_on_every_page() -> None:
    rows = [(f"feature {number}", f"${number}") for number in range(200)]
    reader, text = read(pdf_report("Long", [Table(("Feature", "Cost a month"), rows, align="lr")]))
    assert len(reader.pages) > 3
    assert all("Cost a month" in page.extract_text() for page in reader.pages)
    assert all(f"feature {number}\n" in text + "\n" for number in range(200))


def test_a_column_of_one_endless_word_stays_on_the_page() -> None:
    reader, text = read(
        pdf_report("Wide", [Table(("Name", "A", "B"), [("x" * 300, "1", "2"), ("y", "3", "4")], align="lrr")])
    )
    assert text.count("x") >= 300
    assert len(reader.pages) == 1


def test_characters_without_a_glyph_are_boxes_and_said() -> None:
    _, text = read(pdf_report("Report", [Text("検索 and search 🙂")]))
    assert "□□ and search □" in text
    assert "3 characters of this report are not in its font" in text
    _, text = read(pdf_report("Report", [Text("tìm kiếm")]))
    assert "not in its font" not in text


def test_the_same_blocks_give_the_same_bytes() -> None:
    blocks = [Text("One"), Bars(["a"], [Decimal(1)])]
    assert pdf_report("Same", blocks) == pdf_report("Same", blocks)


def test_a_ragged_table_is_refused() -> None:
    with pytest.raises(InputError, match="has 2 columns"):
        pdf_report("Ragged", [Table(("A", "B"), [("1",)])])


def test_nothing_to_draw_is_no_error() -> None:
    reader, _ = read(
        pdf_report("Empty", [Bars([], []), Steps([]), Table(("A",), []), Points([]), Bars(["zero"], [Decimal(0)])])
    )
    assert len(reader.pages) == 1

"""percall.toml: what cannot be meant is refused with a sentence, never passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from warehouse.configuration import Configuration, read_configuration
from warehouse.errors import InputError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[percall]\nreporting_currency = "usd"', 'write it like reporting_currency = "USD"'),
        ('[percall]\nreporting_currency = "dollars"', 'write it like reporting_currency = "USD"'),
        ('[percall]\nreporting_time_zone = "Mars/Base"', "unknown time zone 'Mars/Base'"),
        ('[percall]\ncurrency = "USD"', "unknown setting 'currency'"),
        ('[[budgets]]\nname = "all"\namount = 1', "unknown section 'budgets'; known are alerts, allocation, budget"),
        ('[[sources]]\nname = "a"', "unknown section 'sources'"),
        ('reporting_currency = "EUR"', "unknown section 'reporting_currency'"),
        ('[budget]\nname = "all"', r"\[\[budget\]\]"),
        ("[perc", "not valid TOML"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "percall.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        read_configuration(path)


def test_every_section_that_the_readme_shows_is_known(tmp_path: Path) -> None:
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text()
    (shown,) = [part.partition("```")[0] for part in readme.split("```toml\n")[1:] if "[percall]" in part]
    path = tmp_path / "percall.toml"
    path.write_text(shown)
    found = read_configuration(path)
    assert (found.reporting_time_zone, found.reporting_currency) == ("Asia/Ho_Chi_Minh", "USD")
    assert found.budgets and found.sources and found.allocation and found.virtual_tags and found.people  # noqa: PT018
    assert Configuration().reporting_currency == "USD"

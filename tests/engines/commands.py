"""What commands write, with an engine and without: the same bytes."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

from tests.engines.same import MAY_BE_EMPTY
from tests.operations.command import percall


def a_view_is_the_same_file(view: str, store: Path, there: Path) -> None:
    asked = ("export", view, "--from", "2026-04-10", "--to", "2026-05-09", "--format", "json")
    here, elsewhere = percall(*asked, store=store), percall(*asked, store=store, config=there)
    assert (here.code, elsewhere.code) == (0, 0), here.err + elsewhere.err
    assert elsewhere.out == here.out
    assert here.json or view in MAY_BE_EMPTY


def costs_are_the_same_file(form: str, by: str, store: Path, there: Path) -> None:
    asked = ("export", "costs", "--by", by, "--format", form)
    here, elsewhere = percall(*asked, store=store), percall(*asked, store=store, config=there)
    assert (here.code, elsewhere.code) == (0, 0), here.err + elsewhere.err
    assert len(here.out) > 1000
    assert elsewhere.out == here.out


def a_scenario_is_the_same(store: Path, there: Path, folder: Path) -> None:
    scenario = folder / "scenario.toml"
    scenario.write_text('name = "Everything can wait"\n[[lever]]\nkind = "batch"\nshare = 1.0\nwith_users = true\n')
    asked = ("simulate", scenario, "--format", "json")
    here, elsewhere = percall(*asked, store=store), percall(*asked, store=store, config=there)
    assert (here.code, elsewhere.code) == (0, 0), here.err + elsewhere.err
    assert Decimal(here.json["saving"]) > 0
    assert elsewhere.out == here.out


def a_report_is_the_same_file(store: Path, there: Path, folder: Path) -> None:
    files = [folder / "here.html", folder / "there.html"]
    for file, config in zip(files, (None, there), strict=True):
        answer = percall("share", "file", "features", "-o", file, store=store, config=config)
        assert answer.code == 0, answer.err
    (here, made_here), (elsewhere, made_elsewhere) = (
        re.subn(r"Made \d{1,2} \w+ \d{4}, \d\d:\d\d UTC from", "Made now from", file.read_text()) for file in files
    )
    assert (made_here, made_elsewhere) == (1, 1)
    assert len(here) > 10_000
    assert elsewhere == here

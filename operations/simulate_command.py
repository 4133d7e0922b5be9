"""`percall simulate`: what-ifs on the store's own calls, or on the calls of a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from operations.filter_options import WHERE_HELP, chosen_filters

if TYPE_CHECKING:
    from analytics.simulators.scenario import Scenario
    from analytics.simulators.waterfall import Waterfall
    from operations.cli import Context

FORMATS = ("table", "json")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("simulate")(simulate)


def simulate(
    context: typer.Context,
    what: Annotated[
        str,
        typer.Argument(
            metavar="SCENARIO",
            help="A scenario file (TOML), or the name of a saved scenario; or routing, semantic-cache, prompt-cache with --input.",
        ),
    ],
    input_file: Annotated[Path | None, typer.Option("--input", help="Calls of a file instead of the store's.")] = None,
    form: Annotated[str, typer.Option("--format", help="table or json.")] = "table",
    start: Annotated[
        str | None, typer.Option("--from", help="First day replayed (default: the first with data).")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Last day replayed, inclusive.")] = None,
    where: Annotated[list[str] | None, typer.Option(help=WHERE_HELP)] = None,
    basis: Annotated[str, typer.Option(help="billed, effective or list.")] = "effective",
    pdf: Annotated[Path | None, typer.Option(help="Write the outcome to this file as a PDF report, too.")] = None,
    score: Annotated[str, typer.Option(help="routing: length or embedding.")] = "length",
    strong: Annotated[
        str | None, typer.Option(help="routing: today's model, or its price (2.5/10: USD per 1M tokens in/out).")
    ] = None,
    weak: Annotated[str | None, typer.Option(help="routing: the target model, or its price.")] = None,
    threshold: Annotated[float, typer.Option(help="semantic-cache: least similarity of a hit.")] = 0.92,
    normalize: Annotated[str, typer.Option(help="semantic-cache: raw, punctuation or stopwords.")] = "punctuation",
    ttl: Annotated[
        str | None, typer.Option(help="Seconds that an entry lives (semantic-cache without times: calls), or forever.")
    ] = None,
    capacity: Annotated[
        int | None, typer.Option(help="semantic-cache: entries kept, least recently used out first.")
    ] = None,
    min_tokens: Annotated[int, typer.Option(help="prompt-cache: shortest prefix that is cached.")] = 0,
    write: Annotated[
        float, typer.Option(help="prompt-cache: price of a written token, in prices of plain input.")
    ] = 1.25,
    read: Annotated[float, typer.Option(help="prompt-cache: price of a read token, in prices of plain input.")] = 0.1,
) -> None:
    """Replay a scenario, lever after lever, on the calls of the store: cost per month after each lever, with ranges. With --input, one
    lever on the calls of a file.
    """
    from warehouse.errors import InputError

    if form not in FORMATS:
        raise InputError(f"unknown format {form!r}: choose {', '.join(FORMATS)}")
    replays: dict[str, Callable[[Path], dict[str, Any]]] = {
        "routing": lambda file: _routing(file, score, context.obj, strong, weak),
        "semantic-cache": lambda file: _semantic_cache(file, threshold, normalize, _life(ttl), capacity),
        "prompt-cache": lambda file: _prompt_cache(file, _life(ttl), min_tokens, write, read),
    }
    if what in replays:
        if input_file is None:
            raise InputError(
                f"say which file: percall simulate {what} --input FILE; for the store's own calls write a scenario file"
            )
        _print(replays[what](input_file), form)
        return
    if input_file is not None:
        raise InputError(f"--input goes with {', '.join(replays)}, not with {what!r}")
    scenario, outcome, about = _scenario(context.obj, what, (start, end, where or [], basis))
    if pdf is not None:
        from analytics.simulators.plan_paper import scenario_pdf

        pdf.write_bytes(scenario_pdf(scenario, outcome, about[0], demo=about[1]))
    if form == "json":
        _print(outcome.record(), form)
    else:
        _print_waterfall(outcome)


def _life(ttl: str | None) -> float | None:
    """Seconds, or None for ever. Raises InputError for anything else."""
    from warehouse.errors import InputError

    if ttl is None or ttl == "forever":
        return None
    try:
        return float(ttl)
    except ValueError:
        raise InputError(f"--ttl {ttl!r} is neither a number of seconds nor forever") from None


def _routing(file: Path, score: str, settings: Context, strong: str | None, weak: str | None) -> dict[str, Any]:
    from analytics.simulators.files_routing import simulate_routing_file
    from analytics.simulators.price_words import Price, price_in_words

    def price_of(words: str) -> Price:
        return price_in_words(words, settings.configuration)

    strong_price, weak_price = (None if words is None else price_of(words) for words in (strong, weak))
    return simulate_routing_file(file, score, strong_price=strong_price, weak_price=weak_price, price_of=price_of)


def _semantic_cache(
    file: Path, threshold: float, normalize: str, ttl: float | None, capacity: int | None
) -> dict[str, Any]:
    from analytics.simulators.files_semantic_cache import simulate_semantic_cache_file

    return simulate_semantic_cache_file(file, threshold, normalize, ttl, capacity)


def _prompt_cache(file: Path, ttl: float | None, min_tokens: int, write: float, read: float) -> dict[str, Any]:
    from analytics.simulators.files_prompt_cache import simulate_prompt_cache_file

    return simulate_prompt_cache_file(file, ttl, min_tokens, write, read)


def _scenario(
    settings: Context, what: str, chosen: tuple[str | None, str | None, list[str], str]
) -> tuple[Scenario, Waterfall, tuple[str, bool]]:
    """The scenario of a file, or, where there is none, of a saved name; its outcome; its period in words, and whether the store is the demo's."""
    from analytics.simulators.build_situation import build_situation
    from analytics.simulators.saved_scenarios import find_scenario, saved_scenarios
    from analytics.simulators.scenario import read_scenario_file
    from warehouse.errors import InputError
    from warehouse.reader import open_current

    warehouse = open_current(settings.store, settings.configuration)
    path = Path(what)
    if path.exists() or what not in {saved.name for saved in saved_scenarios(warehouse.state)}:
        scenario = read_scenario_file(path)
    else:
        scenario = find_scenario(warehouse.state, what).scenario
    if warehouse.is_empty:
        raise InputError(
            "the store holds neither bills nor calls: load some with `percall load`, or see `percall demo`"
        )
    start, end, where, basis = chosen
    filters = chosen_filters(warehouse, start, end, where, basis, "month")
    situation = build_situation(warehouse, filters)
    window = situation.window
    narrowed = "".join(f", {name} {' or '.join(values)}" for name, values in filters.where)
    about = f"{window.first} to {window.last}{narrowed}, {basis} cost"
    return scenario, scenario.run(situation), (about, warehouse.is_demo)


def _print(result: dict[str, Any], form: str) -> None:
    if form == "json":
        sys.stdout.write(json.dumps(result) + "\n")
        return
    for name, value in result.items():
        if name.startswith("cpt") and isinstance(value, float):
            sys.stdout.write(f"{name:22} {value:.2%}\n")
        elif name != "curve":
            sys.stdout.write(f"{name:22} {json.dumps(value) if isinstance(value, dict | list) else value}\n")


def _print_waterfall(outcome: Waterfall) -> None:
    lines = [f"{'USD per month, simulated':34} {'total':>14} {'saves here':>14} {'range':>27} {'alone':>14}"]
    lines.append(f"{'Today':34} {outcome.today:>14,.2f}")
    for step in outcome.steps:
        span = f"{step.added_low:,.2f} to {step.added_high:,.2f}"
        lines.append(f"{step.lever.title:34} {step.total:>14,.2f} {step.added:>14,.2f} {span:>27} {step.alone:>14,.2f}")
    span = f"{outcome.saving_low:,.2f} to {outcome.saving_high:,.2f}"
    lines.append(
        f"{'All levers':34} {outcome.end:>14,.2f} {outcome.saving:>14,.2f} {span:>27} {outcome.alone_sum:>14,.2f}"
    )
    lines.append(f"\n{'By category':34} {'today':>14} {'all levers':>14}")
    end = outcome.end_costs
    lines += [
        f"{name:34} {outcome.base.get(name, 0):>14,.2f} {end.get(name, 0):>14,.2f}" for name in outcome.categories
    ]
    lines += [f"Note: {note}" for note in outcome.notes]
    sys.stdout.write("\n".join(lines) + "\n")

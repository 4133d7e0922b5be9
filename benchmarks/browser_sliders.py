"""From a slider to the painted chart, in a real Chromium: every lever's page against the floor, in one run.

The floor is the smallest page that a server can answer with: a fragment with a slider that changes one text. Each move is one press of an arrow
key on the slider. Painted is the frame after the chart's point has moved; answered, the frame after the headline, the figures or what is
assumed, which come from the server, have changed; of the floor, the frame after its text has changed. Floor and page take turns, so that
whatever else the machine does slows both.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from analytics.simulators.lever_pages import PAGES
from benchmarks.measuring import median
from benchmarks.sliders_store import CHOSEN
from pages._registry import REGISTRY
from tests.browser import chromium
from tests.browser.server import APP, running

PATIENCE_MS = 180_000
ROUND = 10
"""Moves on a page before the other takes its turn."""

FLOOR = """
import streamlit as st

@st.fragment
def live():
    st.text(st.select_slider("Share", [f"{n}%" for n in range(0, 101, 5)], value="50%", key="share"))

live()
"""

_WATCH = """
addEventListener("keydown", () => { window.pressed = performance.now(); }, true);
window.shown = (kind) => {
  if (kind === "text") return document.querySelector("[data-testid=stText]")?.textContent;
  const said = ".st-key-headline h1, [data-testid=stMetricValue], [data-testid=stMain] li";
  if (kind === "answer") return [...document.querySelectorAll(said)].map((each) => each.textContent).join();
  const host = document.querySelector("[class*=_chart] [data-testid=stBidiComponentIsolated]");
  return host?.shadowRoot?.querySelector("svg path.chosen")?.getAttribute("transform");
};
window.watch = (kinds) => {
  window.pressed = 0;
  window.answers = {};
  const start = Object.fromEntries(kinds.map((kind) => [kind, window.shown(kind)]));
  const look = () => {
    for (const kind of kinds) {
      if (window.pressed && !(kind in window.answers) && window.shown(kind) !== start[kind]) {
        window.answers[kind] = null;
        requestAnimationFrame(() => { window.answers[kind] = performance.now() - window.pressed; });
      }
    }
    if (kinds.some((kind) => !window.answers[kind])) requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
};
"""

CHART, ANSWER, TEXT = "chart", "answer", "text"


def measure_browser_sliders(store: Path, moves: int = 40, levers: tuple[str, ...] = ()) -> dict[str, dict[str, Any]]:
    """Moves on every lever's page (or on those of `levers`), and as many on the floor, in turns.

    By lever: title; milliseconds `chart` (slider to painted chart), `answer` (to the server's answer) and `floor`, each with median and p95; `ratio`
    and `p95_ratio`: those of the chart : median of the floor; `answer_ratio`: of the answer's median. Raises RuntimeError when no Chromium is found
    or a page is not drawn again.
    """
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder, _browser() as browser:
        script = Path(folder) / "floor.py"
        script.write_text(FLOOR)
        with running(script, store, Path(folder)) as floor, running(APP, store, Path(folder)) as server:
            at_floor = _open(browser, floor.url)
            for lever, page in PAGES.items():
                if levers and lever not in levers:
                    continue
                path = next(each.url_path for each in REGISTRY if each.script.stem == SCRIPTS[page.key])
                query = urlencode(
                    [("period", "All data")]
                    + [
                        (f"{page.key}_{name}", str(part).lower() if isinstance(part, bool) else part)
                        for name, value in CHOSEN.get(lever, {}).items()
                        for part in (value if isinstance(value, tuple) else (value,))
                    ]
                )
                at_page = _open(browser, f"{server.url}/{path}?{query}", chart=True)
                _moved(at_page, (CHART, ANSWER), 4)
                _moved(at_floor, (TEXT,), 4)
                times: dict[str, list[float]] = {CHART: [], ANSWER: [], TEXT: []}
                while len(times[CHART]) < moves:
                    for where, kinds in ((at_floor, (TEXT,)), (at_page, (CHART, ANSWER))):
                        for kind, values in _moved(where, kinds, ROUND).items():
                            times[kind] += values
                found[lever] = {"title": page.kind.title, **_facts(times)}
                at_page.context.close()
    return found


SCRIPTS = {
    "routing": "routing", "cache": "semantic_cache", "prefix": "prompt_caching", "output": "output_limits", "batch": "batch", "rag": "rag",
    "gpu": "gpus", "own": "own_models", "spot": "spot", "commit": "commitments", "vectors": "vector_database", "off": "switching_off",
    "volume": "volume",
}  # fmt: skip
"""Script of each lever's page by the page's key."""


@contextmanager
def _browser() -> Iterator[Browser]:
    executable = chromium.find()
    if executable is None:
        raise RuntimeError(chromium.NOTICE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(executable), args=list(chromium.FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def _open(browser: Browser, url: str, *, chart: bool = False) -> Page:
    page = browser.new_context(viewport={"width": 1440, "height": 1000}).new_page()
    page.add_init_script(_WATCH)
    page.goto(url)
    page.locator("[data-testid=stSlider]").first.wait_for(timeout=PATIENCE_MS)
    if chart:
        page.locator("[data-testid=stBidiComponentIsolated] svg path.cost").first.wait_for(
            timeout=PATIENCE_MS, state="attached"
        )
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for(timeout=PATIENCE_MS)
    page.wait_for_timeout(2000)
    return page


def _moved(page: Page, kinds: tuple[str, ...], moves: int) -> dict[str, list[float]]:
    """Milliseconds of so many moves, to and fro, until each kind of answer is painted."""
    page.bring_to_front()
    page.locator("[data-testid=stSlider] input[type=range]").first.focus()
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    for place in range(moves):
        page.evaluate("(kinds) => window.watch(kinds)", list(kinds))
        page.keyboard.press("ArrowLeft" if place % 2 == 0 else "ArrowRight")
        try:
            page.wait_for_function(
                "(kinds) => kinds.every((kind) => window.answers[kind])", arg=list(kinds), timeout=30_000
            )
        except PlaywrightTimeout as error:
            raise RuntimeError(
                f"{page.url}: no {' or '.join(kinds)} was drawn again after a move of the slider"
            ) from error
        for kind in kinds:
            found[kind].append(float(page.evaluate("(kind) => window.answers[kind]", kind)))
        # The next move starts when this one has been answered whole.
        page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
        page.wait_for_timeout(120)
    return found


def _facts(times: dict[str, list[float]]) -> dict[str, Any]:
    chart, answer, floor = times[CHART], times[ANSWER], times[TEXT]
    return {
        "chart_ms": median(chart),
        "chart_p95_ms": _p95(chart),
        "answer_ms": median(answer),
        "answer_p95_ms": _p95(answer),
        "floor_ms": median(floor),
        "floor_p95_ms": _p95(floor),
        "ratio": median(chart) / median(floor),
        "p95_ratio": _p95(chart) / median(floor),
        "answer_ratio": median(answer) / median(floor),
        "moves": len(chart),
    }


def _p95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * (len(values) - 1))]

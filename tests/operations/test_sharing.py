"""Shared links over the wire: what opens, what never does, and what an answer carries."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from operations.sharing import SharedLinks
from operations.sharing_limits import MOST_PASSCODES, MOST_REFUSALS, Limiter
from tests.operations.command import percall
from tests.pages import small_store
from warehouse.audit import AuditLog

MAY = ("--from", "2026-05-01", "--to", "2026-05-31")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small store of one month, to copy."""
    path = tmp_path_factory.mktemp("built") / "store"
    small_store.build(path, months=("2026-05",))
    return path


@pytest.fixture
def store(built: Path, tmp_path: Path) -> Path:
    """A small store of its own."""
    shutil.copytree(built, tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture
def links(store: Path) -> SharedLinks:
    """What serves that store's links."""
    return SharedLinks(lambda: store, "costs")


def client(links: SharedLinks, address: str = "192.0.2.1", scheme: str = "http") -> TestClient:
    """A browser without cookies at this address."""
    return TestClient(Starlette(routes=links.routes()), client=(address, 50000), base_url=f"{scheme}://testserver")


def shared(store: Path, view: str = "overview", *options: object) -> tuple[str, str]:
    """Make a link at the command line: its id and its path."""
    answer = percall("share", "create", view, *MAY, *options, store=store)
    assert answer.code == 0, answer.err
    made = answer.json
    return made["id"], "/share/" + made["url"].rpartition("/share/")[2]


def with_passcode(store: Path, monkeypatch: pytest.MonkeyPatch, word: str) -> tuple[str, str]:
    monkeypatch.setattr("typer.prompt", lambda *_args, **_named: word)
    return shared(store, "overview", "--passcode")


def test_a_link_shows_the_report_and_its_tables(store: Path, links: SharedLinks) -> None:
    share_id, path = shared(store)
    answer = client(links).get(path)
    assert answer.status_code == 200
    # 31 days at 200.10 + 44.50 + 26.45.
    assert "May 2026 cost $8,403" in answer.text
    assert client(links).get(f"/costs{path}").text == answer.text
    table = client(links).get(f"{path}/by-category.csv")
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert "LLM API,6203.100000000000" in table.text
    assert "attachment" in table.headers["content-disposition"]
    (line,) = percall("share", "list", store=store).lines
    assert (line["id"], line["state"], line["opens"], line["view"]) == (share_id, "live", 2, "overview")


def test_figures_do_not_move_when_the_data_do(store: Path, links: SharedLinks) -> None:
    share_id, path = shared(store)
    before = client(links).get(path).text
    for _ in range(6):
        small_store.build(store, months=("2026-05",))
    assert client(links).get(path).text == before
    # What the link shows can still be made again from its pinned snapshot.
    assert percall("share", "check", share_id, store=store).code == 0


def test_a_link_that_shows_something_else_than_its_snapshot_is_found_out(store: Path) -> None:
    share_id, _path = shared(store)
    with sqlite3.connect(store / "state.sqlite") as connection:
        connection.execute("UPDATE shares SET report = replace(report, '6203.1', '3203.1')")
    answer = percall("share", "check", share_id, store=store)
    assert answer.code == 1
    assert "shows other figures" in answer.err


HEADERS = {
    "cache-control": "private, no-store",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex, nofollow",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
}


def test_every_answer_is_closed_to_caches_frames_robots_and_referrers(store: Path, links: SharedLinks) -> None:
    _share_id, path = shared(store)
    for asked in (path, f"{path}/by-category.csv", f"{path}x", "/share", "/share/a/b/c"):
        answer = client(links).get(asked)
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS, asked
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in policy
        assert "set-cookie" not in answer.headers


def test_whatever_opens_nothing_gets_the_same_answer(store: Path, links: SharedLinks, tmp_path: Path) -> None:
    (_live, path), (ended, revoked), (late, expired) = shared(store), shared(store), shared(store, "features")
    percall("share", "revoke", ended, store=store)
    with sqlite3.connect(store / "state.sqlite") as connection:
        connection.execute("UPDATE shares SET expires_at = '2026-01-01T00:00:00' WHERE share_id = ?", (late,))
    small_store.build(tmp_path / "other", months=("2026-05",))
    _theirs, foreign = shared(tmp_path / "other")
    other_files = ("features.csv", "../features.csv", "by-category.json", "users.csv", "extra/by-category.csv")
    asked = [f"{path}/{file}" for file in other_files]
    asked += [f"{path[:-1]}{'A' if path[-1] != 'A' else 'B'}", revoked, f"{revoked}/by-category.csv", expired, foreign]
    asked += ["/share/", "/share", "/share/guess"]
    answers = [client(links, f"192.0.2.{at}").get(one) for at, one in enumerate(asked)]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    without_length = [{k: v for k, v in answer.headers.items() if k != "date"} for answer in answers]
    assert all(headers == without_length[0] for headers in without_length)
    assert client(links).post(revoked, data={"passcode": "x"}).content == answers[0].content
    assert client(links).delete(path).status_code in (404, 405)


def test_refusals_are_written_down_without_the_token(store: Path, links: SharedLinks) -> None:
    _share_id, path = shared(store)
    client(links, "192.0.2.9").get(f"{path}x")
    entry = AuditLog(store).entries()[-1]
    assert (entry.action, entry.address, entry.detail) == ("link refused", "192.0.2.9", {"reason": "tampered"})
    for one in AuditLog(store).entries():
        assert path.rpartition("/")[2][:20] not in json.dumps([one.subject, one.detail])


def test_openings_are_counted_and_written_down_once_an_hour(store: Path, links: SharedLinks) -> None:
    share_id, path = shared(store)
    browser = client(links, "192.0.2.5")
    for _ in range(4):
        browser.get(path)
    browser.head(path)
    opened = [entry for entry in AuditLog(store).entries() if entry.action == "link opened"]
    assert [(entry.subject, entry.address) for entry in opened] == [(share_id, "192.0.2.5")]
    assert percall("share", "list", store=store).lines[0]["opens"] == 4


def test_who_guesses_too_often_waits_and_learns_nothing(store: Path, links: SharedLinks) -> None:
    _share_id, path = shared(store)
    guesser = client(links, "198.51.100.7")
    codes = [guesser.get(f"/share/guess{number}").status_code for number in range(MOST_REFUSALS + 5)]
    assert codes == [404] * MOST_REFUSALS + [429] * 5
    right, wrong = guesser.get(path), guesser.get("/share/guess")
    assert right.status_code == wrong.status_code == 429
    assert right.content == wrong.content
    assert int(right.headers["retry-after"]) > 0
    # Nobody else is kept waiting, and the log holds no more than was refused.
    assert client(links, "198.51.100.8").get(path).status_code == 200
    assert sum(entry.action == "link refused" for entry in AuditLog(store).entries()) == MOST_REFUSALS


def test_a_passcode_stands_before_the_page_and_its_files(
    store: Path, links: SharedLinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    _share_id, path = with_passcode(store, monkeypatch, "open sesame")
    browser = client(links, scheme="https")
    for asked in (path, f"{path}/by-category.csv"):
        closed = browser.get(asked)
        assert "asks for a passcode" in closed.text
        assert "8,403" not in closed.text
        assert "6203" not in closed.text
    assert browser.post(path, data={"passcode": "open"}).status_code == 403
    given = browser.post(path, data={"passcode": "open sesame"}, follow_redirects=False)
    assert (given.status_code, given.headers["location"]) == (303, path)
    cookie = given.headers["set-cookie"]
    for part in ("HttpOnly", "Secure", "SameSite=strict", f"Path={path}", "Max-Age=3600"):
        assert part in cookie
    assert "8,403" in browser.get(path).text
    assert "6203" in browser.get(f"{path}/by-category.csv").text
    # Another browser has given nothing, and another link is another door.
    assert "8,403" not in client(links, scheme="https").get(path).text
    _other_id, other = with_passcode(store, monkeypatch, "open sesame")
    stolen = dict(browser.cookies.items())
    thief = client(links, scheme="https")
    thief.cookies.update(stolen)
    assert "8,403" not in thief.get(other).text


def test_passcodes_cannot_be_tried_for_long(store: Path, links: SharedLinks, monkeypatch: pytest.MonkeyPatch) -> None:
    _share_id, path = with_passcode(store, monkeypatch, "open sesame")
    guesser = client(links, "203.0.113.4")
    codes = [
        guesser.post(path, data={"passcode": f"guess {number}"}).status_code for number in range(MOST_PASSCODES + 2)
    ]
    assert codes == [403] * MOST_PASSCODES + [429] * 2
    # Even the right one has to wait now; from another address it does not.
    assert guesser.post(path, data={"passcode": "open sesame"}, follow_redirects=False).status_code == 429
    other = client(links, "203.0.113.5")
    assert other.post(path, data={"passcode": "open sesame"}, follow_redirects=False).status_code == 303


def test_a_form_that_is_too_long_is_not_read(store: Path, links: SharedLinks, monkeypatch: pytest.MonkeyPatch) -> None:
    _share_id, path = with_passcode(store, monkeypatch, "open sesame")
    assert client(links).post(path, content=b"passcode=" + b"x" * 100_000).status_code == 404


def test_what_was_refused_is_forgotten_after_the_window() -> None:
    now = [0.0]
    limiter = Limiter(window=10, clock=lambda: now[0])
    assert [limiter.note("a"), limiter.note("a"), limiter.note("b")] == [1, 2, 1]
    now[0] = 9
    assert (limiter.count("a"), limiter.wait_seconds("a")) == (2, 2)
    now[0] = 10.5
    assert limiter.count("a") == 0
    assert limiter.note("a") == 1


def test_many_addresses_do_not_fill_the_memory() -> None:
    limiter = Limiter()
    for number in range(20_000):
        limiter.note(f"address {number}")
    assert len(limiter._times) <= 10_000


def test_robots_are_told_to_stay_away(links: SharedLinks) -> None:
    assert client(links).get("/robots.txt").text == "User-agent: *\nDisallow: /\n"


def test_a_report_is_written_as_a_file_that_needs_nothing(store: Path, tmp_path: Path) -> None:
    answer = percall("share", "file", "overview", *MAY, "-o", tmp_path / "report.html", store=store)
    assert (answer.code, answer.out) == (0, b"")
    text = (tmp_path / "report.html").read_text()
    assert "May 2026 cost $8,403" in text
    assert 'http-equiv="Content-Security-Policy"' in text
    assert "http://" not in text.replace("http://www.w3.org/", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("create", "nonsense"), "choose overview"),
        (("create", "overview", "--days", "900"), "1 to 365 days"),
        (("create", "overview", "--from", "2020-01-01", "--to", "2020-01-31"), "nothing to share"),
        (("revoke", "s0"), "no shared link 's0'"),
        (("check", "s0"), "no shared link 's0'"),
    ],
)
def test_what_cannot_be_shared_is_said(store: Path, words: tuple[str, ...], said: str) -> None:
    answer = percall("share", *words, store=store)
    assert (answer.code, answer.out) == (2, b"")
    assert said in answer.err

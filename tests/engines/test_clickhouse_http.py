"""Over HTTP, as with a server: publish, read, and errors in words."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import ibis
import pytest

from analytics.filters import Filters
from analytics.views import VIEWS
from tests.engines.clickhouse_server import PASSWORD, USER, BreaksOff, serving
from tests.engines.small import differences
from tests.engines.test_publishing import two_months
from warehouse.configuration import Configuration
from warehouse.engines import clickhouse_connections
from warehouse.engines.publishing import publish
from warehouse.engines.reading import connected
from warehouse.engines.settings import EngineSettings, engine_settings
from warehouse.errors import InputError, StoreError
from warehouse.reader import open_current

SECRET = "TEST_CLICKHOUSE_PASSWORD"
MONTHS = Filters(date(2026, 4, 1), date(2026, 5, 31), grain="month")


@pytest.fixture
def address(on_clickhouse: Configuration) -> Iterator[str]:
    """Where the server answers."""
    assert on_clickhouse
    with serving() as url:
        yield url


def engine(url: str, **options: str) -> Configuration:
    """A configuration as an owner writes it."""
    entries = {"kind": "clickhouse", "url": url, "user": USER, "password_env": SECRET, "database": "over_http"}
    return Configuration(engine={**entries, "options": options})


def test_publishing_and_reading(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET, PASSWORD)
    store = two_months(tmp_path / "store")
    publish(store, engine(address))
    there, here = open_current(tmp_path / "nowhere", engine(address)), open_current(store, Configuration())
    for view in ("costs", "charges", "loads"):
        assert differences(VIEWS[view].answer(here, MONTHS), VIEWS[view].answer(there, MONTHS)) == []


def test_a_wrong_password_is_said(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET, "coffee grounds")
    with pytest.raises(StoreError, match="Authentication failed"):
        open_current(tmp_path, engine(address))
    monkeypatch.delenv(SECRET)
    with pytest.raises(InputError, match=f"{SECRET}, which is not set"):
        open_current(tmp_path, engine(address))


def test_settings_reach_the_server(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that it does not know is refused in its words; one that compresses answers changes none."""
    monkeypatch.setenv(SECRET, PASSWORD)
    publish(two_months(tmp_path / "store"), engine(address))
    plain, compressed = (
        open_current(tmp_path, configured)
        for configured in (engine(address), engine(address, enable_http_compression="1"))
    )
    for view in ("costs", "charges"):
        assert differences(VIEWS[view].answer(plain, MONTHS), VIEWS[view].answer(compressed, MONTHS)) == []
    with pytest.raises(StoreError, match=r"refused: .*no_such_setting"):
        open_current(tmp_path, engine(address, no_such_setting="1"))


def test_several_ask_at_once(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET, PASSWORD)
    publish(two_months(tmp_path / "store"), engine(address))
    there = open_current(tmp_path, engine(address))
    expected = VIEWS["charges"].answer(there, MONTHS)
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: VIEWS["charges"].answer(there, MONTHS), range(12)))
    assert [differences(expected, answer) for answer in answers] == [[]] * 12


def test_a_question_that_the_server_cannot_answer(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRET, PASSWORD)
    publish(two_months(tmp_path / "store"), engine(address))
    there = open_current(tmp_path, engine(address))
    missing = ibis.table({"a": "int64"}, name="no_such_table")
    with pytest.raises(StoreError, match=f"ClickHouse at {address} refused: .*no_such_table"):
        there.arrow(missing)


@pytest.mark.parametrize(
    ("breaks_off", "sentence"),
    [
        ("in words", r"broke off its answer: Code: 395\. .*no more of this"),
        ("in words with a tag", r"broke off its answer: Code: 395\. .*no more of this"),
        ("without a word", r"broke off its answer, and does not say why"),
    ],
)
def test_an_error_in_the_middle_of_an_answer(
    breaks_off: BreaksOff, sentence: str, on_clickhouse: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that is not whole is taken for an answer, and what is whole still is."""
    assert on_clickhouse
    monkeypatch.setenv(SECRET, PASSWORD)
    with serving(breaks_off=breaks_off) as url:
        publish(two_months(tmp_path / "store"), engine(url))
        there = open_current(tmp_path, engine(url))
        assert len(VIEWS["charges"].answer(there, MONTHS)) == 1
        with pytest.raises(StoreError, match=f"{url} {sentence}"):
            connected(settings_of(url)).arrow("SELECT throwIf(number = 9, 'no more of this') FROM numbers(10)")


def test_an_error_is_known_before_the_answer_where_the_server_waits(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRET, PASSWORD)
    with pytest.raises(StoreError, match=rf"{address} refused: Code: 395\. .*no more of this"):
        connected(settings_of(address)).arrow("SELECT throwIf(number = 9, 'no more of this') FROM numbers(10)")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 that is its own authority, with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + made.public_bytes(pem))
    return path


def test_over_tls(
    certificate: Path, on_clickhouse: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused while nobody vouches for the server, answered as soon as its authority is named."""
    assert on_clickhouse
    monkeypatch.setenv(SECRET, PASSWORD)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with serving(certificate=certificate) as url:
        with pytest.raises(StoreError, match=f"{url} shows a certificate that nobody here vouches for .*SSL_CERT_FILE"):
            connected(settings_of(url))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert isinstance(connected(settings_of(url)).publications(), list)


def test_tls_with_a_server_that_does_not_speak_it(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET, PASSWORD)
    with pytest.raises(StoreError, match=r"does not speak TLS on this port .*8443 by default"):
        connected(settings_of(address.replace("http:", "https:")))


def test_a_server_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the question and never answers."""
    monkeypatch.setenv(SECRET, PASSWORD)
    monkeypatch.setattr(clickhouse_connections, "ANSWERS_WITHIN", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(StoreError, match=f"{url} did not answer within .*max_execution_time"):
            connected(settings_of(url))


def settings_of(url: str) -> EngineSettings:
    """The engine at an address."""
    found = engine_settings(engine(url))
    assert found
    return found

"""Sections [[source]]: what is wrong is said in a sentence, and one broken section leaves the others alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.live.registry import MODULES, kinds, live_source
from connectors.live.secrets import Secrets
from connectors.live.settings import read_sources
from warehouse.configuration import read_configuration
from warehouse.errors import InputError

GOOD = '[[source]]\nname = "aws"\nkind = "aws-export"\nbucket = "b"\nexport = "e"\n'


def read(tmp_path: Path, text: str):
    path = tmp_path / "percall.toml"
    path.write_text(text)
    return read_sources(read_configuration(path), Secrets({}, files=()))


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ('kind = "aws-export"', "needs a name"),
        ('name = "a\\u0007"\nkind = "aws-export"', "needs a name"),
        ('name = "x"', "does not say its kind"),
        ('name = "x"\nkind = "aws-exprot"', "unknown kind of source 'aws-exprot'; known are"),
        ('name = "x"\nkind = "aws-export"\nbukcet = "b"', "no option 'bukcet'; did you mean 'bucket'"),
        ('name = "x"\nkind = "aws-export"\nbucket = 3\nexport = "e"', "must be a text, not 3"),
        ('name = "x"\nkind = "aws-export"\nexport = "e"', "lacks 'bucket'"),
        ('name = "x"\nkind = "aws-export"\nenabled = "no"', "enabled = true or enabled = false"),
        ('name = "aws"\nkind = "aws-export"\nbucket = "b"\nexport = "e"', "two sources are called 'aws'"),
    ],
    ids=["no-name", "control-sign", "no-kind", "unknown-kind", "unknown-option", "form", "missing", "enabled", "twice"],
)
def test_a_section_that_cannot_be_used(tmp_path: Path, section: str, words: str) -> None:
    usable, broken = read(tmp_path, GOOD + "[[source]]\n" + section + "\n")
    assert [source.name for source in usable] == ["aws"]
    assert len(broken) == 1
    assert words in broken[0].message
    assert "percall.toml" in broken[0].message


def test_a_secret_in_the_place_of_its_name_is_refused_and_not_repeated(tmp_path: Path) -> None:
    secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCY"
    _, broken = read(tmp_path, GOOD + f'secret_access_key_env = "{secret}"\n')
    assert "never the secret itself" in broken[0].message
    assert secret not in broken[0].message


def test_defaults_and_disabled_sources(tmp_path: Path) -> None:
    usable, broken = read(tmp_path, GOOD + GOOD.replace('"aws"', '"old"') + "enabled = false\n")
    assert not broken
    assert [source.name for source in usable] == ["aws"]
    assert usable[0].options["bucket"] == "b"
    assert usable[0].options["endpoint_url"] is None


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_offers_the_whole_contract(kind: str) -> None:
    source = live_source(kind)
    assert kind == source.KIND
    assert source.TITLE
    names = [option.name for option in source.OPTIONS]
    assert len(names) == len(set(names))
    assert not {"name", "kind", "enabled"} & set(names)
    assert all(option.meaning and option.example for option in source.OPTIONS)
    assert all(callable(getattr(source, name)) for name in ("permissions", "check", "plan", "pull"))


def test_each_kind_has_its_own_module() -> None:
    assert len(set(MODULES.values())) == len(MODULES)
    with pytest.raises(InputError, match="unknown kind"):
        live_source("fax")


@pytest.mark.parametrize("address", ["http://ann:hunter2@prometheus:9090", "https://:hunter2@prometheus/path?a=b@c"])
def test_a_password_in_an_address_is_refused_and_not_repeated(tmp_path: Path, address: str) -> None:
    usable, (broken,) = read(tmp_path, f'[[source]]\nname = "gpus"\nkind = "prometheus"\nurl = "{address}"')
    assert not usable
    assert "column url" in broken.message
    assert "a password does not belong into this file" in broken.message
    assert "hunter2" not in broken.message


@pytest.mark.parametrize("address", ["http://prometheus:9090", "http://ann@prometheus:9090/x:y@z"])
def test_an_address_without_a_password_is_taken(tmp_path: Path, address: str) -> None:
    (source,), broken = read(tmp_path, f'[[source]]\nname = "gpus"\nkind = "prometheus"\nurl = "{address}"')
    assert not broken
    assert source.options["url"] == address

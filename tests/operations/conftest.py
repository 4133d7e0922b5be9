"""Receivers of messages that commands send, and a store that holds data already."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.operations.former_data import former
from tests.operations.receivers import MailServer, Webhook, mail_server, webhook

__all__ = ["former", "hook", "mail"]


@pytest.fixture
def hook() -> Iterator[Webhook]:
    """A webhook that remembers what it took."""
    with webhook() as state:
        yield state


@pytest.fixture
def mail() -> Iterator[MailServer]:
    """A mail server that remembers what it took."""
    with mail_server() as state:
        yield state

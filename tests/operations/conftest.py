"""Receivers of messages that commands send."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.operations.receivers import MailServer, Webhook, mail_server, webhook


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

"""What every live source offers: how it is set up, tested, planned and pulled.

A live source does not load: it writes files of a kind that `connectors.detection` knows into a folder, and says up to where it has read. The sync
loads those files and only then remembers the position, so that being killed at any moment means at worst to read the same again, which
changes nothing: calls are merged by id, and the parts of a billing period replace each other.

A section of `percall.toml` names one source:

    [[source]]
    name = "langfuse-prod"       # how people and the store call it
    kind = "langfuse"            # KIND of the module that pulls it
    host = "https://langfuse.example.com"
    public_key_env = "LANGFUSE_PUBLIC_KEY"   # secrets are named, never written down here
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Protocol

from connectors.live.secrets import Secrets
from warehouse.errors import SourceError

Position = Mapping[str, Any]
"""Up to where a source was read; JSON values only, empty before the first sync."""

Progress = Callable[[str, float | None], None]
"""Told what is being done, and the share of it that is done (None: not known)."""


Form = Literal["text", "integer", "number", "boolean", "texts", "table"]
"""What the value of an option is in TOML; `texts` is a list of texts, `table` an inline table or a section of its own."""


@dataclass(frozen=True)
class Option:
    """A setting of a source: what it is for, and how it is written. `secret`: it names an environment variable (or a Streamlit secret).

    `choices`: the only texts that it may be. `example` stands in documents and in the sentence about a wrong value, written as in TOML.
    """

    name: str
    meaning: str
    example: str
    required: bool = False
    default: object = None
    secret: bool = False
    form: Form = "text"
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Patience:
    """How long a disturbance of a service is sat out.

    One question is sent at most `attempts` times: with pauses of 1, 2, 4, 8 and 16 s the six of a sync outlast half a minute. A service that
    asks to wait longer than `longest_wait` seconds is left alone until the next sync.
    """

    attempts: int = 6
    longest_wait: float = 120.0


@dataclass(frozen=True)
class SourceSettings:
    """One section [[source]], checked: `options` holds a value for every option of its kind, defaults included.

    `patience`: that of a sync, unless somebody waits for the answer (`percall doctor`).
    """

    name: str
    kind: str
    options: Mapping[str, Any]
    secrets: Secrets
    patience: Patience = Patience()

    def secret(self, option: str) -> str | None:
        """The value of the secret that an option names; None when the option is not set.

        Raises InputError when the variable that it names is empty, and says which.
        """
        variable = self.options.get(option)
        return None if variable is None else self.secrets.value(str(variable), self.name)


@dataclass(frozen=True)
class Window:
    """What a sync was asked for: everything since `since` (UTC; None: from where the last one ended) as of `now` (UTC)."""

    now: datetime
    since: datetime | None = None


@dataclass(frozen=True)
class Planned:
    """One thing that a sync would read. Sizes and costs that are not known beforehand are None."""

    what: str
    partition: str | None = None
    requests: int | None = None
    bytes: int | None = None
    cost_usd: Decimal | None = None
    reason: str = ""


@dataclass(frozen=True)
class Finding:
    """One thing that `percall doctor` found. A problem says in `remedy` what to grant or change."""

    level: Literal["fine", "warning", "problem"]
    subject: str
    message: str
    remedy: str = ""


def problem(subject: str, error: Exception, remedy: str) -> Finding:
    """That a source refused, as `error` says it. `remedy` is told unless the source is out of reach or disturbed: then no right is missing."""
    if isinstance(error, SourceError) and error.retry:
        remedy = "see whether it runs and whether this machine reaches it, or wait and try again"
    return Finding("problem", subject, str(error), remedy)


@dataclass(frozen=True)
class Batch:
    """Files that were fetched and are to be loaded together, and the position once they are.

    `kind` is that of the files (None: by content). `delivery`: the files replace what was loaded under the same name before, unless
    that was made later (`delivered_at`, UTC). `on_overlap`
    as in `warehouse.loading.Loading`; with "pieces" the files are named by `connectors.live.pieces`. A batch without files only moves the
    position. `what` names it for people, `notes` are sentences that they should read.

    `together`: the source does not rely on this batch being loaded before it is asked for the next one; several such batches may be loaded as
    one snapshot, and their positions are saved with the last of them.
    """

    paths: Sequence[Path]
    position: Position
    kind: str | None = None
    delivery: str | None = None
    delivered_at: datetime | None = None
    on_overlap: Literal["ask", "replace", "add", "pieces"] = "ask"
    what: str = ""
    notes: Sequence[str] = field(default=())
    together: bool = False


class LiveSource(Protocol):
    """One module per kind of source implements this as module-level names; `connectors.live.registry` lists the modules."""

    KIND: str
    TITLE: str
    OPTIONS: Sequence[Option]

    def permissions(self, settings: SourceSettings) -> str:
        """The least that must be granted, ready to paste (an IAM policy, roles, a key's scope)."""

    def check(self, settings: SourceSettings) -> Iterable[Finding]:
        """Tests credentials, permissions and schema by asking for as little as possible. Never raises for what the service answers."""

    def plan(self, settings: SourceSettings, position: Position, window: Window) -> Iterable[Planned]:
        """What `pull` would read now, and what that would cost, without reading it. Raises SourceError."""

    def pull(
        self, settings: SourceSettings, position: Position, window: Window, folder: Path, progress: Progress
    ) -> Iterator[Batch]:
        """Fetches what is new into files below `folder`. Each batch is loaded before the next is asked for (unless it is `together`); its files
        are taken away then.

        Raises SourceError when the source cannot be read; the batches before it stay loaded. `progress` may raise to stop the sync: let it.
        """

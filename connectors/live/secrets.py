"""Secrets: read from the environment or from Streamlit's secrets file, and kept out of everything that is written."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from warehouse.errors import InputError

STREAMLIT_SECRETS = (Path(".streamlit/secrets.toml"), Path.home() / ".streamlit" / "secrets.toml")
_SHORTEST = 4
"""Shorter values are not masked in texts: they would mask half of every sentence."""


class Secrets:
    """The secrets of this process. Remembers which were used, so that `masked` can take them out of a text."""

    def __init__(
        self, environment: Mapping[str, str] | None = None, files: tuple[Path, ...] = STREAMLIT_SECRETS
    ) -> None:
        self._environment = os.environ if environment is None else environment
        self._files = files
        self._used: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Secrets({len(self._used)} used)"

    def value(self, variable: str, source: str) -> str:
        """The value of a variable. Raises InputError when it is set nowhere."""
        found = self._environment.get(variable) or self._in_files(variable)
        if not found:
            raise InputError(
                f"the secret {variable} of source {source!r} is not set: put it into the environment, or into .streamlit/secrets.toml"
            )
        self._used[variable] = found
        return found

    def hide(self, name: str, value: str) -> None:
        """Mask a further value, which a service gave for a while, as `<name>`."""
        self._used[name] = value

    def masked(self, text: str) -> str:
        """The text without the value of any secret that was read."""
        for variable, value in sorted(self._used.items(), key=lambda item: -len(item[1])):
            if len(value) >= _SHORTEST:
                text = text.replace(value, f"<{variable}>")
        return text

    def line(self, text: str, most: int = 300) -> str:
        """What somebody else said, as one line of at most `most` characters. Secrets are taken out first: the half of one that is cut would stay."""
        return " ".join(self.masked(text).split())[:most]

    def _in_files(self, variable: str) -> str | None:
        for path in self._files:
            if not path.is_file():
                continue
            try:
                held: Any = tomllib.loads(path.read_text(encoding="utf-8")).get(variable)
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
                raise InputError("not valid TOML, so no secret can be read from it", file=str(path)) from error
            if isinstance(held, str) and held:
                return held
        return None

"""From a file that was offered to staged rows, or to a refusal with the reason: files are read by themselves, or small ones of a kind together."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import duckdb

from connectors.detection import connector_for, detect_kind
from connectors.extraction import Extraction
from connectors.files import SourceFile, checked, glance
from connectors.row_table import drop_row_tables
from connectors.small_files import SmallFiles
from warehouse.configuration import Configuration
from warehouse.errors import InputError, StoreError
from warehouse.loading import Loading

if TYPE_CHECKING:
    from connectors.intake import Offered

_MACHINE = ("No space left", "Disk quota exceeded", "File too large", "Out of Memory", "Too many open files")


@dataclass(frozen=True)
class _Found:
    """A file that was looked at, with its kind."""

    offered: Offered
    digest: str
    kind: str
    file: SourceFile


@dataclass
class FileReading:
    """Reads the files of one load in their order. Small files may wait for the next: `finish` reads the last of them.

    What `stage` and `finish` answer with is what the person who loads should read.
    """

    loading: Loading
    configuration: Configuration
    _waiting: list[_Found] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._small = SmallFiles(self.loading.connection, self.loading.store.scratch, self.configuration)

    def stage(self, offered: Offered, digest: str) -> list[str]:
        """Read one file, or refuse it."""
        path, kind = offered.path, offered.kind
        self.loading.make_ready()
        try:
            file = glance(path, self.loading.store.scratch, digest)
            found = _Found(offered, digest, said_kind(kind, file) if kind else detect_kind(file), file)
            if file.unchecked and not getattr(connector_for(found.kind), "READS_UNCHECKED", False):
                file = checked(file)
                found = _Found(offered, digest, said_kind(kind, file) if kind else detect_kind(file), file)
        except (InputError, OSError) as error:
            warnings = self.finish()
            self.loading.refuse(path.name, kind or "unknown", digest, reason_of(error, path.name))
            return warnings
        connector = connector_for(found.kind)
        warnings = [] if self._small.takes(connector, file) else self.finish()
        if self._small.takes(connector, file):
            self._small.add(connector, file)
            self._waiting.append(found)
            return warnings
        return warnings + self._alone(found)

    def finish(self) -> list[str]:
        """Read the small files that wait."""
        waiting, self._waiting = self._waiting, []
        try:
            self._small.read(lambda place, extraction: self._hand_over_or_refuse(waiting[place], extraction))
        except (duckdb.Error, ValueError, OSError) as error:
            raise_of_the_machine(error)
            return [warning for found in waiting for warning in self._alone(found)]
        finally:
            drop_row_tables(self.loading.connection)
        return []

    def _hand_over(self, found: _Found, extraction: Extraction) -> None:
        offered = found.offered
        if offered.delivery is not None and extraction.delivery is None:
            extraction = replace(extraction, delivery=offered.delivery, delivered_at=offered.delivered_at)
        self.loading.add(extraction)

    def _hand_over_or_refuse(self, found: _Found, extraction: Extraction) -> None:
        try:
            self._hand_over(found, extraction)
        except InputError as error:
            raise_of_the_machine(error.__cause__)
            self.loading.refuse(found.offered.path.name, found.kind, found.digest, str(error))

    def _alone(self, found: _Found) -> list[str]:
        name, warnings = found.offered.path.name, dict[str, None]()
        try:
            connector = connector_for(found.kind)
            for extraction in connector.extract(self.loading.connection, found.file, self.configuration):
                self._hand_over(found, extraction)
                warnings.update(dict.fromkeys(f"{name}: {warning}" for warning in extraction.warnings))
        except InputError as error:
            raise_of_the_machine(error.__cause__)
            self.loading.refuse(name, found.kind, found.digest, str(error))
        except (duckdb.Error, ValueError, OSError, RecursionError) as error:
            raise_of_the_machine(error)
            why = f"{name}: cannot be read as {found.kind}: {str(error).splitlines()[0]}"
            self.loading.refuse(name, found.kind, found.digest, why)
        finally:
            drop_row_tables(self.loading.connection)
        return list(warnings)


def raise_of_the_machine(error: BaseException | None) -> None:
    """Raises StoreError when it is not the file that is at fault but the machine: the file must not be refused for it."""
    found = next((words for words in _MACHINE if words in str(error)), None) if error else None
    if found:
        raise StoreError(
            f"this machine ran short ({found.lower()}); nothing was stored. Give it room, then load again"
        ) from error


def said_kind(kind: str, file: SourceFile) -> str:
    """The kind that a person named. Raises InputError when the file is plainly of another one."""
    if connector_for(kind).detect(file):
        return kind
    try:
        other = detect_kind(file)
    except InputError:
        return kind
    raise InputError(f"this is a file of kind {other}, not {kind}; load it without naming a kind", file=file.name)


def shown_name(name: str) -> str:
    """A file name as text that can be kept: bytes that are not UTF-8 as escapes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def reason_of(error: InputError | OSError, name: str) -> str:
    """Why a file cannot be used, as a sentence."""
    if isinstance(error, InputError):
        return str(error)
    return f"{shown_name(name)}: cannot be read: {error.strerror}; look at its permissions, or fetch it again"

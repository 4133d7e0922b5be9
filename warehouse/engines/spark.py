"""Spark as an engine: a standalone cluster, Spark Connect (Databricks, EMR, Dataproc) or this machine.

    <location>/<table>/<part>/part.parquet
    <location>/publications/<publication>.json
    <location>/current                          name of the newest publication: replacing it is the atomic step
    <location>/kept/<publication>/<name>.json   an answer that readers keep beside a publication, and the folder that it lies in

The publisher writes Parquet itself, without Spark; readers look at the files of one publication. `location` is a folder of a file system that every
worker mounts, or an address that pyarrow and Spark both know (s3://, gs://, hdfs://).
"""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from warehouse.engines.engine import Publication
from warehouse.engines.settings import EngineSettings
from warehouse.engines.spark_dialect import column_type, compiled
from warehouse.engines.spark_session import SparkSessions
from warehouse.errors import StoreError

_ANNOUNCED, _KEPT = "publications", "kept"


class Spark:
    """The published tables on Spark. See `warehouse.engines.engine.Engine` for what each method does. Publishing needs no session."""

    def __init__(self, settings: EngineSettings) -> None:
        location = settings.location if "://" in settings.location else str(Path(settings.location).resolve())
        self._address = location.rstrip("/")
        self._files: fs.FileSystem = fs.LocalFileSystem()
        self._root: str = self._address
        try:
            if "://" in location:
                self._files, self._root = fs.FileSystem.from_uri(location)
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"the folder {settings.location} of [engine] cannot be opened: {error}") from error
        self._sessions = SparkSessions(settings.url, settings.options)
        self._opened: set[str] = set()
        self._lock = threading.RLock()

    def sql(self, operation: Any) -> str:
        """SQL of an Ibis operation."""
        return compiled(operation)

    def arrow(self, sql: str) -> pa.Table:
        """The answer of a question."""
        return self._sessions.ask(lambda session: session.sql(sql).toArrow())

    def relation(self, publication: Publication, table: str) -> str:
        """Name of the session's view of a table."""
        return f"{table}__{publication.publication_id}"

    def open(self, publication: Publication, schemas: Mapping[str, ibis.Schema]) -> None:
        """Make views of the publication's files in this session."""
        with self._lock:
            if publication.publication_id in self._opened:
                return
            for table, parts in publication.parts.items():
                view, schema = self.relation(publication, table), schemas[table]
                self._sessions.show(view, partial(self._view, view=view, table=table, parts=parts, schema=schema))
            self._opened.add(publication.publication_id)

    def _view(self, session: Any, *, view: str, table: str, parts: tuple[str, ...], schema: ibis.Schema) -> None:
        # Told its columns, Spark need not start a job per table to read them out of the files.
        columns = ", ".join(f"`{name}` {column_type(dtype)}" for name, dtype in schema.items())
        if parts:
            files = (f"{self._address_for_spark}/{table}/{part}" for part in parts)
            frame = session.read.schema(columns).parquet(*files)
        else:
            # Not of an empty list, to which workers would start Python.
            nothing = (f"CAST(NULL AS {column_type(dtype)}) AS `{name}`" for name, dtype in schema.items())
            frame = session.sql(f"SELECT {', '.join(nothing)} WHERE false")
        frame.createOrReplaceTempView(view)

    @property
    def _address_for_spark(self) -> str:
        if "://" not in self._address:
            return Path(self._address).as_uri()
        return self._address.replace("s3://", "s3a://", 1)

    def keep(self, publication: Publication, name: str, sql: str) -> str:
        """Keep an answer as Parquet beside the publication, for all readers: the ledger costs more than all that is asked of it.

        The note that says where it lies is written last, so that nobody reads a part of it; of two who write at once the last one counts.
        """
        digest = hashlib.sha256(sql.encode()).hexdigest()[:10]
        kept, place = self.relation(publication, f"{name}_{digest}"), f"{_KEPT}/{publication.publication_id}"
        note = f"{self._root}/{place}/{name}_{digest}.json"
        place = f"{place}/{name}_{digest}"
        self._sessions.show(kept, partial(self._keep, kept=kept, place=place, note=note, sql=sql))
        return kept

    def _keep(self, session: Any, *, kept: str, place: str, note: str, sql: str) -> None:
        from pyspark.sql.types import StructType  # noqa: PLC0415 - installed by few

        known = self._read(note)
        if known is None:
            answer = session.sql(sql)
            known = json.dumps({"folder": f"{place}_{uuid.uuid4().hex[:8]}", "schema": answer.schema.jsonValue()})
            answer.write.parquet(f"{self._address_for_spark}/{json.loads(known)['folder']}")
            self._write(note, known)
        found = json.loads(known)
        frame = session.read.schema(StructType.fromJson(found["schema"]))
        frame.parquet(f"{self._address_for_spark}/{found['folder']}").createOrReplaceTempView(kept)

    def publications(self) -> list[Publication]:
        """What is announced, the newest first."""
        newest = self._read(f"{self._root}/current")
        if newest is None:
            return []
        found = [self._read(info.path) for info in self._listed(_ANNOUNCED)]
        known = [Publication.from_json(text) for text in found if text]
        known.sort(key=lambda one: (one.publication_id == newest.strip(), one.number), reverse=True)
        return known if known and known[0].publication_id == newest.strip() else []

    def write_part(self, table: str, part: str, schema: ibis.Schema, parquet: Path) -> None:  # noqa: ARG002
        """Copy one part's file to its place. A rest of an interrupted attempt is replaced."""
        folder = f"{self._root}/{table}/{part}"
        try:
            self._files.create_dir(folder, recursive=True)
            fs.copy_files(
                str(parquet),
                f"{folder}/part.parquet",
                source_filesystem=fs.LocalFileSystem(),
                destination_filesystem=self._files,
            )
            stored = pq.read_metadata(f"{folder}/part.parquet", filesystem=self._files).num_rows
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"{folder} cannot be written: {error}") from error
        if stored != pq.read_metadata(parquet).num_rows:
            raise StoreError(f"{folder} holds {stored:,} rows, not those of {table} {part}: publish again")

    def announce(self, publication: Publication, schemas: Mapping[str, ibis.Schema]) -> None:  # noqa: ARG002
        """Write what belongs to the publication, then replace the pointer in one step."""
        self._write(f"{self._root}/{_ANNOUNCED}/{publication.publication_id}.json", publication.to_json())
        self._write(f"{self._root}/current", publication.publication_id)

    def remove_all_but(self, publications: Iterable[Publication]) -> None:
        """Remove other publications and the parts that no remaining one names."""
        kept = list(publications)
        ids = {one.publication_id for one in kept}
        for info in self._listed(_ANNOUNCED):
            if info.base_name.removesuffix(".json") not in ids:
                self._files.delete_file(info.path)
        for info in self._listed(_KEPT):
            if info.base_name not in ids:
                self._files.delete_dir(info.path)
        for table in next(iter(kept)).parts:
            named = {part for one in kept for part in one.parts.get(table, ())}
            for info in self._listed(table):
                if info.base_name not in named:
                    self._files.delete_dir(info.path)

    def _listed(self, folder: str) -> list[Any]:
        return list(self._files.get_file_info(fs.FileSelector(f"{self._root}/{folder}", allow_not_found=True)))

    def _read(self, path: str) -> str | None:
        try:
            with self._files.open_input_stream(path) as stream:
                return bytes(stream.read()).decode()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error}") from error

    def _write(self, path: str, text: str) -> None:
        # An object store shows a new object whole or not at all; a folder needs the rename.
        local = isinstance(self._files, fs.LocalFileSystem)
        target = f"{path}.new" if local else path
        try:
            self._files.create_dir(path.rpartition("/")[0], recursive=True)
            with self._files.open_output_stream(target) as stream:
                stream.write(text.encode())
            if local:
                Path(target).replace(path)
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error}") from error

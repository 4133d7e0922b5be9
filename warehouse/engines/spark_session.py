"""The session with Spark: begun when something is first asked, and begun anew after it was lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from subprocess import TimeoutExpired
from typing import Any, TypeVar

from warehouse.engines.spark_connect import CONNECT, connected, is_away
from warehouse.engines.spark_executors import WAITS, WAITS_FOR, Watch
from warehouse.errors import StoreError

SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}
"""Times are UTC without a zone, and products of decimals keep their digits."""

STARTED_WITH = {
    "spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.log.level": "ERROR", WAITS: WAITS_FOR,
}  # fmt: skip
_LONGEST_MESSAGE = 600
_S3_CONNECTOR = "org.apache.hadoop.fs.s3a.S3AFileSystem not found"
_ENDS_WITHIN = 2.0
"""Seconds that a dying Java is waited for."""

Answer = TypeVar("Answer")


class SparkSessions:
    """One session at a time, for all threads. What is shown in it (views) is shown again in the next one."""

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        self._url, self._options = url, options
        # What follows an address of Spark Connect may hold a token.
        self._where = url.partition("/;")[0]
        self._session: Any = None
        self._shown: dict[str, Callable[[Any], None]] = {}
        self._lock = threading.RLock()

    def show(self, name: str, make: Callable[[Any], None]) -> None:
        """Make a view of this name, now and in every session to come. Raises StoreError."""
        self.ask(make)
        self._shown[name] = make

    def ask(self, question: Callable[[Any], Answer]) -> Answer:
        """What the session answers. Raises StoreError when Spark is not installed, does not answer or refuses; the next question begins anew."""
        try:
            from py4j.protocol import Py4JError, Py4JJavaError  # type: ignore[import-untyped]  # noqa: PLC0415 - installed by few
            from pyspark.errors import PySparkException  # noqa: PLC0415
        except ImportError as error:
            raise StoreError(
                "pyspark is not installed: `pip install pyspark` (and Java 17, unless url is sc://...)"
            ) from error
        watch: Watch | None = None
        try:
            session = self._begun(PySparkException)
            watch = Watch(session, self._url)
            with watch:
                return question(session)
        except (PySparkException, Py4JError, OSError) as error:
            if watch is not None and watch.nobody_works():
                raise StoreError(f"Spark at {self._where} {watch.sentence()}") from error
            if _S3_CONNECTOR in str(error):
                raise StoreError(
                    f"Spark at {self._where} lacks its connector to S3: add it under options of [engine], as in "
                    '"spark.jars.packages" = "org.apache.hadoop:hadoop-aws:3.5.0", of the version of Hadoop that this Spark has'
                ) from error
            if isinstance(error, PySparkException) and not is_away(error):
                raise StoreError(f"Spark at {self._where} refused: {str(error)[:_LONGEST_MESSAGE]}") from error
            if isinstance(error, Py4JJavaError) and self._is_alive():
                raise StoreError(f"Spark at {self._where} refused: {_first_words(error)}") from error
            self._forget()
            raise StoreError(
                f"Spark at {self._where} does not answer ({_first_words(error)}): check [engine] url in percall.toml, and that it runs"
            ) from error

    def _begun(self, refusal: type[Exception]) -> Any:
        with self._lock:
            if self._session is None:
                session = self._start()
                for make in list(self._shown.values()):
                    # The files of an old publication may be gone.
                    with suppress(refusal):
                        make(session)
                self._session = session
            return self._session

    def _start(self) -> Any:
        from pyspark.sql import SparkSession  # noqa: PLC0415

        if self._url.startswith(CONNECT):
            return connected(self._url, SETTINGS | dict(self._options))
        builder: Any = SparkSession.builder.master(self._url).appName("Percall")
        for name, value in (STARTED_WITH | SETTINGS | dict(self._options)).items():
            builder = builder.config(name, value)
        return builder.getOrCreate()

    def _is_alive(self) -> bool:
        """Whether Java still has the session: what it reports then is an answer to the question."""
        with suppress(Exception):
            return not self._session.sparkContext._jsc.sc().isStopped()
        return False

    def _forget(self) -> None:
        from pyspark import SparkContext  # noqa: PLC0415
        from pyspark.sql import SparkSession  # noqa: PLC0415

        with self._lock:
            session, self._session = self._session, None
            # What is lost cannot always be stopped in order, nor even be asked whether it is there.
            with suppress(Exception):
                (session or SparkSession.active()).stop()
            gateway: Any = SparkContext._gateway
            if gateway is not None and _has_ended(gateway.proc):
                # Java itself is gone, and PySpark would go on talking to it.
                SparkContext._gateway = SparkContext._jvm = SparkContext._active_spark_context = None
                SparkSession._instantiatedSession = None


def _has_ended(process: Any) -> bool:
    try:
        process.wait(timeout=_ENDS_WITHIN)
    except TimeoutExpired:
        return False
    return True


def _first_words(error: Exception) -> str:
    """Of Java's errors, which bring their whole stack along, the line that says what happened."""
    lines = [line.strip(" :") for line in str(error).splitlines() if line.strip(" :")]
    told = next(
        (line for line in lines if "Exception" in line or "Error" in line), lines[0] if lines else type(error).__name__
    )
    return told[:_LONGEST_MESSAGE]

"""The small store, and the engines that hold it: ClickHouse in this process, and a Spark cluster of a master and two workers."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.engines.small import small_store
from warehouse.configuration import Configuration
from warehouse.engines.publishing import publish
from warehouse.reader import Warehouse, open_current

AS_OWNERS_DO = "PERCALL_TEST_SPARK_COMPILES"
"""Environment variable: let the Spark cluster work as it does for owners. It then compiles each question and plans it again while it answers: more
work on so few rows."""

EVERYTHING = "PERCALL_TEST_SPARK_EVERYTHING"
"""Environment variable: compare every page and every file with Spark's, not a few of each kind; some minutes more."""

_QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
"""Java that starts quickly: half of the work of a small question is its own compiler otherwise, a sixth of a start its look at the classes."""

_QUICK_SPARK = {
    "spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN", "spark.sql.adaptive.enabled": "false",
    "spark.sql.icu.caseMappings.enabled": "false",
}  # fmt: skip

_LOOKED_AT_FIRST = (
    "scala-library", "spark-catalyst_", "spark-sql_", "spark-core_", "spark-sql-api_", "hadoop-client-api", "spark-common-utils_",
    "spark-network-common_", "spark-unsafe_", "hadoop-client-runtime", "netty-", "py4j", "parquet-", "arrow-",
)  # fmt: skip
"""Most classes lie in these of Spark's 200 archives. Java looks through them in the order of a folder otherwise, where a tenth of an
executor's samples were."""

_MASTER = "org.apache.spark.deploy.master.Master"
_WORKER = "org.apache.spark.deploy.worker.Worker"


@pytest.fixture(scope="session")
def store(demo_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the small store."""
    return small_store(demo_store, tmp_path_factory.mktemp("engines") / "store")


@pytest.fixture(scope="session")
def at_home(store: Path) -> Warehouse:
    """The small store on DuckDB."""
    return open_current(store, Configuration(), threads=2)


@pytest.fixture(scope="session")
def on_clickhouse() -> Configuration:
    """A configuration whose engine is ClickHouse in this process."""
    if importlib.util.find_spec("chdb") is None:
        pytest.skip("chdb is not installed")
    return Configuration(engine={"kind": "clickhouse", "url": "chdb:"})


@pytest.fixture(scope="session")
def clickhouse(store: Path, on_clickhouse: Configuration) -> Warehouse:
    """The small store on ClickHouse."""
    publish(store, on_clickhouse)
    return open_current(store, on_clickhouse)


@dataclass(frozen=True)
class Cluster:
    """A standalone Spark cluster on loopback. `configuration` has it as engine; `configured` is the same as a file; `connecting` asks it over Spark
    Connect, which the application of `configuration` serves beside its own questions."""

    configuration: Configuration
    configured: Path
    connecting: Configuration
    workers: list[subprocess.Popen[bytes]]

    def end_workers(self) -> None:
        """As when their machines go, with the executors that they have started, which would go on answering for a while: the master stays."""
        for process in self.workers:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for process in self.workers:
            process.wait(timeout=30)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A master and two workers, which end with the test run."""
    if importlib.util.find_spec("pyspark") is None or shutil.which("java") is None:
        pytest.skip("pyspark or Java is not installed")
    folder = tmp_path_factory.mktemp("spark")
    port, connect = _free_port(), _free_port()
    master = _daemon(folder, _MASTER, "--host", "127.0.0.1", "--port", str(port), "--webui-port", "0")
    url = f"spark://127.0.0.1:{port}"
    _wait(port, master)
    limits = ("--host", "127.0.0.1", "--webui-port", "0", "--cores", "1", "--memory", "512m")
    workers = [_daemon(folder, _WORKER, *limits, "--work-dir", str(folder / f"worker{n}"), url) for n in range(2)]
    options = {
        "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.driver.memory": "1g", "spark.executor.memory": "512m",
        "spark.cores.max": "2", "spark.default.parallelism": "2", "spark.sql.shuffle.partitions": "2",
        "spark.driver.extraJavaOptions": _QUICK_JAVA, "spark.executor.extraJavaOptions": _QUICK_JAVA,
        "spark.driver.extraClassPath": _archives(), "spark.executor.extraClassPath": _archives(),
        "spark.sql.warehouse.dir": str(folder / "warehouse"), "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
        "spark.connect.grpc.binding.address": "127.0.0.1", "spark.connect.grpc.binding.port": str(connect),
        **({} if os.environ.get(AS_OWNERS_DO) else _QUICK_SPARK),
    }  # fmt: skip
    entries = {"kind": "spark", "url": url, "location": str(folder / "published")}
    configured = folder / "percall.toml"
    lines = [*(f'{name} = "{value}"' for name, value in entries.items()), "[engine.options]"]
    lines += [f'"{name}" = "{value}"' for name, value in options.items()]
    configured.write_text("[engine]\n" + "\n".join(lines) + "\n")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    made = Cluster(
        Configuration(engine={**entries, "options": options}),
        configured,
        Configuration(engine={**entries, "url": f"sc://127.0.0.1:{connect}"}),
        workers,
    )
    try:
        yield made
    finally:
        from pyspark.sql import SparkSession

        session = SparkSession.getActiveSession()
        if session is not None:
            session.stop()
        made.end_workers()
        master.terminate()
        master.wait(timeout=30)


@pytest.fixture(scope="session")
def spark(store: Path, cluster: Cluster) -> Warehouse:
    """The small store on a Spark cluster of its own."""
    from pyspark.sql import SparkSession

    publish(store, cluster.configuration)
    # A session that a test before began in this process would answer in the cluster's place.
    if (before := SparkSession.getActiveSession()) is not None:
        before.stop()
    opened = open_current(store, cluster.configuration)
    assert SparkSession.active().sparkContext.master == cluster.configuration.engine["url"]
    return opened


def everything() -> bool:
    """Whether all is asked of Spark that is asked of ClickHouse."""
    return bool(os.environ.get(EVERYTHING))


def _daemon(folder: Path, *command: str) -> subprocess.Popen[bytes]:
    home = _home()
    # By its class and not by the script that goes to the background, so that it ends with the test.
    environment = os.environ | {
        "SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_DAEMON_MEMORY": "256m", "SPARK_DAEMON_JAVA_OPTS": _QUICK_JAVA,
        "SPARK_DAEMON_CLASSPATH": _archives(),
    }  # fmt: skip
    with (folder / "daemons.log").open("ab") as log:
        return subprocess.Popen(
            [str(home / "bin" / "spark-class"), *command],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _home() -> Path:
    import pyspark

    return Path(pyspark.__file__).parent


def _archives() -> str:
    """Those that are looked at first, as Java is told them."""
    jars = _home() / "jars"
    return ":".join(str(file) for name in _LOOKED_AT_FIRST for file in sorted(jars.glob(f"{name}*.jar")))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, "Spark's master ended before it listened"
        time.sleep(0.1)
    raise AssertionError("Spark's master does not listen")

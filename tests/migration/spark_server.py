"""Spark's Thrift server out of PyPI's pyspark, for the tests: one JVM, one core, a warehouse of its own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from servers import Server, free_port, wait_for_port

_CLASS = "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2"


@contextmanager
def spark_server() -> Iterator[Server]:
    """Spark SQL on the HiveServer2 protocol; anybody may come in."""
    found = importlib.util.find_spec("pyspark")
    if found is None or found.origin is None or importlib.util.find_spec("pyhive") is None:
        pytest.skip("pyspark or pyhive is not installed")
    if shutil.which("java") is None:
        pytest.skip("no Java is installed")
    spark, port = Path(found.origin).parent, free_port()
    home = Path(tempfile.mkdtemp(prefix="bough-spark-"))
    log = home / "log"
    settings = {
        "spark.ui.enabled": "false",
        "spark.sql.warehouse.dir": str(home / "warehouse"),
        "spark.sql.shuffle.partitions": "1",
        "spark.driver.extraJavaOptions": f"-Dderby.system.home={home}",
    }
    command = [str(spark / "bin" / "spark-submit"), "--master", "local[1]", "--driver-memory", "700m"]
    command += ["--class", _CLASS]
    command += [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
    command += ["--hiveconf", f"hive.server2.thrift.port={port}"]
    command += ["--hiveconf", "hive.server2.thrift.bind.host=127.0.0.1", "spark-internal"]
    environment = {**os.environ, "SPARK_HOME": str(spark), "SPARK_LOCAL_IP": "127.0.0.1"}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=home, env=environment)
    try:
        wait_for_port(port, process, log, seconds=240)
        yield Server("127.0.0.1", port, "bough", "default")
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(home, ignore_errors=True)

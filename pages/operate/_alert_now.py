"""`percall alert` from the browser, in a process of its own: a test, or a look for news now."""

from __future__ import annotations

import os
import subprocess
import sys

from pages import _data
from warehouse.configuration import REPOSITORY

SECONDS = 180
_LONGEST = 2_000


def run_alert(*options: str) -> tuple[int, str]:
    """What `percall alert` with these options answers: its exit code (0 nothing new, 1 something was told, 2 not all arrived) and its words.

    The words hold no secret: the command masks them.
    """
    path = _data.configuration().path
    command = [
        sys.executable, "-c", "from operations.cli import main; main()", "--store", str(_data.store_path()),
        *(["--config", str(path)] if path else []), "alert", *options,
    ]  # fmt: skip
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH"))))
    try:
        done = subprocess.run(  # noqa: S603 - our own command, no words of a request
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8", errors="replace", env=environment,
            timeout=SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return 2, f"No answer within {SECONDS} seconds. What was found is kept, and sent by the next `percall alert`."
    said = "\n".join(part.strip() for part in (done.stdout, done.stderr) if part.strip())
    return done.returncode, said[:_LONGEST]

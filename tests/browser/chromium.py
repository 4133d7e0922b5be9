"""Finds a Chromium on this machine. Run as a module, it says how to install one when there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
VARIABLE = "PERCALL_CHROMIUM"
NOTICE = (
    "No Chromium found: the browser tests are left out. Install one with `apt-get install chromium` (Debian, Ubuntu) or "
    f"`python -m playwright install chromium`, or name its executable in {VARIABLE}."
)

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""No GPU, no sandbox (containers have none to offer), and no request of the browser's own."""


def find(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The Chromium to use: the one that PERCALL_CHROMIUM names, one on PATH, or one that Playwright has installed."""
    named = environment.get(VARIABLE)
    if named:
        return Path(named) if Path(named).is_file() else None
    for name in NAMES:
        found = shutil.which(name, path=environment.get("PATH"))
        if found:
            return Path(found)
    home = Path(
        environment.get("PLAYWRIGHT_BROWSERS_PATH") or Path(environment.get("HOME", "/")) / ".cache/ms-playwright"
    )
    installed = sorted(home.glob("chromium-*/chrome-linux*/chrome"))
    return installed[-1] if installed else None


if __name__ == "__main__":
    if find() is None:
        print(NOTICE)  # noqa: T201

"""Finding a browser, and saying so when there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.browser import chromium
from tests.browser.server import REPOSITORY


def _executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_named_one_comes_first(tmp_path: Path) -> None:
    named = _executable(tmp_path / "mine" / "browser")
    _executable(tmp_path / "bin" / "chromium")
    environment = {"PATH": str(tmp_path / "bin"), "PERCALL_CHROMIUM": str(named), "HOME": str(tmp_path)}
    assert chromium.find(environment) == named


def test_one_on_the_path_and_one_that_playwright_installed(tmp_path: Path) -> None:
    environment = {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)}
    assert chromium.find(environment) is None
    installed = _executable(tmp_path / ".cache" / "ms-playwright" / "chromium-1200" / "chrome-linux" / "chrome")
    assert chromium.find(environment) == installed
    on_path = _executable(tmp_path / "bin" / "google-chrome")
    assert chromium.find(environment) == on_path


def test_the_module_prints_one_line_and_succeeds_without_a_browser(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": str(tmp_path), "HOME": str(tmp_path)}
    for variable in ("PERCALL_CHROMIUM", "PLAYWRIGHT_BROWSERS_PATH"):
        environment.pop(variable, None)
    done = subprocess.run(
        [sys.executable, "-m", "tests.browser.chromium"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.count("\n") == 1
    assert "apt-get install chromium" in done.stdout


def test_browser_tests_are_left_out_and_not_failed_without_a_browser(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": str(tmp_path), "HOME": str(tmp_path)}
    for variable in ("PERCALL_CHROMIUM", "PLAYWRIGHT_BROWSERS_PATH"):
        environment.pop(variable, None)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/browser/test_shell.py", "-p", "no:cacheprovider"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 5), done.stdout  # 5: nothing left to run
    assert "browser tests left out. No Chromium found" in done.stdout
    assert "failed" not in done.stdout

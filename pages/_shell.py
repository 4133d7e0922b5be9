"""The script that every session runs: see `pages._application`. It lies beside no page file, so that no page runs
without it."""

from pages._application import run
from pages._registry import REGISTRY

run(REGISTRY)

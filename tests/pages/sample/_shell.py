from pages._application import run
from tests.pages.sample.registry import REGISTRY

run(REGISTRY)

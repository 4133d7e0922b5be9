"""A registry of sample pages: the shell under test is the real one, only the pages are small."""

from pathlib import Path

from pages._registry import PageEntry

FOLDER = Path(__file__).resolve().parent

REGISTRY = (
    PageEntry("Inform", "Sample bill", "receipt_long", "bill", FOLDER / "inform" / "bill.py", "What did we spend?"),
    PageEntry("Inform", "Sample features", "category", "features", FOLDER / "inform" / "features.py", "Who uses it?"),
    PageEntry("Operate", "Refusals", "error", "refusals", FOLDER / "operate" / "refusals.py", "What if it fails?"),
    PageEntry("Operate", "Sources", "cable", "sources", FOLDER / "operate" / "sources.py", "What is connected?", False),
)

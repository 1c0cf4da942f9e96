"""Write a campaign's report: ``report.html`` and ``report.json``."""

from __future__ import annotations

from pathlib import Path

from sis_engine.commands.status import facts_of, open_ledger
from sis_engine.report.page import render_both
from sis_engine.storage.atomic import write_text
from sis_engine.storage.generation import GenerationStore


def write_report(folder: Path, out: Path) -> tuple[Path, Path]:
    """Both files in ``out``; their paths. The campaign may be running."""
    with open_ledger(folder) as ledger:
        records, torn = GenerationStore(folder, ledger).load_whole()
        facts = facts_of(folder, ledger, records, torn)
    page, numbers = render_both(records, facts)
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "report.html", page)
    write_text(out / "report.json", numbers)
    return out / "report.html", out / "report.json"

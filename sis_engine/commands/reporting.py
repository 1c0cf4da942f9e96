"""Write a campaign's report: ``report.html`` and ``report.json``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sis_engine.bookkeeping.folder import parts_of
from sis_engine.commands.status import facts_of, open_ledger
from sis_engine.errors import SisError
from sis_engine.report.page import render_both
from sis_engine.stages.watch import rules_at_start
from sis_engine.storage.atomic import write_text
from sis_engine.storage.generation import GenerationRecord, GenerationStore
from sis_engine.storage.ledger import Ledger


def write_report(folder: Path, out: Path) -> tuple[Path, Path]:
    """Both files in ``out``; their paths. The campaign may be running."""
    with open_ledger(folder) as ledger:
        found, torn = GenerationStore(folder, ledger).load_whole()
        records = _with_rules(found, folder, ledger)
        facts = facts_of(folder, ledger, records, torn)
    page, numbers = render_both(records, facts)
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "report.html", page)
    write_text(out / "report.json", numbers)
    return out / "report.html", out / "report.json"


def _with_rules(
    records: tuple[GenerationRecord, ...], folder: Path, ledger: Ledger
) -> tuple[GenerationRecord, ...]:
    """Files of older engines lack the rules, which follow from settings, labels and model.

    They are worked out for generations of the settings that hold now, and of no others.
    """
    if all(record.rules or record.model is None for record in records):
        return records
    try:
        parts = parts_of(folder, ledger)
    except SisError:  # a plugin that is not installed here: then they are not told
        return records
    return tuple(
        record
        if record.rules or record.model is None or record.config_text != parts.text
        else replace(
            record, rules=rules_at_start(parts, record.number, record.model, record.support)
        )
        for record in records
    )

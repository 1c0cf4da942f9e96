"""``sis digest``: of files that are as they were committed."""

from __future__ import annotations

from pathlib import Path

from sis_engine.commands.status import open_ledger
from sis_engine.errors import TornFile
from sis_engine.storage.generation import GenerationStore
from sis_engine.storage.ledger import GenerationRow


def rows_as_committed(folder: Path) -> tuple[GenerationRow, ...]:
    """The committed generations, each with its digest; TornFile where a file is another one."""
    with open_ledger(folder) as ledger:
        store = GenerationStore(folder, ledger)
        found = store.check(thorough=True)
    if found.torn:
        first = found.torn[0]
        raise TornFile(
            f"generation {first.row.number} is torn: {first.message}",
            path=store.path(first.row),
            hint=f"sis run {folder}: it is moved aside and made again from the bank",
        )
    return found.whole

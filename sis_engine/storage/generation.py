"""The generations of a campaign: which are committed, how one is, and which are whole or torn."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from sis_engine.errors import TornFile
from sis_engine.storage.atomic import ASIDE_FOLDER, DISK, Disk, move_aside
from sis_engine.storage.digest import START, chain
from sis_engine.storage.generation_file import (
    CHEAP_FIELDS,
    GenerationRecord,
    MemberRecord,
    ModelImage,
    extract_from,
    extract_model,
    images_of,
    load_generation,
    save_generation,
)
from sis_engine.storage.ledger import GenerationRow, Ledger
from sis_engine.storage.seal import check_seal, check_seal_size

__all__ = [
    "CHEAP_FIELDS",
    "GenerationRecord",
    "GenerationStore",
    "MemberRecord",
    "ModelImage",
    "StoreCheck",
    "Torn",
    "commit_generation",
    "extract_from",
    "extract_model",
    "generation_path",
    "images_of",
    "load_generation",
]

GENERATIONS_FOLDER = "generations"


def generation_path(folder: Path, number: int) -> Path:
    """``<campaign>/generations/0003.h5``"""
    return folder / GENERATIONS_FOLDER / f"{number:04d}.h5"


def commit_generation(
    record: GenerationRecord, ledger: Ledger, *, exact: bool = False, disk: Disk = DISK
) -> GenerationRow:
    """Make a generation exist: its file, durable and verified, then one ledger transaction.

    A file of this number that was never committed (a kill between rename and transaction) is
    moved aside. exact: which digest promise the campaign keeps.
    """
    before = ledger.generations()
    if before and record.number <= before[-1].number:
        raise ValueError(f"generation {record.number} is committed already")
    path = generation_path(ledger.folder, record.number)
    if path.exists():
        move_aside(path, disk=disk)
    sha256 = save_generation(path, record, disk=disk)
    row = GenerationRow(
        number=record.number,
        file=str(path.relative_to(ledger.folder)),
        sha256=sha256,
        size=path.stat().st_size,
        parent_sha256=record.parent_sha256,
        digest=chain(before[-1].digest if before else START, record, exact=exact),
        committed_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    )
    ledger.commit(row)
    return row


@dataclass(frozen=True)
class Torn:
    """A committed generation whose file is not as it was committed. moved_to: where it is now."""

    row: GenerationRow
    message: str
    moved_to: Path | None = None


@dataclass(frozen=True)
class StoreCheck:
    """What a look at all generation files found.

    whole: rows of files that are as committed;  torn: rows of those that are not
    unknown: files in the folder that no row names (a kill in the middle of a commit)
    """

    whole: tuple[GenerationRow, ...]
    torn: tuple[Torn, ...]
    unknown: tuple[Path, ...]

    @property
    def last_whole(self) -> GenerationRow | None:
        """The last generation before the first torn one: what a campaign can go back to."""
        first_torn = min((item.row.number for item in self.torn), default=None)
        usable = [r for r in self.whole if first_torn is None or r.number < first_torn]
        return usable[-1] if usable else None


class GenerationStore:
    """The generation files of a campaign, as its ledger knows them."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.folder = folder
        self._ledger = ledger

    def committed(self) -> tuple[GenerationRow, ...]:
        return self._ledger.generations()

    def path(self, row: GenerationRow) -> Path:
        return self.folder / row.file

    def load(
        self,
        row: GenerationRow,
        *,
        only: Collection[str] | None = None,
        lazy_parts: bool = False,
    ) -> GenerationRecord:
        """The record of a committed generation; TornFile when its file is not as committed.

        only, lazy_parts: see :func:`load_generation`; a resume wants ``lazy_parts``
        """
        return load_generation(
            self.path(row), expected_sha256=row.sha256, only=only, lazy_parts=lazy_parts
        )

    def load_all(
        self, *, only: Collection[str] | None = None, lazy_parts: bool = False
    ) -> Iterator[GenerationRecord]:
        """Committed generations, oldest first, one at a time."""
        for row in self.committed():
            yield self.load(row, only=only, lazy_parts=lazy_parts)

    def load_whole(
        self, *, only: Collection[str] | None = None
    ) -> tuple[tuple[GenerationRecord, ...], str | None]:
        """For who only looks: all before the first torn generation, and what is wrong with it."""
        records: list[GenerationRecord] = []
        for row in self.committed():
            try:
                records.append(self.load(row, only=only))
            except TornFile as error:
                return tuple(records), f"generation {row.number}: {error}"
        return tuple(records), None

    def check(self, *, thorough: bool = False) -> StoreCheck:
        """Look at every committed file; change nothing.

        thorough: hash every byte; otherwise size and seal, which find truncation at once (a
        flipped bit is found when the file is loaded)
        """
        whole: list[GenerationRow] = []
        torn: list[Torn] = []
        for row in self.committed():
            fault = self._fault(row, thorough=thorough)
            if fault is None:
                whole.append(row)
            else:
                torn.append(Torn(row, fault))
        return StoreCheck(tuple(whole), tuple(torn), self._unknown())

    def mend(self, check: StoreCheck) -> StoreCheck:
        """Move torn and unknown files aside and record it; the same check with the new places.

        Generations from the first torn one on stay in the ledger: the caller rebuilds them from
        the bank, or takes them back with :meth:`sis_engine.storage.ledger.Ledger.abandon`.
        """
        torn = []
        for item in check.torn:
            path = self.path(item.row)
            moved = move_aside(path) if path.exists() else None
            self._ledger.event(
                "torn_generation",
                f"generation {item.row.number}: {item.message}; moved to {moved}",
                level="error",
                data={
                    "generation": item.row.number,
                    "moved_to": None if moved is None else str(moved),
                },
            )
            torn.append(Torn(item.row, item.message, moved))
        for path in check.unknown:
            moved = move_aside(path)
            self._ledger.event("unknown_file", f"{path} was never committed; moved to {moved}")
        return StoreCheck(check.whole, tuple(torn), ())

    def _fault(self, row: GenerationRow, *, thorough: bool) -> str | None:
        path = self.path(row)
        try:
            check_seal_size(path)
            if path.stat().st_size != row.size:
                return f"{path} has {path.stat().st_size} bytes, {row.size} were committed"
            if thorough and check_seal(path) != row.sha256:
                return f"{path} is not the file that was committed"
        except TornFile as error:
            return error.message
        return None

    def _unknown(self) -> tuple[Path, ...]:
        folder = self.folder / GENERATIONS_FOLDER
        if not folder.is_dir():
            return ()
        known = {self.path(row) for row in self.committed()}
        return tuple(
            path
            for path in sorted(folder.iterdir())
            if path not in known and path.name != ASIDE_FOLDER
        )

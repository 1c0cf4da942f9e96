"""Pieces of a stage's result, each durable as it ends: a kill loses only those in hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from sis_engine.errors import TornFile
from sis_engine.storage.atomic import move_aside
from sis_engine.storage.codec import load_record, save_record

Record = TypeVar("Record")


@dataclass(frozen=True)
class Kept(Generic[Record]):
    """Sealed files in one folder, named by all that their content depends on.

    note: told when a torn piece is moved aside (it is then computed again)
    """

    folder: Path
    kind: type[Record]
    note: Callable[[str, str], None]

    def get(self, name: str) -> Record | None:
        """The piece called ``name``, or ``None`` when it is absent or torn."""
        path = self._path(name)
        if not path.exists():
            return None
        try:
            return load_record(path, self.kind)
        except TornFile as error:
            self.note("torn_piece", f"{error.message}; moved to {move_aside(path)}")
            return None

    def put(self, name: str, piece: Record) -> None:
        """Keep it; durable when this returns."""
        save_record(self._path(name), piece)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.h5"

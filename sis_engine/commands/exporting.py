"""What leaves a campaign: its data in the field's formats, and the kit of its potential."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from sis_engine.commands.kit import write_kit
from sis_engine.commands.status import open_ledger
from sis_engine.errors import ConfigurationError
from sis_engine.records import Dataset, DatasetPart, FrameSet
from sis_engine.storage.exchange import write_deepmd, write_extxyz
from sis_engine.storage.exchange_h5md import write_h5md
from sis_engine.storage.generation import GenerationStore

SUFFIXES = {"extxyz": (".extxyz", ".xyz"), "h5md": (".h5", ".h5md", ".hdf5")}
"""Of the formats that are one file; the first is given to one that has none of them."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    frames, parts: of the data; ``None`` for the kit
    files, model: all of the kit, and the one of them that MD runs;  generation: whose model it is
    audited: has that model passed the audit of a stable end? ``None`` for data, as the other two
    """

    format: str
    path: Path
    files: tuple[str, ...] = ()
    frames: int | None = None
    parts: int | None = None
    elements: tuple[str, ...] = ()
    model: str | None = None
    generation: int | None = None
    audited: bool | None = None


def export_campaign(folder: Path, out: Path, form: str) -> Exported:
    """Write ``deepmd``, ``extxyz``, ``h5md`` or ``kit`` to ``out``; what was written.

    A file gets a suffix that tells its format where it has none: `sis import` goes by it.
    """
    if form in SUFFIXES and out.suffix not in SUFFIXES[form]:
        out = out.with_name(out.name + SUFFIXES[form][0])
    if out.exists() and (out.is_file() or any(out.iterdir())):
        raise ConfigurationError(
            f"{out} exists and is not empty", allowed="a new file or an empty folder"
        )
    with open_ledger(folder) as ledger:
        if not ledger.generations():
            raise ConfigurationError(
                f"{folder} has no committed generation yet", hint=f"sis status {folder}"
            )
        store = GenerationStore(folder, ledger)
        if form == "kit":
            return Exported(form, out, **asdict(write_kit(folder, ledger, store, out)))
        return _data(store, out, form)


def _data(store: GenerationStore, out: Path, form: str) -> Exported:
    parts = tuple(_parts(store))
    frames: Iterator[FrameSet] = (part.frames for part in parts)
    elements = Dataset(parts).elements
    if form == "deepmd":
        n_frames = write_deepmd(frames, out, elements)
    elif form == "extxyz":
        n_frames = write_extxyz(frames, out)
    else:
        n_frames = write_h5md(frames, out)
    return Exported(form, out, frames=n_frames, parts=len(parts), elements=elements)


def _parts(store: GenerationStore) -> Iterator[DatasetPart]:
    for record in store.load_all(only=("number", "parts")):
        yield from record.parts

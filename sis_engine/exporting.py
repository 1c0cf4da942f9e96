"""What leaves a campaign: its data in the field's formats, and the kit of its potential."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

from sis_engine import campaign_folder
from sis_engine.errors import ConfigurationError
from sis_engine.past import last_audit
from sis_engine.records import Dataset, DatasetPart, FrameSet, Model, Stable
from sis_engine.report.jsonable import json_text
from sis_engine.status import open_ledger
from sis_engine.storage.atomic import write_text
from sis_engine.storage.exchange import write_deepmd, write_extxyz
from sis_engine.storage.exchange_h5md import write_h5md
from sis_engine.storage.generation import (
    GenerationRecord,
    GenerationStore,
    extract_from,
)
from sis_engine.storage.ledger import Ledger

KIT_FILES = ("in.lammps", "validity.json", campaign_folder.CONFIG_FILE, "CITATION.cff")
"""Beside the model's own files."""

KIT_FIELDS = frozenset(
    {
        "number",
        "model",
        "model_images",
        "audits",
        "lives",
        "support",
        "decision",
        "window_k",
        "versions",
        "config_text",
    }
)


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
    """Write ``deepmd``, ``extxyz``, ``h5md`` or ``kit`` to ``out``; what was written."""
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
            return _kit(folder, ledger, store, out)
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


# --------------------------------------------------------------------------- the kit


def _kit(folder: Path, ledger: Ledger, store: GenerationStore, out: Path) -> Exported:
    record = store.load(ledger.generations()[-1], only=KIT_FIELDS)
    if record.model is None:
        raise ConfigurationError(f"generation {record.number} of {folder} has no model")
    out.mkdir(parents=True, exist_ok=True)
    model = extract_from(record.model, record.model_images, out)
    lammps, valid, config, citation = (out / name for name in KIT_FILES)
    write_text(lammps, lammps_input(model))
    write_text(valid, json_text(validity(record, model)))
    write_text(config, record.config_text)
    shutil.copyfile(Path(str(files("sis_engine"))) / citation.name, citation)
    audit = last_audit(record)
    right = audit is not None and audit.passed and isinstance(record.decision, Stable)
    return Exported(
        "kit",
        out,
        files=(*(item.path.name for item in model.files), *KIT_FILES),
        model=model.deployed_file.path.name,
        elements=model.elements,
        generation=record.number,
        audited=right,
    )


def lammps_input(model: Model) -> str:
    """A LAMMPS input with the model's pair style and its type order."""
    if model.lammps is None:
        return "# this model does not run in LAMMPS\n"
    pair = model.lammps
    elements = " ".join(model.elements)
    style = pair.style.format(file=model.deployed_file.path.name)
    lines = [
        "# Types are elements, in this order: " + elements,
        "units metal",
        "atom_style atomic",
        "read_data YOUR.data    # types as above",
        *(line.format(file=model.deployed_file.path.name) for line in pair.preamble),
        f"pair_style {style}",
        *(f"pair_coeff {item.format(elements=elements)}" for item in pair.coeff),
        "timestep 0.0005        # ps",
        "thermo 100",
        "fix md all nvt temp 300 300 0.05",
        "run 10000",
    ]
    return "\n".join(lines) + "\n"


def validity(record: GenerationRecord, model: Model) -> dict[str, object]:
    """Where the model may be trusted: elements, window, what was audited, for how long it lived."""
    audit = last_audit(record)
    return {
        "model": model.id,
        "sha256": model.deployed_file.sha256,
        "elements": model.elements,
        "cutoff_angstrom": model.cutoff_angstrom,
        "temperature_window_k": record.window_k,
        "decision": None if record.decision is None else record.decision.reason,
        "support": [asdict(item) for item in record.support],
        "lives": [
            {
                "replica": life.replica,
                "condition": life.condition,
                "time_ps": life.time_ps,
                "survived": life.censored,
            }
            for life in record.lives
        ],
        "audit": None if audit is None else asdict(audit),
        "versions": dict(record.versions),
    }

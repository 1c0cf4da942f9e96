"""What leaves a campaign: its data in the field's formats, and the kit of its potential."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path

from sis_engine import campaign_folder
from sis_engine.errors import ConfigurationError
from sis_engine.past import last_audit
from sis_engine.records import Dataset, DatasetPart, FrameSet, Model, Stable
from sis_engine.status import open_ledger
from sis_engine.storage.atomic import write_text
from sis_engine.storage.exchange import write_deepmd, write_extxyz, write_h5md
from sis_engine.storage.generation import (
    GenerationRecord,
    GenerationStore,
    extract_from,
)
from sis_engine.storage.ledger import Ledger

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


def export_campaign(folder: Path, out: Path, form: str) -> tuple[str, ...]:
    """Write ``deepmd``, ``extxyz``, ``h5md`` or ``kit`` to ``out``; lines that say what was."""
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


def _data(store: GenerationStore, out: Path, form: str) -> tuple[str, ...]:
    parts = tuple(_parts(store))
    frames: Iterator[FrameSet] = (part.frames for part in parts)
    if form == "deepmd":
        n_frames = write_deepmd(frames, out, Dataset(parts).elements)
    elif form == "extxyz":
        n_frames = write_extxyz(frames, out)
    else:
        n_frames = write_h5md(frames, out)
    return (f"{n_frames} frames in {len(parts)} parts → {out} ({form})",)


def _parts(store: GenerationStore) -> Iterator[DatasetPart]:
    for record in store.load_all(only=("number", "parts")):
        yield from record.parts


# --------------------------------------------------------------------------- the kit


def _kit(folder: Path, ledger: Ledger, store: GenerationStore, out: Path) -> tuple[str, ...]:
    record = store.load(ledger.generations()[-1], only=KIT_FIELDS)
    if record.model is None:
        raise ConfigurationError(f"generation {record.number} of {folder} has no model")
    out.mkdir(parents=True, exist_ok=True)
    model = extract_from(record.model, record.model_images, out)
    write_text(out / "in.lammps", lammps_input(model))
    write_text(out / "validity.json", json.dumps(validity(record, model), indent=2) + "\n")
    write_text(out / campaign_folder.CONFIG_FILE, record.config_text)
    citation = Path(str(files("sis_engine"))) / "CITATION.cff"
    shutil.copyfile(citation, out / "CITATION.cff")
    audit = last_audit(record)
    right = audit is not None and audit.passed and isinstance(record.decision, Stable)
    passed = "passed its audit" if right else "has NOT passed an audit of a stable end"
    return (
        f"{model.deployed_file.path.name} ({', '.join(model.elements)}), in.lammps, "
        f"validity.json, {campaign_folder.CONFIG_FILE}, CITATION.cff → {out}",
        f"the model of generation {record.number} {passed}",
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

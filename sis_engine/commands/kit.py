"""The kit of a potential: all that somebody needs who runs MD with it and has nothing else."""

from __future__ import annotations

import io
import shutil
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from sis_engine.bookkeeping import folder as campaign_folder
from sis_engine.bookkeeping.past import last_audit
from sis_engine.config.campaign import CampaignConfig
from sis_engine.config.file import parse_yaml, read_campaign_text
from sis_engine.errors import ConfigurationError
from sis_engine.explorers.lammps.cell import box_of
from sis_engine.explorers.lammps.config import LammpsConfig
from sis_engine.explorers.lammps.input import data_text, plain_script
from sis_engine.records import Model, Replica, Stable, System
from sis_engine.report.jsonable import json_text
from sis_engine.report.methods import CITED_FIELDS, citations
from sis_engine.seeds import derive_seed
from sis_engine.storage.atomic import write_text
from sis_engine.storage.generation import GenerationRecord, GenerationStore, extract_from
from sis_engine.storage.ledger import Ledger
from sis_engine.structures import read_structure, structure_text

INPUT, DATA, VALIDITY = "in.lammps", "start.data", "validity.json"
CITATION, USED = "CITATION.cff", "citations.bib"
"""How this software is cited; what else the campaign used, as BibTeX."""

FIELDS = frozenset(
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
class Kit:
    """files: all of it;  model: the one that MD runs;  generation: whose it is
    audited: has it passed the audit of a stable end?
    """

    files: tuple[str, ...]
    model: str
    elements: tuple[str, ...]
    generation: int
    audited: bool


def write_kit(folder: Path, ledger: Ledger, store: GenerationStore, out: Path) -> Kit:
    """The newest model with a LAMMPS input that runs, its validity, settings and citations."""
    record = store.load(ledger.generations()[-1], only=FIELDS)
    if record.model is None:
        raise ConfigurationError(f"generation {record.number} of {folder} has no model")
    config = read_campaign_text(record.config_text, folder / campaign_folder.CONFIG_FILE)
    systems = [_system(folder, config, index) for index in range(len(config.systems))]
    out.mkdir(parents=True, exist_ok=True)
    model = extract_from(record.model, record.model_images, out)
    texts = {
        **lammps_files(config, systems[0], model),
        VALIDITY: json_text(validity(record, model, config, systems)),
        **campaign_files(record.config_text, systems),
        USED: _used(store, record),
    }
    for name, text in texts.items():
        write_text(out / name, text)
    shutil.copyfile(Path(str(files("sis_engine"))) / CITATION, out / CITATION)
    audit = last_audit(record)
    return Kit(
        files=(*(item.path.name for item in model.files), *texts, CITATION),
        model=model.deployed_file.path.name,
        elements=model.elements,
        generation=record.number,
        audited=audit is not None and audit.passed and isinstance(record.decision, Stable),
    )


def _used(store: GenerationStore, last: GenerationRecord) -> str:
    """BibTeX of the method, codes and levels of theory of all generations."""
    records = tuple(store.load_all(only=CITED_FIELDS))
    return "\n\n".join(item.bibtex for item in citations(records, last.versions)) + "\n"


def campaign_files(text: str, systems: list[System]) -> dict[str, str]:
    """The campaign file with its structures beside it; a bank that only this machine has goes."""
    tree = parse_yaml(text, Path(campaign_folder.CONFIG_FILE))
    files = {}
    for given, system in zip(tree["systems"], systems, strict=True):
        given["structure"] = f"{system.name}.extxyz"
        files[given["structure"]] = structure_text(system.frame)
    for key in ("label_bank", "known_labels"):
        tree.pop(key, None)
    stream = io.StringIO()
    YAML(typ="rt", pure=True).dump(tree, stream)
    return {campaign_folder.CONFIG_FILE: stream.getvalue(), **files}


def _system(folder: Path, config: CampaignConfig, index: int) -> System:
    """A system of the campaign, from the folder's own copy of its structure."""
    given = config.systems[index]
    frame = read_structure(folder / campaign_folder.INPUTS / f"{given.name}.extxyz")
    return System(given.name, frame, given.charge, given.multiplicity, given.frozen)


def lammps_files(config: CampaignConfig, system: System, model: Model) -> dict[str, str]:
    """Input and atoms: the campaign's MD of its first system, without its rules."""
    if model.lammps is None:
        return {INPUT: "# this model does not run in LAMMPS\n"}
    lammps = LammpsConfig()
    if config.explorer.get("type") == lammps.type:
        lammps = LammpsConfig.model_validate(config.explorer)
    condition = config.explore.condition.condition("md")
    seed = derive_seed(config.seed, "kit")
    replica = Replica("kit", system, system.frame, condition, seed)
    box = box_of(system.frame)
    skewed = box.is_skewed or lammps.pressure_coupling == "tri"
    return {
        INPUT: plain_script(replica, model, lammps, DATA),
        DATA: data_text(system.frame, box, model, None, skewed=skewed),
    }


def validity(
    record: GenerationRecord, model: Model, config: CampaignConfig, systems: list[System]
) -> dict[str, Any]:
    """Where the model may be trusted: elements, conditions, window, audit, how long it lived."""
    audit = last_audit(record)
    return {
        "model": model.id,
        "sha256": model.deployed_file.sha256,
        "elements": model.elements,
        "cutoff_angstrom": model.cutoff_angstrom,
        "systems": [
            {
                "name": system.name,
                "atoms": {e: system.frame.species.count(e) for e in model.elements},
                "periodic": system.frame.pbc,
                "charge": system.charge,
                "multiplicity": system.multiplicity,
            }
            for system in systems
        ],
        "condition": config.explore.condition.model_dump(mode="json"),
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

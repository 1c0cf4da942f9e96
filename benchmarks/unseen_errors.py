"""How wrong are a campaign's models where their own MD does not go?

    python benchmarks/unseen_errors.py runs/quickstart [--length-ps 5] [--temperature-k 300]

A reference trajectory of each system, the one that `sis compare` would examine it on (its own seed,
from the system's structure; half a picosecond left out, every twentieth frame kept), is labelled
beside the campaign: nothing is charged or learnt, and in `--work` (default: a temporary folder) it
is found again. Every generation's model is asked about it, by LAMMPS or ASE, as in an audit. Force
errors are over the RMS reference force, overall and of each element; `audit` is the campaign's own
last audit of that generation. The last line is JSON: name, value (the last model's error on the
last system over that of its audit), interval (none: one trajectory), goal (none), unit.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from sis_engine.analysis.metrics import errors_of
from sis_engine.bookkeeping import folder as campaign_folder
from sis_engine.bookkeeping.past import last_audit
from sis_engine.commands.status import open_ledger
from sis_engine.comparison.config import ReferenceConfig
from sis_engine.comparison.reference import examination, make_reference
from sis_engine.interfaces import never_stop
from sis_engine.records import Errors
from sis_engine.setup.versions import machine
from sis_engine.storage.generation import GenerationStore, extract_from
from sis_engine.storage.splits import frame_set


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("campaign", type=Path)
    parser.add_argument("--length-ps", type=float, default=5.0)
    parser.add_argument("--temperature-k", type=float, default=None)
    parser.add_argument("--work", type=Path, default=None)
    options = parser.parse_args()
    config = ReferenceConfig(
        length_ps=options.length_ps,
        burn_in_ps=0.5,
        every_steps=20,
        temperature_k=options.temperature_k,
    )
    print(machine())
    with tempfile.TemporaryDirectory() as scratch:
        value = measure(options.campaign, config, options.work or Path(scratch))
    answer = {
        "name": "force error on an unseen reference trajectory over that of the audit",
        "value": value,
        "interval": None,
        "goal": None,
        "unit": "ratio",
    }
    print(json.dumps(answer))


def measure(folder: Path, config: ReferenceConfig, work: Path) -> float | None:
    """Prints a row for every model and system; the last model's error over its audit's."""
    with open_ledger(folder) as ledger:
        parts = campaign_folder.parts_of(folder, ledger)
        store = GenerationStore(folder, ledger)
        records = [store.load(row) for row in store.committed()]
    reference = make_reference(work, parts, config, stop=never_stop)
    print("generation  system  audit  reference  energy, meV/atom  by element")
    ratio = None
    with examination(work / "models", parts, work / "labels", never_stop) as stage:
        for record in records:
            if record.model is None:
                continue
            place = stage.folder / record.model.id
            model = extract_from(record.model, record.model_images, place)
            audit = last_audit(record)
            own = None if audit is None else audit.errors.relative_force_rmse
            for outcome in reference.outcomes:
                frames = frame_set(outcome.labelled, parts.system(outcome.system))
                context = stage.context(f"unseen-{record.number}-{outcome.system}", 1)
                said = parts.explorer.predict(model, frames, context, parts.trainer.calculator)
                found = errors_of(said, frames)
                ratio = None if not own else round((found.relative_force_rmse or 0.0) / own, 2)
                print(row(record.number, outcome.system, own, found), flush=True)
    return ratio


def row(generation: int, system: str, own: float | None, found: Errors) -> str:
    elements = "  ".join(
        f"{item.element} {item.relative:.2f}" for item in found.elements if item.relative
    )
    audit = "–" if own is None else f"{own:.3f}"
    return (
        f"{generation:<10}  {system}  {audit:>5}  {found.relative_force_rmse or 0.0:9.3f}  "
        f"{1e3 * found.energy_rmse_per_atom:16.1f}  {elements}"
    )


if __name__ == "__main__":
    main()

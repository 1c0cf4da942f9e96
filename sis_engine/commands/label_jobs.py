"""Labels for structures in a file, outside any campaign: what is asked, what it costs, doing it.

The same chain as in a campaign (bank, packing, remedies, gate), without training and MD.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sis_engine.errors import ConfigurationError
from sis_engine.interfaces import Labeler
from sis_engine.records import (
    Frame,
    System,
    label_key,
)
from sis_engine.storage.atomic import write_text
from sis_engine.storage.bank import LabelBank
from sis_engine.storage.structure_files import Given
from sis_engine.structures import atoms_of, structure_problem

REQUEST_FILE = "request.json"


@dataclass(frozen=True, eq=False)
class Job:
    """Structures to label, and by what.

    systems: one for each set of structures with the same atoms in the same order, periodicity,
        charge and multiplicity;  of: for each structure, which of them
    """

    given: tuple[Given, ...]
    labeler: Labeler
    systems: tuple[System, ...]
    of: tuple[int, ...]

    def system(self, index: int) -> System:
        return self.systems[self.of[index]]

    def keys(self) -> list[str]:
        """The bank's key of each structure's label."""
        levels = [self.labeler.level_of_theory(system) for system in self.systems]
        return [
            label_key(item.frame, levels[k]) for item, k in zip(self.given, self.of, strict=True)
        ]

    @property
    def fingerprint(self) -> str:
        """Of the frames and their levels of theory."""
        return hashlib.sha256("\n".join(self.keys()).encode()).hexdigest()


# --------------------------------------------------------------------------- before


def make_job(
    given: Sequence[Given], labeler: Labeler, *, charge: int | None, multiplicity: int | None
) -> Job:
    """Group the structures into systems and have the labeler look at each.

    charge, multiplicity: of all structures; ``None``: what the file says, else 0 and 1
    Raises ConfigurationError, ProgramMissing … before anything is started. A structure that cannot
    be labelled does not stop the others: it fails when its turn comes.
    """
    found: dict[tuple[object, ...], int] = {}
    systems: list[System] = []
    of: list[int] = []
    for item in given:
        net = item.charge or 0 if charge is None else charge
        spin = item.multiplicity or 1 if multiplicity is None else multiplicity
        key = (item.frame.species, item.frame.pbc, net, spin, item.system)
        if key not in found:
            found[key] = len(systems)
            name = unused(item.system or formula(item.frame), {s.name for s in systems})
            systems.append(System(name, item.frame, net, spin))
        of.append(found[key])
    for number, system in enumerate(systems):
        frames = (g.frame for g, k in zip(given, of, strict=True) if k == number)
        sound = next((frame for frame in frames if structure_problem(frame) is None), None)
        if sound is not None:
            systems[number] = replace(system, frame=sound)
            _check(labeler, systems[number])
    return Job(tuple(given), labeler, tuple(systems), tuple(of))


def selected(given: Sequence[Given], *, every: int = 1, most: int | None = None) -> list[Given]:
    """Every ``every``-th structure; of these at most ``most``, spread evenly over them."""
    kept = list(given)[::every]
    if most is None or len(kept) <= most:
        return kept
    return [kept[k * len(kept) // most] for k in range(most)]


def formula(frame: Frame) -> str:
    """C3H6O2, with a mark where it is periodic: the name of a system that has none."""
    plain = str(atoms_of(frame).get_chemical_formula())
    return f"{plain}-periodic" if any(frame.pbc) else plain


def unused(name: str, taken: set[str]) -> str:
    """``name`` as a file name can hold it, numbered where it is taken."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".-_") or "structures"
    numbered = (f"{safe}-{k}" for k in itertools.count(2))
    return safe if safe not in taken else next(item for item in numbered if item not in taken)


def _check(labeler: Labeler, system: System) -> None:
    """The labeler's own check, its place in a campaign file turned into the command's option."""
    try:
        labeler.check(system)
    except ConfigurationError as error:
        last = (error.key or "").rpartition(".")[2]
        if last in {"charge", "multiplicity"}:
            error.key = f"--{last}"
            error.hint = error.hint or f"give --{last}, or {last}=… in the file"
        raise


# --------------------------------------------------------------------------- the work folder


def claim_folder(folder: Path, out: Path, job: Job) -> None:
    """Make the folder of this request; ConfigurationError when it, or ``out``, is another's."""
    file = folder / REQUEST_FILE
    request = {"fingerprint": job.fingerprint, "structures": len(job.given)}
    if file.is_file():
        if json.loads(file.read_text(encoding="utf-8")) != request:
            raise ConfigurationError(
                f"{folder} belongs to another request: other structures or another level of theory",
                key="--out",
                allowed="another name, or the same request again",
                hint=f"--bank {folder} lets the new request use its labels",
            )
        return
    if out.exists():
        raise ConfigurationError(
            f"{out} exists", key="--out", allowed="a new name: nothing is overwritten"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_text(file, json.dumps(request) + "\n")


def open_bank(folder: Path, job: Job) -> LabelBank:
    """The bank at ``folder``; labels of this job are known again as its own."""
    return LabelBank(folder, campaign=f"label-{job.fingerprint[:16]}")

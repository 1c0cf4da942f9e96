"""``sis carve``: clusters of every frame of a file, with where each was cut out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase.data import atomic_numbers

from sis_engine.analysis.carving import Chemistry, Cluster, Refused, carve
from sis_engine.bookkeeping import folder as campaign_folder
from sis_engine.commands.relabelling import campaign_frames
from sis_engine.errors import ConfigurationError
from sis_engine.report.jsonable import json_text
from sis_engine.setup.versions import machine
from sis_engine.storage.atomic import write_text
from sis_engine.storage.exchange import extxyz_text
from sis_engine.storage.structure_files import Given, read_given


@dataclass(frozen=True)
class Around:
    """Which atoms clusters are carved around: of these elements, and of these indices."""

    elements: tuple[str, ...] = ()
    atoms: tuple[int, ...] = ()

    def of(self, given: Given) -> list[int]:
        """Raises ConfigurationError for an index that the frame does not have."""
        species = given.frame.species
        beyond = [atom for atom in self.atoms if not 0 <= atom < len(species)]
        if beyond:
            raise ConfigurationError(
                f"structure {given.index} of {given.source} has no atom {beyond[0]}",
                key="--atom",
                allowed=f"0 to {len(species) - 1}",
            )
        named = [k for k, symbol in enumerate(species) if symbol in self.elements]
        return sorted({*named, *self.atoms})


@dataclass(frozen=True, eq=False)
class Carved:
    """clusters: with the structures they come from;  refused: by reason, how many centres"""

    clusters: tuple[tuple[Given, Cluster], ...]
    refused: Counter[str]


def read_source(source: Path, form: str | None) -> tuple[Given, ...]:
    """Structures of a file or of a campaign's data set."""
    if source.is_dir() and campaign_folder.exists(source):
        return campaign_frames(source)
    return read_given(source, form)


def carve_all(
    given: Sequence[Given],
    around: Around,
    radius_angstrom: float,
    chemistry: Chemistry,
    most_atoms: int,
    most_per_frame: int | None,
) -> Carved:
    """Raises ConfigurationError when nothing can be carved, with the reason seen most often."""
    check_elements("--around", around.elements)
    check_elements("--ions", chemistry.ions)
    clusters: list[tuple[Given, Cluster]] = []
    refused: Counter[str] = Counter()
    for item in given:
        for one in _spread(
            around.of(item), most_per_frame, item, radius_angstrom, chemistry, most_atoms
        ):
            if isinstance(one, Refused):
                refused[one.reason] += 1
            else:
                clusters.append((item, one))
    if not clusters:
        said = refused.most_common(1)[0][0] if refused else "no atom of these elements is there"
        raise ConfigurationError(
            f"no cluster can be carved out of {given[0].source}: {said}",
            key="--around",
            hint="another --around, a smaller --radius, or a larger --max-atoms?",
        )
    return Carved(tuple(clusters), refused)


def check_elements(key: str, symbols: Sequence[str]) -> None:
    unknown = [symbol for symbol in symbols if atomic_numbers.get(symbol, 0) < 1]
    if unknown:
        raise ConfigurationError(f"there is no element {unknown[0]!r}", key=key)


def _spread(
    centres: Sequence[int],
    most: int | None,
    item: Given,
    radius_angstrom: float,
    chemistry: Chemistry,
    most_atoms: int,
) -> Iterator[Cluster | Refused]:
    """At most so many centres, spread evenly over those of the frame."""
    n = len(centres)
    chosen = centres if most is None or n <= most else [centres[k * n // most] for k in range(most)]
    yield from carve(item.frame, chosen, radius_angstrom, chemistry, most_atoms)


def write_carved(carved: Carved, out: Path, radius_angstrom: float, chemistry: Chemistry) -> Path:
    """The clusters as extxyz, and beside them what was done; the path of the latter."""
    lines = (
        extxyz_text(one.frame, None, _facts(item, one, radius_angstrom))
        for item, one in carved.clusters
    )
    write_text(out, "".join(lines))
    place = out.with_name(f"{out.stem}.provenance.json")
    found: dict[str, Any] = {
        "sources": sorted({item.source for item, _ in carved.clusters}),
        "radius_angstrom": radius_angstrom,
        "bond_factor": chemistry.bond_factor,
        "ions": list(chemistry.ions),
        "charges": dict(chemistry.charges or {}),
        "clusters": len(carved.clusters),
        "compositions": dict(Counter(_named(one) for _, one in carved.clusters)),
        "refused": dict(carved.refused),
        "machine": machine(),
    }
    write_text(place, json_text(found))
    return place


def _facts(item: Given, one: Cluster, radius_angstrom: float) -> dict[str, str | int | float]:
    """Where the cluster was cut out, what it carries, and what was known of the frame's past."""
    facts: dict[str, str | int | float] = {
        "charge": one.charge,
        "multiplicity": one.multiplicity,
        "carved_from": item.source,
        "carved_index": item.index,
        "carved_centre": one.centre,
        "carved_radius_angstrom": radius_angstrom,
        "carved_atoms": " ".join(map(str, one.parents)),
        "molecules": _named(one),
    }
    past = item.history
    known = {
        "carved_system": item.system,
        "split": past.split,
        "purpose": past.purpose,
        "generation": past.generation,
        "plan": past.plan,
        "time_fs": past.time_fs,
    }
    return facts | {key: value for key, value in known.items() if value is not None}


def _named(one: Cluster) -> str:
    """``Li + 4 C3H6O2``: molecules with their numbers, the centre's kind first."""
    counts = Counter(one.molecules)
    return " + ".join(f"{n} {what}" if n > 1 else what for what, n in counts.items())

"""Pair distances of the model's MD beside the reference's: is the liquid the same liquid?

g(r) where the system is periodic in three dimensions; the probability density of pair distances
(which integrates to one over all distances) for clusters and slabs, which have no bulk density.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sis_engine.analysis.rdf import PairDistribution, pair_distances, rdf
from sis_engine.records import Exploration, Frame, Labelled, Purpose
from sis_engine.report.blocks import Figure
from sis_engine.report.scale import Axis
from sis_engine.report.svg import Panel
from sis_engine.report.wording import plural

if TYPE_CHECKING:
    from sis_engine.storage.generation import GenerationRecord

MOST_PAIRS = 9
MOST_FRAMES = 150
R_MAX_ANGSTROM = 6.0
FINEST_BINS, COARSEST_BINS = 120, 40
DISTANCES_A_BIN = 50
"""Fewer would show the sampling noise, not the structure."""


@dataclass(frozen=True)
class PairComparison:
    """One element pair, model beside reference, on the same r (Å).

    kind: "g(r)" or "density / (1/Å)", of distances
    """

    system: str
    pair: tuple[str, str]
    kind: str
    r_angstrom: tuple[float, ...]
    model: tuple[float, ...]
    reference: tuple[float, ...]
    model_frames: int
    reference_frames: int
    reference_source: str


def compare_pairs(records: Sequence[GenerationRecord]) -> tuple[PairComparison, ...]:
    """For every system: the longest-lived generation's MD against reference MD."""
    found: list[PairComparison] = []
    names = sorted({run.replica.system.name for r in records for run in r.explorations})
    for system in names:
        model = model_frames(records, system)
        source, reference = reference_frames(records, system)
        if len(model) >= 2 and len(reference) >= 2:
            found.extend(_compare_system(system, model, source, reference))
    return tuple(found)


def model_frames(records: Sequence[GenerationRecord], system: str) -> list[Frame]:
    """Frames of the last generation's MD: of survivors if there are any, else before t_cp.

    The first tenth of each run is left out: it remembers its start.
    """
    for record in reversed(records):
        runs = [run for run in record.explorations if run.replica.system.name == system]
        censored = {life.replica for life in record.lives if life.censored}
        ends = {
            life.replica: life.verdict.time_fs for life in record.lives if life.verdict is not None
        }
        chosen = [run for run in runs if run.replica.id in censored] or runs
        frames = [f for run in chosen for f in _usable(run, ends.get(run.replica.id))]
        if len(frames) >= 2:
            return _thinned(frames)
    return []


def _usable(run: Exploration, end_fs: float | None) -> list[Frame]:
    last = run.md_ps * 1000.0 if end_fs is None else end_fs
    # The dense ring before the end would weigh one instant too much: sparse frames only.
    frames = [f for f in run.frames if 0.1 * last <= f.time_fs < last]
    sparse: list[Frame] = []
    gap, previous = last / 60.0, -np.inf
    for frame in frames:
        if frame.time_fs - previous >= gap and np.isfinite(frame.frame.positions).all():
            sparse.append(frame.frame)
            previous = frame.time_fs
    return sparse


def reference_frames(records: Sequence[GenerationRecord], system: str) -> tuple[str, list[Frame]]:
    """Where reference frames come from, best first: test, initial segment, later segments."""
    items = [
        item
        for record in records
        for outcome in (*record.test_outcomes, *record.outcomes)
        if outcome.system == system
        for item in outcome.labelled
    ]
    for purpose, source in (
        (Purpose.TEST, "the independent test trajectory"),
        (Purpose.INITIAL, "the initial reference segment"),
        (Purpose.SEGMENT, "reference segments started at catastrophes (not an equilibrium sample)"),
    ):
        frames = [i.frame for i in sorted(_of(items, purpose), key=_order)]
        if len(frames) >= 2:
            return source, _thinned(frames[len(frames) // 10 :])
    return "", []


def _of(items: Sequence[Labelled], purpose: Purpose) -> list[Labelled]:
    return [item for item in items if item.origin.purpose is purpose]


def _order(item: Labelled) -> tuple[int, str, int]:
    return item.origin.generation, item.origin.plan, item.origin.index


def _thinned(frames: list[Frame]) -> list[Frame]:
    stride = -(-len(frames) // MOST_FRAMES)
    return frames[::stride]


def _compare_system(
    system: str, model: list[Frame], source: str, reference: list[Frame]
) -> list[PairComparison]:
    periodic = all(all(frame.pbc) for frame in (*model, *reference))
    compared = []
    for pair in chosen_pairs(model[0].species):
        n_bins = bins_for(pair, model[0].species, min(len(model), len(reference)))
        a = _distribution(model, pair, n_bins, periodic=periodic)
        b = _distribution(reference, pair, n_bins, periodic=periodic)
        compared.append(
            PairComparison(
                system=system,
                pair=pair,
                kind="g(r)" if periodic else "density / (1/Å)",
                r_angstrom=tuple(a.r_angstrom.tolist()),
                model=tuple(a.values.tolist()),
                reference=tuple(b.values.tolist()),
                model_frames=len(model),
                reference_frames=len(reference),
                reference_source=source,
            )
        )
    return compared


def bins_for(pair: tuple[str, str], species: Sequence[str], n_frames: int) -> int:
    """As many bins as the distances of the smaller sample fill, within reason."""
    first, second = species.count(pair[0]), species.count(pair[1])
    per_frame = first * (first - 1) // 2 if pair[0] == pair[1] else first * second
    return min(max(per_frame * n_frames // DISTANCES_A_BIN, COARSEST_BINS), FINEST_BINS)


def _distribution(
    frames: list[Frame], pair: tuple[str, str], n_bins: int, *, periodic: bool
) -> PairDistribution:
    if periodic:
        return rdf(frames, pair, r_max_angstrom=R_MAX_ANGSTROM, n_bins=n_bins)
    return pair_distances(frames, pair, r_max_angstrom=R_MAX_ANGSTROM, n_bins=n_bins)


def chosen_pairs(species: Sequence[str]) -> list[tuple[str, str]]:
    """At most :data:`MOST_PAIRS` pairs: those with the rarest elements first.

    Rare elements are the ions and reactive centres whose surroundings a reader asks for; C-H and
    H-H are many and look right in any model.
    """
    amount = {element: species.count(element) for element in sorted(set(species))}
    rare = sorted(amount, key=lambda e: (amount[e], e))
    pairs = [(a, b) for i, a in enumerate(rare) for b in rare[i:] if (a != b or amount[a] > 1)]
    return pairs[:MOST_PAIRS]


def structure_figure(compared: Sequence[PairComparison]) -> Figure:
    """One panel for each pair: model solid, reference dashed."""
    if not compared:
        return Figure(
            "structure",
            "Structure",
            "",
            note="Not enough frames of MD and of reference MD to compare structures.",
        )
    first = compared[0]
    caption = (
        f"Pair distances in the model’s MD (solid; {plural(first.model_frames, 'frame')} of the "
        f"last explored generation) and in {first.reference_source} (dashed; "
        f"{plural(first.reference_frames, 'frame')}). The pairs of the rarest elements are shown. "
        f"Where only short reference MD exists its curve is a sample of few, correlated frames."
    )
    return Figure("structure", "Structure", caption, tuple(_pair_panel(item) for item in compared))


def _pair_panel(item: PairComparison) -> str:
    top = max([*item.model, *item.reference, 0.0]) or 1.0
    x = Axis("r / Å", 0.0, item.r_angstrom[-1])
    y = Axis(item.kind, 0.0, 1.08 * top, ticks=4)
    name = f"{item.pair[0]}–{item.pair[1]} ({item.system})"
    panel = Panel(name, x, y, width=300, height=190)
    panel.curve(item.r_angstrom, item.model, "c1", tip="model")
    panel.curve(item.r_angstrom, item.reference, "dashed c2", tip="reference")
    panel.legend("model", "c1")
    panel.legend("reference", "dashed c2")
    return panel.svg()

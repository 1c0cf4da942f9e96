"""What the engine puts around a labeler: packing, remedies, the bank, many points side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sis_engine.execution.core_gate import CoreGate
from sis_engine.execution.cores import FreeCores
from sis_engine.execution.packing import Timings, TimingStore
from sis_engine.execution.parsl_pool import ParslPool
from sis_engine.interfaces import Capability, Labeler
from sis_engine.labelling.banked import BankedLabeler, LabelStore, Result, keep
from sis_engine.labelling.doubt import Proven, not_counted
from sis_engine.labelling.in_flight import InFlight
from sis_engine.labelling.known_labels import ChargedLabeler
from sis_engine.labelling.remedies import Note, RemediedLabeler
from sis_engine.labelling.side_by_side import Demand, PackedLabeler, SideBySide
from sis_engine.labelling.with_charges import WithCharges
from sis_engine.records import Frame, System
from sis_engine.reference_md import LabelSource
from sis_engine.remote.account import Account
from sis_engine.remote.book import Book
from sis_engine.remote.desk import Desk
from sis_engine.remote.labeler import RemoteLabeler


def label_source(
    labeler: Labeler,
    bank: LabelStore,
    *,
    cores: int,
    exact: bool,
    note: Note,
    count: Callable[[Result], None] = not_counted,
    known: LabelStore | None = None,
    timings: TimingStore | None = None,
) -> SideBySide:
    """A source of labels that are banked, packed onto free cores, and whose failures are answered.

    cores: most that may be used;  exact: threads of a label follow from the task alone
    note: told (kind, text) of what was done about failures
    count: handed labels that nobody asked for, made to see if the program works
    known: labels of other campaigns, handed on at the price they cost
    timings: where measured times are kept
    """
    demand = Demand()
    alone = Capability.SIDE_BY_SIDE not in labeler.capabilities
    gate = CoreGate(cores, FreeCores(cores), one_at_a_time=alone)
    packed = PackedLabeler(_counted(labeler), gate, demand, Timings(timings), fixed=exact)
    answered = RemediedLabeler(packed, note, _proven_by(bank, _counted(labeler)), count)
    base = BankedLabeler(_charged(answered, known), bank)
    return SideBySide(
        _with_charges(labeler, base, bank),
        cores,
        demand,
        fixed=exact,
        known=base.is_known,
        banks=_banks(bank, known),
    )


@dataclass(frozen=True)
class Elsewhere:
    """Where labels are made when not here.

    settings: the labeler's, as the campaign file has them;  base: where its paths start
    spool: folder that the workers see too;  account: of the pool
    """

    pool: ParslPool
    settings: Mapping[str, Any]
    base: Path
    spool: Path
    account: Account


def pooled_label_source(
    labeler: Labeler,
    bank: LabelStore,
    place: Elsewhere,
    *,
    cores: int,
    exact: bool,
    note: Note,
    count: Callable[[Result], None] = not_counted,
    known: LabelStore | None = None,
) -> SideBySide:
    """The same, made by workers of a pool; what a killed engine left there is taken in first.

    cores: of this machine, for what is not labelled in the pool
    """
    counted, in_flight = _counted(labeler), InFlight()
    settings = place.settings["base"] if isinstance(labeler, WithCharges) else place.settings

    def kept(result: Result) -> None:
        keep(bank, result, at_once=False)

    book = Book(place.spool, kept, bank.flush)
    n_found = book.take_in(counted.level_of_theory)
    if n_found:
        note("taken_in", f"{n_found} labels that workers finished without an engine are taken in")
    # Charges are made here, step by step, and so are labels that others may have paid for.
    lift = known is None and not isinstance(labeler, WithCharges)
    desk = Desk(counted, settings, place.base, place.pool, book, note, place.account)
    remote = RemoteLabeler(desk, bank, in_flight, lift=lift)
    answered = RemediedLabeler(remote, note, _proven_by(bank, counted), count)
    base = BankedLabeler(_charged(answered, known), bank, in_flight, at_once=False)
    return SideBySide(
        _with_charges(labeler, base, bank),
        cores,
        Demand(),
        fixed=exact,
        known=base.is_known,
        workers=place.pool.slots,
        banks=_banks(bank, known),
    )


def _banks(bank: LabelStore, known: LabelStore | None) -> tuple[LabelStore, ...]:
    return (bank,) if known is None else (bank, known)


def _counted(labeler: Labeler) -> Labeler:
    """The labeler whose calculations are evaluations: charges beside it are not."""
    return labeler.base if isinstance(labeler, WithCharges) else labeler


def _proven_by(bank: LabelStore, labeler: Labeler) -> Proven:
    """The first frame of a system that the bank has a label of."""

    def proven(system: System) -> Frame | None:
        species = system.frame.species
        labels = bank.iterate(labeler.level_of_theory(system))
        return next((item.frame for item in labels if item.frame.species == species), None)

    return proven


def _charged(answered: LabelSource, known: LabelStore | None) -> LabelSource:
    return answered if known is None else ChargedLabeler(BankedLabeler(answered, known))


def _with_charges(labeler: Labeler, base: BankedLabeler, bank: LabelStore) -> LabelSource:
    """Charges are made within the turn of the label they belong to: they hold no core of their
    own, which a label that holds the last one would wait for in vain.
    """
    if not isinstance(labeler, WithCharges):
        return base
    return labeler.over(base, BankedLabeler(labeler.charges, bank))

"""What the engine puts around a labeler: packing, remedies, the bank, many points side by side."""

from __future__ import annotations

from sis_engine.banked import BankedLabeler, LabelStore
from sis_engine.execution.core_gate import CoreGate
from sis_engine.execution.cores import FreeCores
from sis_engine.interfaces import Capability, Labeler
from sis_engine.known_labels import ChargedLabeler
from sis_engine.packing import Timings, TimingStore
from sis_engine.reference_md import LabelSource
from sis_engine.remedies import Note, RemediedLabeler
from sis_engine.side_by_side import Demand, PackedLabeler, SideBySide
from sis_engine.with_charges import WithCharges


def label_source(
    labeler: Labeler,
    bank: LabelStore,
    *,
    cores: int,
    exact: bool,
    note: Note,
    known: LabelStore | None = None,
    timings: TimingStore | None = None,
) -> SideBySide:
    """A source of labels that are banked, packed onto free cores, and whose failures are answered.

    cores: most that may be used;  exact: threads of a label follow from the task alone
    note: told (kind, text) of what was done about failures
    known: labels of other campaigns, handed on at the price they cost
    timings: where measured times are kept
    """
    demand = Demand()
    alone = Capability.SIDE_BY_SIDE not in labeler.capabilities
    gate = CoreGate(cores, FreeCores(cores), one_at_a_time=alone)
    counted = labeler.base if isinstance(labeler, WithCharges) else labeler
    packed = PackedLabeler(counted, gate, demand, Timings(timings), fixed=exact)
    source: LabelSource = RemediedLabeler(packed, note)
    if known is not None:
        source = ChargedLabeler(BankedLabeler(source, known))
    base = BankedLabeler(source, bank)
    banked: LabelSource = base
    if isinstance(labeler, WithCharges):
        # its charges are made within the turn of the label they belong to: they hold no core of
        # their own, which a label that holds the last one would wait for in vain
        banked = labeler.over(banked, BankedLabeler(labeler.charges, bank))
    return SideBySide(banked, cores, demand, fixed=exact, known=base.is_known)

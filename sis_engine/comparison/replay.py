"""Another sampler's selection on the stored traces of a campaign: what it would have asked for.

No label is made. Where it asks for an audit it is answered with the campaign's own audit of that
generation, if there was one; it pays once for each frame that it asked for, passed or not, and what
it learns of the audited frames costs nothing more. Each generation is asked by itself: what another
sampler's labels would have done to later models is not known, and not guessed.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from sis_engine.bookkeeping import folder as campaign_folder
from sis_engine.bookkeeping.past import Past
from sis_engine.commands.status import open_ledger
from sis_engine.comparison.plan import Comparison, RunName
from sis_engine.comparison.reference import examination
from sis_engine.errors import ConfigurationError
from sis_engine.interfaces import Sampler, SamplerInput, never_stop
from sis_engine.labelling.costs import IsKnown, evaluations_of
from sis_engine.records import (
    AuditRequest,
    Cause,
    Committee,
    Decision,
    Drifted,
    DriftRequest,
    Exhausted,
    Inspected,
    InspectRequest,
    LabelPlan,
    PlanOutcome,
    Requests,
    Stable,
    label_key,
)
from sis_engine.report.paper import formula
from sis_engine.report.wording import listed
from sis_engine.samplers.stopping import StoppingSampler
from sis_engine.seeds import derive_seed
from sis_engine.setup.assembly import Parts
from sis_engine.stages.context import StageContext
from sis_engine.stages.decide import MAX_AUDITS, MAX_LOOKS, audited_frames
from sis_engine.stages.drift import drift, force_field_of
from sis_engine.stages.inspect import inspect
from sis_engine.stages.watch import rules_are_final
from sis_engine.storage.bank import LabelBank
from sis_engine.storage.generation import GenerationRecord, GenerationStore, extract_from


@dataclass(frozen=True)
class Asked:
    """One plan. times_ps: of its starts in the model's MD

    least, most: evaluations;  known: starts that the campaign itself has a label of
    """

    plan: str
    system: str
    purpose: str
    least: int
    most: int
    times_ps: tuple[float, ...]
    known: int
    reason: str


@dataclass(frozen=True)
class Selection:
    """What a sampler says to one generation.

    word: requests, audit, stable, exhausted; unknown: the stored MD does not tell (see
        :func:`select`); none: the campaign has not decided
    audits: that it asked for before it decided;  audited: was it given the result of one?
    """

    word: str
    reason: str
    asked: tuple[Asked, ...]
    audits: tuple[Asked, ...] = ()
    audited: bool = False

    @property
    def evaluations(self) -> int:
        return sum(item.least for item in (*self.audits, *self.asked))


@dataclass(frozen=True)
class ReplayedGeneration:
    """own: the campaign's decision;  others: by name"""

    generation: int
    own: Selection
    others: tuple[tuple[str, Selection], ...]


def replay(folder: Path, samplers: dict[str, Sampler]) -> tuple[ReplayedGeneration, ...]:
    """Every committed generation of a campaign, asked of each sampler."""
    found = []
    with open_ledger(folder) as ledger, tempfile.TemporaryDirectory() as scratch:
        parts = campaign_folder.parts_of(folder, ledger)
        shared = parts.config.label_bank
        store = GenerationStore(folder, ledger)
        past = Past()
        with LabelBank(folder / "labels" if shared is None else parts.path(shared)) as bank:
            known = bank.keys()
        with examination(Path(scratch) / "bench", parts, Path(scratch), never_stop) as stage:
            for row in store.committed():
                record = store.load(row)
                moment = Moment(stage, record, past, known)
                others = tuple((name, select(moment, item)) for name, item in samplers.items())
                own = _own(moment)
                found.append(ReplayedGeneration(record.number, own, others))
                past = past.after(record, None, row.sha256)
    return tuple(found)


@dataclass(frozen=True, eq=False)
class Moment:
    """A generation as a sampler meets it. known: keys of all labels that the campaign has"""

    stage: StageContext
    record: GenerationRecord
    past: Past
    known: frozenset[str]


def select(moment: Moment, sampler: Sampler) -> Selection:
    """One sampler's decision on one generation, with the campaign's own audit where it asks.

    What it wants to see of frames is worked out with the stored model. A committee is not there,
    and MD that a monitor ended of which this sampler knows nothing would have gone on: what it
    would have asked for then is *unknown*.
    """
    record = moment.record
    given = _input(moment.stage.parts, record, moment.past, sampler)
    untold = _untold(sampler, given)
    if untold is not None:
        return Selection("unknown", untold, ())
    answer = sampler.decide(given)
    audits: list[Asked] = []
    asked_for: set[tuple[str, str]] = set()
    rounds = 0
    for _ in range(MAX_AUDITS + MAX_LOOKS):
        if isinstance(answer, InspectRequest):
            given = replace(given, inspected=_inspected(moment, answer))
        elif isinstance(answer, DriftRequest):
            given = replace(given, drifted=_drifted(moment, sampler, answer))
        elif isinstance(answer, AuditRequest) and record.audits and rounds < MAX_AUDITS:
            rounds += 1
            audits += _audits_asked(moment, answer, asked_for)
            given = _audited_by_the_campaign(given, record, answer)
        else:
            break
        answer = sampler.decide(given)
    decision = (
        Exhausted("it kept asking to inspect")
        if isinstance(answer, InspectRequest | DriftRequest)
        else answer
    )
    if isinstance(decision, AuditRequest):
        audits += _audits_asked(moment, decision, asked_for)
    return Selection(
        word=_word(decision),
        reason=decision.reason,
        asked=_asked_by(moment, decision, given.is_labelled),
        audits=tuple(audits),
        audited=rounds > 0,
    )


def _audits_asked(
    moment: Moment, request: AuditRequest, asked_for: set[tuple[str, str]]
) -> list[Asked]:
    """Plans of one audit. asked_for: frames of those before, which cost nothing more; added to"""
    found = [
        _asked(moment, plan, lambda system, frame: (system, frame.key) in asked_for)
        for plan in request.plans
    ]
    asked_for |= {(plan.system, start.frame.key) for plan in request.plans for start in plan.starts}
    return found


def _audited_by_the_campaign(
    given: SamplerInput, record: GenerationRecord, request: AuditRequest
) -> SamplerInput:
    """The campaign's last audit as the answer; a first look is told as one of so many frames."""
    own = record.audits[-1].result
    n_frames = min(own.errors.n_frames, sum(len(plan.starts) for plan in request.plans))
    told = replace(
        own,
        errors=replace(own.errors, n_frames=n_frames),
        within_limits=own.passed or own.within_limits,
    )
    return replace(given, audit=told, audit_frames=audited_frames(record.audits))


def _untold(sampler: Sampler, given: SamplerInput) -> str | None:
    """Why the stored MD does not tell what this sampler would have done."""
    frames = [item for run in given.explorations for item in run.frames]
    if sampler.needs.members > 1 and all(item.deviation is None for item in frames):
        return "no committee watched the stored MD"
    if not isinstance(sampler, StoppingSampler) or not given.verdicts:
        return None
    if sampler.catastrophes(given):
        return None
    others = ", ".join(sorted({item.monitor for item in given.verdicts}))
    return f"the stored MD was ended by {others}; with this sampler's monitors it had gone on"


def _inspected(moment: Moment, request: InspectRequest) -> tuple[Inspected, ...]:
    record, stage = moment.record, moment.stage
    if record.model is None:
        return ()
    place = stage.folder / "models" / record.model.id
    model = extract_from(record.model, record.model_images, place)
    data = (*moment.past.parts, *record.parts)
    context = stage.context(f"inspect-{record.number}", 1)
    return inspect(stage, request, Committee(model), data, context)


def _drifted(moment: Moment, sampler: Sampler, request: DriftRequest) -> tuple[Drifted, ...]:
    """MD of the sampler's own force field, which is no label, as in a campaign."""
    stage = moment.stage.of_generation(moment.record.number)
    context = stage.context(f"drift-{moment.record.number}", 1)
    return drift(stage, request, force_field_of(sampler, stage.parts), context)


def _input(parts: Parts, record: GenerationRecord, past: Past, sampler: Sampler) -> SamplerInput:
    not_data = {item.replica for item in record.triages if item.cause is not Cause.DATA}
    return SamplerInput(
        generation=record.number,
        systems=parts.systems,
        explorations=record.explorations,
        verdicts=tuple(item for item in record.verdicts if item.replica not in not_data),
        support=record.support,
        history=past.history,
        seed=derive_seed(record.seed, record.number, "sampler"),
        conditions=sampler.conditions(parts.base_condition, record.number),
        reference_ends=past.after(record, None, "").reference_ends,
        settled=record.model is None
        or rules_are_final(parts, record.number, record.model, record.support),
    )


def _own(moment: Moment) -> Selection:
    """What the campaign's own sampler said, and the audits that it had."""
    record = moment.record
    paid = {(item.origin.system, item.frame.key) for item in audited_frames(record.audits)}
    decision = record.decision
    return Selection(
        word="none" if decision is None else _word(decision),
        reason="" if decision is None else decision.reason,
        asked=_asked_by(moment, decision, lambda system, frame: (system, frame.key) in paid),
        audits=_audits_of(record),
        audited=bool(record.audits),
    )


def _word(decision: Decision) -> str:
    words = {Requests: "requests", AuditRequest: "audit", Stable: "stable", Exhausted: "exhausted"}
    return words[type(decision)]


def _asked_by(moment: Moment, decision: Decision | None, is_paid: IsKnown) -> tuple[Asked, ...]:
    """is_paid: labels of this generation's audits, which cost nothing more"""
    plans = decision.plans if isinstance(decision, Requests) else ()
    return tuple(_asked(moment, plan, is_paid) for plan in plans)


def _asked(moment: Moment, plan: LabelPlan, is_paid: IsKnown) -> Asked:
    parts = moment.stage.parts
    level = parts.labeler.level_of_theory(parts.system(plan.system))
    least, most = evaluations_of(plan, is_paid)
    return Asked(
        plan=plan.id,
        system=plan.system,
        purpose=plan.purpose.value,
        least=least,
        most=most,
        times_ps=tuple(s.time_fs / 1000.0 for s in plan.starts if s.time_fs is not None),
        known=sum(label_key(start.frame, level) in moment.known for start in plan.starts),
        reason=plan.reason,
    )


def _audits_of(record: GenerationRecord) -> tuple[Asked, ...]:
    """Plans of the audits that the campaign had; what a first look labelled is paid for there."""
    found: list[Asked] = []
    paid: set[tuple[str, str]] = set()
    for outcome in (item for round_ in record.audits for item in round_.outcomes):
        found.append(_audited(record, outcome, paid))
        paid |= {(outcome.system, item.frame.key) for item in outcome.labelled}
    return tuple(found)


def _audited(record: GenerationRecord, outcome: PlanOutcome, paid: set[tuple[str, str]]) -> Asked:
    """A plan of such an audit. paid: frames that had a label then"""
    times = {f.frame.key: f.time_fs for run in record.explorations for f in run.frames}
    new = sum((outcome.system, item.frame.key) not in paid for item in outcome.labelled)
    n_frames = new + len(outcome.failures)
    return Asked(
        plan=outcome.plan_id,
        system=outcome.system,
        purpose=outcome.purpose.value,
        least=n_frames,
        most=n_frames,
        times_ps=tuple(
            times[item.frame.key] / 1000.0 for item in outcome.labelled if item.frame.key in times
        ),
        known=len(outcome.labelled),
        reason=outcome.message,
    )


# --------------------------------------------------------------------------- which case


def case_of(comparison: Comparison, folder: Path) -> str:
    """The case whose systems a campaign has. Raises ConfigurationError where none or several do.

    The same systems (names and atoms) decide, or else the same elements.
    """
    names = comparison.config.case_names
    if len(names) == 1:
        return names[0]
    with open_ledger(folder) as ledger:
        own = campaign_folder.parts_of(folder, ledger)
    run = RunName("", comparison.config.baseline_arm, comparison.config.seeds[0])
    parts = {name: comparison.parts(replace(run, case=name)) for name in names}
    alike = [name for name in names if _systems(parts[name]) == _systems(own)]
    alike = alike or [name for name in names if parts[name].elements == own.elements]
    if len(alike) != 1:
        told = ", ".join(f"{item.name} of {formula(item.frame.species)}" for item in own.systems)
        fits = f"fits {listed(alike)}" if alike else "fits none of the cases"
        raise ConfigurationError(
            f"{folder} ({told}) {fits}: whose samplers are to be asked cannot be told",
            file=comparison.file,
            key="cases",
            allowed=", ".join(names),
            hint="name it: --case NAME",
        )
    return alike[0]


def _systems(parts: Parts) -> dict[str, tuple[str, ...]]:
    return {item.name: item.frame.species for item in parts.systems}

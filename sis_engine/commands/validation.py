"""All that can be wrong with a campaign, found before anything expensive starts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sis_engine.bookkeeping.budget import over_budget
from sis_engine.commands.exactness import check_exact
from sis_engine.commands.plausible import check_plausible
from sis_engine.config.file import parse_yaml, with_line
from sis_engine.errors import ConfigurationError, ProgramError, ProgramMissing, ProgramUnsuitable
from sis_engine.execution.cores import available_cores
from sis_engine.execution.pool_checks import check_pools
from sis_engine.interfaces import Context, Describer, Labeler, Monitor, MonitorContext
from sis_engine.plugins import Kind, available
from sis_engine.records import Ensemble, Quantity, System
from sis_engine.samplers.auditing import most_frames
from sis_engine.samplers.stopping import StoppingSampler
from sis_engine.setup.assembly import Parts
from sis_engine.setup.given_model import adopt_given
from sis_engine.stages.drift import KEY as FORCE_FIELD
from sis_engine.stages.drift import force_field_of
from sis_engine.stages.label import plans_at_start
from sis_engine.storage.exchange import Look, look_at

GoodTogether = set[tuple[str, str, str]]
"""(settings of a labeler, a system without its frame, the frame's key) found to go together."""


def validate(
    parts: Parts, *, given: bool = True, known: GoodTogether | None = None
) -> tuple[str, ...]:
    """Notes worth knowing; raises ConfigurationError, with its place, for the first fault.

    given: look into ``initial.data`` and load ``initial.model`` too, which takes some seconds
    known: what earlier calls found good, added to: a labeler may have to start a program for it
    """
    try:
        notes = _notes(parts, set() if known is None else known)
        if given:
            notes += _data_notes(parts)
            _check_given_model(parts)
        return notes
    except ConfigurationError as error:
        if error.file is None:
            error.file = str(parts.file)
        if error.file == str(parts.file):
            with_line(error, parse_yaml(parts.text, parts.file))
        raise


def _notes(parts: Parts, known: GoodTogether) -> tuple[str, ...]:
    conditions = [context.condition for context in _contexts(parts)]
    check_pools(parts.config.execution)
    with _program_of("labeler", parts.config.labeler):
        _check_systems(parts, parts.labeler, parts.config.labeler, known)
    with _program_of("trainer", parts.config.trainer):
        parts.trainer.check(parts.elements)
    _check_references(parts)
    parts.sampler.check(parts.config.explore.replicas)
    _check_needs(parts, known)
    _check_rounds(parts)
    _check_audit(parts)
    _check_pressure(_contexts(parts))
    with _program_of("explorer", parts.config.explorer):
        parts.explorer.check(
            model_in_lammps=runs_in_lammps(type(parts.trainer)), conditions=conditions
        )
    for context in _contexts(parts):
        for index, monitor in enumerate(parts.monitors):
            _check_monitor(index, context, monitor)
    check_exact(parts)
    plausible = check_plausible(parts)
    notes = (*_labeler_notes(parts), *_unwatched(parts), *_lone_monitor(parts), *plausible)
    return (*notes, *_beyond_the_machine(parts), *_beyond_the_budget(parts))


def _check_systems(
    parts: Parts, labeler: Labeler, settings: Mapping[str, Any], known: GoodTogether
) -> None:
    said = json.dumps(settings, sort_keys=True, default=str)
    for index, system in enumerate(parts.systems):
        named = f"{system.name} {system.charge} {system.multiplicity} {system.frozen}"
        pair = (said, named, system.frame.key)
        if pair not in known:
            _check_system(index, system, labeler)
            known.add(pair)


def _check_system(index: int, system: System, labeler: Labeler) -> None:
    """The labeler's own check, the system's name in its key turned into the place in the file."""
    try:
        labeler.check(system)
    except ConfigurationError as error:
        key, named = error.key or "", f"systems.{system.name}"
        if key == named or key.startswith(f"{named}."):
            error.key = f"systems.{index}{key.removeprefix(named)}"
        raise


def _check_audit(parts: Parts) -> None:
    """A sampler with an audit must be able to find the frames that it has to get right."""
    config = parts.sampler.config if isinstance(parts.sampler, StoppingSampler) else None
    if config is None or not config.audits:
        return
    rule, wanted = config.audit, parts.config.audit.min_frames
    if rule.frames_per_system < wanted:
        raise ConfigurationError(
            f"each audit draws {rule.frames_per_system} frames of a system, but {wanted} have to "
            "be right (audit.min_frames): none could pass",
            key="sampler.audit.frames_per_system",
            allowed=f"{wanted} or more",
            hint="or lower audit.min_frames, which weakens what `stable` says",
        )
    explore = parts.config.explore
    conditions = Counter(context.system.name for context in _contexts(parts))
    n_replicas = explore.replicas * max(conditions.values(), default=1)  # no system has more
    each = most_frames(
        parts.base_condition.duration_ps,
        explore.sampling.sparse_every_ps,
        rule.burn_in_ps,
        rule.decorrelation_fs,
    )
    if n_replicas * each < wanted:
        raise ConfigurationError(
            f"{n_replicas} replicas of {parts.base_condition.duration_ps:g} ps have {each} frames "
            f"each after sampler.audit.burn_in_ps ({rule.burn_in_ps:g}), "
            f"sampler.audit.decorrelation_fs ({rule.decorrelation_fs:g}) apart: "
            f"{n_replicas * each}, but {wanted} have to be right (audit.min_frames): no audit "
            "could pass",
            key="explore.condition.duration_ps",
            hint="longer MD, more replicas, or frames nearer to each other; of the MD one is kept "
            f"every {explore.sampling.sparse_every_ps:g} ps (explore.sampling.sparse_every_ps)",
        )


def _check_pressure(contexts: Sequence[MonitorContext]) -> None:
    """Only a cell that is periodic in all directions has a volume to change."""
    for context in contexts:
        system = context.system
        if context.condition.ensemble is Ensemble.NPT and not all(system.frame.pbc):
            raise ConfigurationError(
                f"system {system.name!r} is periodic along {system.frame.pbc}: it has no volume "
                "that a pressure could change",
                key="explore.condition.ensemble",
                allowed="nvt, or systems that are periodic in all directions",
            )


def _beyond_the_machine(parts: Parts) -> Iterator[str]:
    here = available_cores()
    if parts.cores > here:
        yield f"execution.cores is {parts.cores}; this process may use {here} on this machine"


def _beyond_the_budget(parts: Parts) -> Iterator[str]:
    """A campaign whose first round does not fit its budget would end before it began."""
    over = over_budget(
        parts.config.budget, generation=0, plans=plans_at_start(parts), spent={}, hours=0.0
    )
    if over is not None:
        yield f"it would end exhausted at once: {over.reason}"


def _lone_monitor(parts: Parts) -> Iterator[str]:
    if len(parts.monitors) == 1 and not parts.config.sampler.get("published"):
        yield (
            f"only one monitor watches ({parts.monitors[0].name}): a temperature window alone is "
            f"fooled by a cold wrong model; there are {', '.join(sorted(available(Kind.MONITOR)))}"
        )


def _labeler_notes(parts: Parts) -> Iterator[str]:
    """A labeler may have something to say of a system it can label (``notes(system)``)."""
    notes = getattr(parts.labeler, "notes", lambda _: ())
    for system in parts.systems:
        yield from notes(system)


def runs_in_lammps(trainer: type[Any]) -> bool:
    """A trainer whose models do not says so with a class attribute ``runs_in_lammps = False``."""
    return bool(getattr(trainer, "runs_in_lammps", True))


@contextmanager
def _program_of(part: str, given: dict[str, Any]) -> Iterator[None]:
    """A missing or unsuitable program as a fault of the key that names it."""
    try:
        yield
    except (ProgramMissing, ProgramUnsuitable) as error:
        key = next((f"{part}.{name}" for name in ("program", "python") if name in given), part)
        raise ConfigurationError(
            error.message, key=key, hint=error.hint or "`sis doctor` looks at every program"
        ) from error
    except ProgramError as error:
        raise ConfigurationError(str(error), key=part, hint="`sis doctor`") from error


def _contexts(parts: Parts) -> list[MonitorContext]:
    return [
        MonitorContext(system, condition, None, 0, model_elements=parts.elements)
        for system in parts.systems
        for condition in parts.sampler.conditions(parts.base_condition, 0, system)
    ]


def _check_monitor(index: int, context: MonitorContext, monitor: Monitor) -> None:
    """The monitor's own check, its key turned into the place in the file."""
    try:
        monitor.check(context)
    except ConfigurationError as error:
        last = (error.key or "").rpartition(".")[2]
        error.key = f"monitors.{index}.{last}" if last else f"monitors.{index}"
        raise


def _check_references(parts: Parts) -> None:
    """Files and folders that the campaign names must exist."""
    initial = parts.config.initial
    named = [(f"initial.data.{k}", path) for k, path in enumerate(initial.data)]
    if initial.model is not None:
        named.append(("initial.model", initial.model))
    for key, path in named:
        if not parts.path(path).exists():
            raise ConfigurationError(
                f"{str(path)!r} does not exist",
                file=parts.file,
                key=key,
                allowed="a path relative to the campaign file",
            )


def _data_notes(parts: Parts) -> tuple[str, ...]:
    """Data that cannot be imported, or are of other elements, are found before any label."""
    looks = [_look_at_data(parts, index) for index in range(len(parts.config.initial.data))]
    seen = {element for look in looks for element in look.elements}
    unknown = [element for element in parts.elements if element not in seen]
    if parts.config.initial.segment is None and unknown and all(look.whole for look in looks):
        raise ConfigurationError(
            f"no frame of the data has {', '.join(unknown)}, which the systems have: the first "
            "model would know nothing of them",
            key="initial.data",
            allowed=f"data with {', '.join(parts.elements)}, or an initial.segment besides",
        )
    ours = {(system.frame.species, system.frame.pbc) for system in parts.systems}
    return tuple(
        f"initial.data.{index} has no frame with the atoms and the periodicity of a system (its "
        f"first has {look.kinds[0].n_atoms} atoms, periodic along {look.kinds[0].pbc}): it is "
        "trained on all the same"
        for index, look in enumerate(looks)
        if not any((kind.species, kind.pbc) in ours for kind in look.kinds)
    )


def _look_at_data(parts: Parts, index: int) -> Look:
    path, key = parts.config.initial.data[index], f"initial.data.{index}"
    look = _readable(parts, path, key)
    beyond = sorted(look.elements - set(parts.elements))
    if beyond:
        raise ConfigurationError(
            f"{str(path)!r} has {', '.join(beyond)}, which no system has",
            key=key,
            allowed=f"data of {', '.join(parts.elements)}, the elements of the systems",
            hint="name a structure with them in `systems`, or leave these data out",
        )
    return look


def _readable(parts: Parts, path: Path, key: str) -> Look:
    try:
        return look_at(parts.path(path))
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{str(path)!r} cannot be imported: {error.message}",
            key=key,
            allowed=error.allowed,
            hint=error.hint,
        ) from error


def _check_given_model(parts: Parts) -> None:
    with TemporaryDirectory() as scratch, _program_of("trainer", parts.config.trainer):
        adopt_given(parts, Context(Path(scratch)))


def _check_rounds(parts: Parts) -> None:
    """Rounds end by what the sampler waits for."""
    config, key = parts.config, "explore.round_ps"
    if config.explore.round_ps is None:
        return
    if parts.sampler.needs.failures is None:
        raise ConfigurationError(
            f"sampler {config.sampler.get('type')} looks at every replica's end: none may be "
            "stopped at the end of a round",
            key=key,
            allowed="null; a number with sampler.type: sis that is not published",
        )


def _check_needs(parts: Parts, known: GoodTogether) -> None:
    """The sampler's needs must be what the other parts can give."""
    kind = parts.config.sampler["type"]
    if parts.sampler.needs.descriptors and not isinstance(parts.trainer, Describer):
        raise ConfigurationError(
            f"the sampler {kind} chooses frames by the model's descriptor, and the trainer "
            f"{parts.config.trainer['type']} gives none",
            file=parts.file,
            key="sampler",
            hint="choose frames at random (see docs/samplers.md), or use another trainer",
        )
    if parts.sampler.needs.force_field is not None:
        _check_force_field(parts, known)
    if parts.sampler.needs.members > 1 and parts.sampler.needs.watch:
        _check_looks(parts)


def _check_force_field(parts: Parts, known: GoodTogether) -> None:
    """It has to move every system, found before the first label is paid for."""
    settings = dict(parts.sampler.needs.force_field or {})
    with _program_of(FORCE_FIELD, settings):
        _check_systems(parts, force_field_of(parts.sampler, parts), settings, known)


def _check_looks(parts: Parts) -> None:
    """Trace rows and kept frames must fall on steps at which the committee is asked."""
    explore = parts.config.explore
    every = explore.sampling.deviation_every_steps
    sparse = round(1000.0 * explore.sampling.sparse_every_ps / explore.condition.timestep_fs)
    steps = {
        "trace_every_steps": explore.sampling.trace_every_steps,
        "ring_every_steps": explore.sampling.ring_every_steps,
        "sparse_every_ps": max(1, sparse),
    }
    for key, n_steps in steps.items():
        if n_steps % every:
            raise ConfigurationError(
                f"the committee is asked every {every} steps, but {key} means every {n_steps}: "
                "frames and trace rows between two looks say nothing of it",
                file=parts.file,
                key="explore.sampling.deviation_every_steps",
                allowed=f"a divisor of {', '.join(map(str, steps.values()))}",
            )


def _unwatched(parts: Parts) -> tuple[str, ...]:
    """Rules that the explorer cannot evaluate while MD runs."""
    wanted: dict[Quantity, str] = {}
    for context in _contexts(parts):
        for monitor in parts.monitors:
            for rule in monitor.halt_rules(context):
                wanted.setdefault(rule.quantity, monitor.name)
    return tuple(
        f"{parts.config.explorer['type']} does not evaluate {quantity.value} while it runs: the "
        f"{name} monitor judges it at the end of each run"
        for quantity, name in wanted.items()
        if quantity not in parts.explorer.watches
    )

"""Pure input scripts for the ``lmp`` program: any LAMMPS binary runs them.

Units are LAMMPS's ``metal``: eV, Å, ps, K, bar; frames are turned into LAMMPS's cell
orientation by :mod:`sis_engine.explorers.lammps.cell`.
"""

from __future__ import annotations

from collections.abc import Sequence

from sis_engine.errors import ConfigurationError
from sis_engine.explorers.lammps.cell import Box, box_bounds, box_of
from sis_engine.explorers.lammps.config import LammpsConfig
from sis_engine.explorers.lammps.integrator import FS_PER_PS, integrator_lines, velocity_lines
from sis_engine.explorers.lammps.rules import CompiledRules, compile_rules
from sis_engine.explorers.quantities import masses_amu
from sis_engine.interfaces import MdTask
from sis_engine.records import (
    Condition,
    FloatArray,
    Frame,
    LammpsPair,
    Model,
    Quantity,
    Replica,
    Rounds,
    Sampling,
)

NSQ_UP_TO_ATOMS = 1000
STARTED, DYNAMICS, REFUSED, ENDED = "SIS start", "SIS dynamics", "SIS refused", "SIS end"
RELAXING = "SIS minimise"
"""Said once the model has evaluated the start: from then on an error is of the physics."""
PIPE, RING, SPARSE, FINAL = "ring.pipe.bin", "ring.bin", "sparse.bin", "final.bin"
DEVIATIONS = "md.out"
GO, STOP, OVER = "go", "variable sis_stop equal 1\n", "sis_over"
"""Names of pipes that LAMMPS waits at (with the round's number), what ends it there, and where."""

RUNAWAY_EV_PER_ATOM, RUNAWAY_EV_PER_ANGSTROM = 1e4, 1e12
"""A minimisation that has fallen so far, or met such forces, is no relaxation any more."""

_IDS_PER_LINE = 20


def columns_of(replica: Replica, compiled: CompiledRules) -> tuple[tuple[str, Quantity], ...]:
    """(thermo column, quantity) of the trace, after the step."""
    standard = (
        ("temp", Quantity.TEMPERATURE),
        ("pe", Quantity.POTENTIAL_ENERGY),
        ("ke", Quantity.KINETIC_ENERGY),
        ("v_sis_heat", Quantity.HEAT),
        ("v_sis_drift", Quantity.CONSERVED_DRIFT),
        ("c_sis_maxke", Quantity.MAX_KINETIC),
        ("c_sis_maxf", Quantity.MAX_FORCE),
    )
    volume = (("vol", Quantity.VOLUME),) if all(replica.start.pbc) else ()
    return (*standard, *volume, *compiled.columns)


def frame_columns(condition: Condition) -> str:
    """Columns of a frame dump: forces are the model's, without those of a Langevin bath."""
    forces = " ".join(_force_names(condition))
    return f"id xu yu zu vx vy vz {forces} v_sis_epot"


def _force_names(condition: Condition) -> tuple[str, str, str]:
    if condition.thermostat == "langevin":
        return ("f_sis_model[1]", "f_sis_model[2]", "f_sis_model[3]")
    return ("fx", "fy", "fz")


def n_steps_of(replica: Replica) -> int:
    """MD steps still to do until the condition's duration (which counts what came before)."""
    condition = replica.condition
    left_fs = condition.duration_ps * FS_PER_PS - replica.time_offset_fs
    return max(0, round(left_fs / condition.timestep_fs))


def script(replica: Replica, task: MdTask, config: LammpsConfig) -> tuple[str, CompiledRules]:
    """The whole input script of one replica of a task, and what its halts mean."""
    box, model, sampling = box_of(replica.start), task.model, task.sampling
    compiled = compile_rules(task.rules, replica, model, sampling.trace_every_steps)
    watch = None
    if task.members:
        watch = committee_lines(model, task.members, sampling.deviation_every_steps)
    lines = [
        *setup_lines(replica.start, model, config, "start.data", watch),
        f"timestep {replica.condition.timestep_fs / FS_PER_PS!r}",
        *_group_lines(replica),
        *(_minimise_lines(replica) if replica.velocities is None else []),
        *_measure_lines(replica.condition),
        *velocity_lines(replica),
        *integrator_lines(replica, config, box),
        *compiled.measures,
        *_start_lines(replica.condition, compiled),
        *compiled.dynamics,
        *_output_lines(replica, sampling, compiled),
        f'print "{DYNAMICS}"',
        *_run_lines(replica, task.rounds, compiled),
        *(compiled.report if n_steps_of(replica) else ()),
        *_end_lines(frame_columns(replica.condition), ENDED),
    ]
    return "\n".join(lines) + "\n", compiled


def _run_lines(replica: Replica, rounds: Rounds | None, compiled: CompiledRules) -> list[str]:
    """The dynamics; with rounds, each waits for what is read from a named pipe of its own."""
    n_steps = n_steps_of(replica)
    ends = () if rounds is None else rounds.ends(replica)
    if not ends:
        return [f"run {n_steps}"]
    lines, done = ["variable sis_stop equal 0"], 0
    for number, end in ends:
        lines += [
            f"run {end - done}",
            f'if "$(step) != {end}" then "jump SELF {OVER}"',  # a rule fired before
            *compiled.leave_if_fired(end, OVER),
            f"include {GO}.{number}",
            f'if "$(v_sis_stop) == 1" then "jump SELF {OVER}"',
        ]
        done = end
    return [*lines, f"run {n_steps - done}", f"label {OVER}"]


def plain_script(replica: Replica, model: Model, config: LammpsConfig, data_file: str) -> str:
    """The MD of :func:`script` without rules and records, for whoever uses the potential.

    The model's file is named without its folder: it lies beside the script.
    """
    condition, box = replica.condition, box_of(replica.start)
    pair = model.lammps
    needed = () if pair is None else pair.environment
    is_file = pair is not None and "{file}" in pair.style
    model_file = model.deployed_file.path.name if is_file else None
    most = condition.max_minimise_steps
    minimise = f"minimize {condition.etol!r} {condition.ftol!r} {most} {10 * most}"
    dump_every = max(1, round(100.0 / condition.timestep_fs))
    lines = [
        f"# Atom types are elements, in this order: {' '.join(model.elements)}",
        *(f"# needs in the environment: {name}={value}" for name, value in needed),
        *setup_lines(replica.start, model, config, data_file, pair_lines(model, model_file)),
        f"timestep {condition.timestep_fs / FS_PER_PS!r}    # ps",
        *_group_lines(replica),
        *(["fix hold sis_frozen setforce 0.0 0.0 0.0"] if replica.system.frozen else []),
        *([minimise] if condition.minimise else []),
        "reset_timestep 0",
        "compute sis_temp sis_mobile temp",
        *velocity_lines(replica),
        *integrator_lines(replica, config, box),
        f"dump trajectory all custom {dump_every} md.lammpstrj id element xu yu zu",
        f"dump_modify trajectory sort id element {' '.join(model.elements)}",
        "thermo 100",
        "thermo_modify temp sis_temp",
        f"run {n_steps_of(replica)}",
    ]
    return "\n".join(lines) + "\n"


def setup_lines(
    frame: Frame,
    model: Model,
    config: LammpsConfig,
    data_file: str,
    pair: Sequence[str] | None = None,
) -> list[str]:
    """Units, box, atoms and the model (or, in ``pair``, the commands that load it)."""
    boundary = " ".join("p" if periodic else "s" for periodic in frame.pbc)
    # Bins of a shrink-wrapped box that an escaping atom stretches would fill the memory.
    search = "nsq" if not all(frame.pbc) and frame.n_atoms <= NSQ_UP_TO_ATOMS else "bin"
    return [
        "units metal",
        f"boundary {boundary}",
        "atom_style atomic",
        "atom_modify map array sort 0 0.0",
        "box tilt large",
        f"read_data {data_file}",
        *(pair_lines(model) if pair is None else pair),
        f"neighbor {config.skin_angstrom!r} {search}",
        "neigh_modify every 1 delay 0 check yes",
    ]


def pair_lines(model: Model, model_file: str | None = None) -> list[str]:
    """Commands that load the model."""
    pair = _pair_of(model)
    style = pair.style
    if "{file}" in style:
        style = style.replace("{file}", model_file or _path(model))
    return _loading(model, pair, style)


def committee_lines(model: Model, members: Sequence[Model], every_steps: int) -> list[str]:
    """Commands that load the model to drive, and it and the members to be compared."""
    pair = _pair_of(model)
    if pair.committee is None:
        raise ConfigurationError(
            f"models of trainer {model.trainer} cannot watch each other in LAMMPS",
            key="sampler",
            hint="use the ASE explorer (explorer.type: ase), or a sampler without a committee",
        )
    unlike = [item.id for item in members if item.elements != model.elements]
    if unlike:
        raise ConfigurationError(
            f"members {', '.join(unlike)} know other elements, or in another order, than {model.id}"
        )
    style = (
        pair.committee.replace("{files}", " ".join(_path(item) for item in (model, *members)))
        .replace("{every}", str(every_steps))
        .replace("{out}", DEVIATIONS)
    )
    return _loading(model, pair, style)


def _pair_of(model: Model) -> LammpsPair:
    if model.lammps is None:
        raise ConfigurationError(
            f"model {model.id} of trainer {model.trainer} does not say how LAMMPS loads it",
            hint="use the ASE explorer (explorer.type: ase)",
        )
    return model.lammps


def _path(model: Model) -> str:
    return str(model.deployed_file.path.absolute())


def _loading(model: Model, pair: LammpsPair, style: str) -> list[str]:
    elements = " ".join(model.elements)
    coefficients = [item.replace("{elements}", elements) for item in pair.coeff]
    return [
        *pair.preamble,
        f"pair_style {style}",
        *(f"pair_coeff {item}" for item in coefficients),
    ]


def data_text(
    frame: Frame, box: Box, model: Model, velocities: FloatArray | None, *, skewed: bool
) -> str:
    """A LAMMPS data file at full precision; ``velocities`` in Å/fs."""
    types = {element: k + 1 for k, element in enumerate(model.elements)}
    unknown = sorted(set(frame.species) - set(types))
    if unknown:
        raise ConfigurationError(
            f"model {model.id} does not know {', '.join(unknown)}",
            allowed=", ".join(model.elements),
        )
    lines = ["sis-engine", "", f"{frame.n_atoms} atoms", f"{len(types)} atom types", ""]
    for axis, (low, high) in zip("xyz", box_bounds(frame, box).tolist(), strict=True):
        lines.append(f"{low!r} {high!r} {axis}lo {axis}hi")
    if skewed:
        tilts = [float(box.lower[1, 0]), float(box.lower[2, 0]), float(box.lower[2, 1])]
        lines.append(" ".join(repr(tilt) for tilt in tilts) + " xy xz yz")
    lines += ["", "Masses", ""]
    masses = masses_amu(model.elements).tolist()
    lines += [f"{k + 1} {mass!r}" for k, mass in enumerate(masses)]
    lines += ["", "Atoms # atomic", ""]
    for k, row in enumerate(box.to_lammps(frame.positions).tolist()):
        lines.append(f"{k + 1} {types[frame.species[k]]} " + " ".join(map(repr, row)))
    if velocities is not None:
        lines += ["", "Velocities", ""]
        for k, row in enumerate((box.to_lammps(velocities) * FS_PER_PS).tolist()):
            lines.append(f"{k + 1} " + " ".join(map(repr, row)))
    return "\n".join(lines) + "\n"


def _group_lines(replica: Replica) -> list[str]:
    frozen = replica.system.frozen
    if not frozen:
        return ["group sis_mobile union all"]
    ids = [str(index + 1) for index in sorted(frozen)]
    return [
        *(
            f"group sis_frozen id {' '.join(ids[k : k + _IDS_PER_LINE])}"
            for k in range(0, len(ids), _IDS_PER_LINE)
        ),
        "group sis_mobile subtract all sis_frozen",
        "velocity sis_frozen set 0.0 0.0 0.0",
    ]


def _measure_lines(condition: Condition) -> list[str]:
    squares = "+".join(f"{name}*{name}" for name in _force_names(condition))
    # Kept before the bath adds its own: fixes act in the order in which they are defined.
    keep = condition.thermostat == "langevin"
    return [
        *(["fix sis_model all store/force"] if keep else []),
        "compute sis_temp sis_mobile temp",
        "compute sis_ke sis_mobile ke/atom",
        "compute sis_maxke sis_mobile reduce max c_sis_ke",
        f'variable sis_f atom "sqrt({squares})"',
        "compute sis_maxf sis_mobile reduce max v_sis_f",
        "variable sis_epot atom pe",
    ]


def _minimise_lines(replica: Replica) -> list[str]:
    condition = replica.condition
    if not condition.minimise:
        return []
    frozen = bool(replica.system.frozen)
    most = condition.max_minimise_steps
    # no bath yet, so these are the model's forces whatever the thermostat
    columns = "id xu yu zu vx vy vz fx fy fz v_sis_epot"
    refuse = " ".join(
        f'"{command}"'
        for command in (f"print '{STARTED}'", *_end_lines(columns, REFUSED), "quit 0")
    )
    return [
        *(["fix sis_hold sis_frozen setforce 0.0 0.0 0.0"] if frozen else []),
        "variable sis_epot atom pe",
        "thermo_style custom step pe fnorm fmax",
        "thermo_modify format float %.12g flush yes",
        "thermo 20",
        # LAMMPS's line search never ends when it begins with a NaN
        "run 0 post no",
        'variable sis_relaxes equal "(pe<1e300)*(pe>-1e300)*(fnorm<1e300)"',
        f'if "$(v_sis_relaxes) != 1" then {refuse}',
        f"print '{RELAXING}'",
        # nor does it where a model that has no bottom is followed down to a NaN
        "variable sis_unrelaxed equal $(pe:%.17g)",
        f'variable sis_relaxes equal "(pe>v_sis_unrelaxed-{RUNAWAY_EV_PER_ATOM!r}*atoms)'
        f'*(fnorm<{RUNAWAY_EV_PER_ANGSTROM!r})"',
        "fix sis_relax all halt 1 v_sis_relaxes != 1 error continue",
        f"minimize {condition.etol!r} {condition.ftol!r} {most} {10 * most}",
        *(["unfix sis_hold"] if frozen else []),
        "unfix sis_relax",
        "reset_timestep 0",
    ]


def _start_lines(condition: Condition, compiled: CompiledRules) -> list[str]:
    """Forces at the start; refuse a start that is not finite or breaks a rule already."""
    checks = [f"v_{name}" for name in compiled.start_checks]
    refuse = " ".join(
        f'"{command}"' for command in (*_end_lines(frame_columns(condition), REFUSED), "quit 0")
    )
    return [
        f"thermo_style custom step temp pe ke c_sis_maxke c_sis_maxf {' '.join(checks)}",
        "thermo_modify temp sis_temp format float %.17g flush yes line one",
        f"print '{STARTED}'",
        "run 0 post no",
        f'variable sis_start_is_good equal "{compiled.start_is_good}"',
        f'if "$(v_sis_start_is_good) != 1" then {refuse}',
        "variable sis_heat0 equal $(ecouple:%.17g)",
        "variable sis_drift0 equal $(econserve:%.17g)",
        'variable sis_heat equal "ecouple-v_sis_heat0"',
        'variable sis_drift equal "econserve-v_sis_drift0"',
    ]


def _output_lines(replica: Replica, sampling: Sampling, compiled: CompiledRules) -> list[str]:
    sparse = max(1, round(sampling.sparse_every_ps * FS_PER_PS / replica.condition.timestep_fs))
    columns = " ".join(name for name, _ in columns_of(replica, compiled))
    frame = frame_columns(replica.condition)
    return [
        f"dump sis_ring all custom {sampling.ring_every_steps} {PIPE} {frame}",
        "dump_modify sis_ring sort id",
        f"dump sis_sparse all custom {sparse} {SPARSE} {frame}",
        "dump_modify sis_sparse sort id",
        f"thermo {sampling.trace_every_steps}",
        f"thermo_style custom step {columns}",
        "thermo_modify temp sis_temp format float %.15g flush yes line one lost error",
    ]


def _end_lines(columns: str, mark: str) -> tuple[str, ...]:
    return (
        f"print '{mark} $(step)'",
        f"write_dump all custom {FINAL} {columns} modify sort id",
    )

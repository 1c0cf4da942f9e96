"""Velocities, thermostats and barostats as LAMMPS commands."""

from __future__ import annotations

import hashlib

from sis_engine.errors import ConfigurationError
from sis_engine.explorers.lammps.cell import Box
from sis_engine.explorers.lammps.config import LammpsConfig
from sis_engine.explorers.quantities import degrees_of_freedom
from sis_engine.records import Condition, Ensemble, Replica

FS_PER_PS = 1000.0
BAR_PER_GPA = 1.0e4
_LARGEST_SEED = 899_999_999  # LAMMPS's Marsaglia generator takes no larger one


def seed_for(replica: Replica, purpose: str) -> int:
    """A seed LAMMPS takes, different for each purpose."""
    digest = hashlib.sha256(f"{replica.seed}:{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "little") % _LARGEST_SEED + 1


def velocity_lines(replica: Replica) -> list[str]:
    """Degrees of freedom, and velocities drawn where none were given."""
    condition = replica.condition
    n_mobile = replica.start.n_atoms - len(replica.system.frozen)
    free = not replica.system.frozen
    rotates = free and not any(replica.start.pbc)
    dof = degrees_of_freedom(
        n_mobile,
        momentum_kept=free,
        rotation_kept=rotates and condition.thermostat != "langevin",
    )
    lines = [f"compute_modify sis_temp extra/dof {3 * n_mobile - dof}"]
    target = condition.temperature_k * condition.velocity_factor
    if replica.velocities is None and target > 0.0:
        several = free and n_mobile > 1
        lines.append(
            f"velocity sis_mobile create {target!r} {seed_for(replica, 'velocities')} "
            f"mom {'yes' if several else 'no'} rot {'yes' if rotates and several else 'no'} "
            "dist gaussian temp sis_temp"
        )
    return lines


def integrator_lines(replica: Replica, config: LammpsConfig, box: Box) -> list[str]:
    condition = replica.condition
    group = "sis_mobile"
    temperature = f"{condition.temperature_k!r} {condition.temperature_k!r}"
    damping_ps = condition.damping_fs / FS_PER_PS
    lines: list[str] = []
    barostat = ""
    if condition.ensemble is Ensemble.NPT:
        barostat = _barostat(replica, config, box)
    if condition.thermostat == "nose-hoover":
        style = "npt" if barostat else "nvt"
        lines.append(
            f"fix sis_md {group} {style} temp {temperature} {damping_ps!r} "
            f"tchain {config.chain_length}{barostat}"
        )
        lines.append("fix_modify sis_md temp sis_temp")
        return lines
    lines.append(f"fix sis_md {group} {'nph' if barostat else 'nve'}{barostat}")
    if barostat:
        lines.append("fix_modify sis_md temp sis_temp")
    seed = seed_for(replica, "thermostat")
    if condition.thermostat == "langevin":
        zero = "yes" if not replica.system.frozen and replica.start.n_atoms > 1 else "no"
        lines.append(
            f"fix sis_bath {group} langevin {temperature} {damping_ps!r} {seed} "
            f"tally yes zero {zero}"
        )
    elif condition.thermostat == "csvr":
        lines.append(f"fix sis_bath {group} temp/csvr {temperature} {damping_ps!r} {seed}")
    else:
        raise _unknown_thermostat(condition)
    lines.append("fix_modify sis_bath temp sis_temp")
    return lines


def _unknown_thermostat(condition: Condition) -> ConfigurationError:
    return ConfigurationError(
        f"condition {condition.name}: unknown thermostat {condition.thermostat!r}",
        allowed="nose-hoover, langevin, csvr",
    )


def _barostat(replica: Replica, config: LammpsConfig, box: Box) -> str:
    condition = replica.condition
    if condition.pressure_gpa is None or not all(replica.start.pbc):
        raise ConfigurationError(
            f"condition {condition.name}: NPT needs pressure_gpa and a cell periodic in all "
            f"directions (pressure {condition.pressure_gpa}, pbc {replica.start.pbc})",
            hint="use nvt for clusters and slabs",
        )
    if replica.system.frozen:
        raise ConfigurationError(
            f"condition {condition.name}: NPT would move the {len(replica.system.frozen)} frozen "
            f"atoms of {replica.system.name} with the cell",
            hint="use nvt, or freeze nothing",
        )
    bar = condition.pressure_gpa * BAR_PER_GPA
    damping_ps = condition.pressure_damping_fs / FS_PER_PS
    # A skewed cell keeps its angles unless they are coupled too.
    return (
        f" {config.pressure_coupling} {bar!r} {bar!r} {damping_ps!r}"
        f"{' flip no' if box.is_skewed or config.pressure_coupling == 'tri' else ''}"
    )

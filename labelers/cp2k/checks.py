"""All that can be wrong with a system, found before anything expensive starts."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from ase.data import atomic_numbers

from labelers.cp2k import motion
from labelers.cp2k.config import Gfn1Method, TemplateMethod
from labelers.cp2k.failures import abort_message
from labelers.cp2k.input import Job, box_of, force_eval, structure
from labelers.cp2k.launch import INPUT, LONE_RANK, Launcher
from labelers.cp2k.level import level_of
from labelers.cp2k.template import read_template
from labelers.electrons import check_electrons
from labelers.geometry import check_geometry
from labelers.openmpi import find_mpirun
from sis_engine.errors import ConfigurationError
from sis_engine.records import SegmentSpec, System

LAST_GFN1_ELEMENT = 86
_ANSWER_S = 120.0


def check_system(launcher: Launcher, system: System) -> None:
    """Raises ConfigurationError or ProgramError if this system cannot be labelled."""
    box_of(launcher.config, system, system.frame)
    level_of(launcher, system)
    check_electrons(system)
    method = launcher.config.method
    if isinstance(method, TemplateMethod):
        _check_kinds(method, system)
    if isinstance(method, Gfn1Method):
        _check_gfn1(system)
    check_geometry(system, launcher.config.shortest_angstrom)
    if launcher.config.ranks not in {None, 1}:
        find_mpirun(launcher.config.mpirun)
    _ask_cp2k(launcher, system)


def _check_kinds(method: TemplateMethod, system: System) -> None:
    template = read_template(method.file)
    missing = sorted(set(system.frame.species) - template.elements)
    if missing and template.method != "xtb":
        raise ConfigurationError(
            f"the template {method.file.name} has no &KIND for {', '.join(missing)}",
            key="labeler.method.file",
            allowed="a &KIND called by its element's symbol for every element",
        )


def _check_gfn1(system: System) -> None:
    unknown = sorted(
        {s for s in system.frame.species if not 0 < atomic_numbers[s] <= LAST_GFN1_ELEMENT}
    )
    if unknown:
        raise ConfigurationError(
            f"GFN1-xTB has no parameters for {', '.join(unknown)}",
            key=f"systems.{system.name}",
            allowed="H to Rn",
        )


def _ask_cp2k(launcher: Launcher, system: System) -> None:
    """CP2K's own check of the input it would be given: its version knows its keywords best."""
    config = launcher.config
    physics = force_eval(config, system)
    kinds: tuple[str, ...] = system.frame.species
    if system.frozen and not isinstance(config.method, Gfn1Method):
        physics, kinds = motion.with_heavy_kinds(physics, system), motion.kinds_of(system)
    box = box_of(config, system, system.frame)
    job = Job("MD", physics, motion.md(SegmentSpec(2, 0.5, 300.0), 1, None))
    text = job.text(structure(box, kinds, system.frame.positions))
    with tempfile.TemporaryDirectory(prefix="sis-cp2k-") as folder:
        (Path(folder) / INPUT).write_text(text, encoding="utf-8")
        done = subprocess.run(
            [str(launcher.executable), "--check", INPUT],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_ANSWER_S,
            check=False,
            env={**os.environ, **dict(launcher.environment), **LONE_RANK},
        )
    if "SUCCESS" not in done.stdout:
        said = abort_message(done.stdout) or done.stdout.strip() or done.stderr.strip()
        raise ConfigurationError(
            f"CP2K {launcher.build.version} refuses the input for system {system.name!r}: {said}",
            key="labeler.method",
            hint="a keyword of another version of CP2K?",
        )

"""The level of theory: all that changes a label's value, and nothing else."""

from __future__ import annotations

from labelers.cp2k.config import DftMethod, TemplateMethod
from labelers.cp2k.data import DataFolder
from labelers.cp2k.input import box_edge
from labelers.cp2k.launch import Launcher
from labelers.cp2k.template import Template, read_template
from labelers.k_points import k_grid
from sis_engine.records import LevelOfTheory, System

Settings = dict[str, str | int | float | bool | None]

INPUT_FORM = 1
"""Raised when what we write for the same settings gives other values."""


def level_of(launcher: Launcher, system: System) -> LevelOfTheory:
    """Raises ConfigurationError where the data files lack an entry, ProgramError without CP2K."""
    config, data = launcher.config, launcher.data
    settings: Settings = {
        "charge": system.charge,
        "multiplicity": system.multiplicity,
        "input_form": INPUT_FORM,
    }
    if not all(system.frame.pbc):
        settings["box_angstrom"] = box_edge(config, system)
    method = config.method
    if isinstance(method, TemplateMethod):
        template = read_template(method.file)
        name = f"template {template.method}"
        settings |= {"template": template.fingerprint} | _template_data(template, data)
    else:
        settings["eps_scf"] = config.scf.eps_scf
        if isinstance(method, DftMethod):
            name = method.name
            settings |= _dft(method, system, data)
        else:
            name = "GFN1-xTB"
            settings |= {f"data:{file}": data.table(file) for file in ("xTB_parameters",)}
    return LevelOfTheory(
        program="cp2k",
        version_class=launcher.build.version,
        method=name,
        settings=tuple(sorted(settings.items())),
    )


def _dft(method: DftMethod, system: System, data: DataFolder) -> Settings:
    found: Settings = {
        "cutoff_rydberg": method.cutoff_rydberg,
        "relative_cutoff_rydberg": method.relative_cutoff_rydberg,
        "smearing_k": method.smearing_k,
    }
    if method.smearing_k is not None:
        found["empty_orbitals"] = method.empty_orbitals
    grid = k_grid(method.k_spacing_per_angstrom, system.frame)
    if grid is not None:
        found["k_points"] = "x".join(str(n) for n in grid)
    if method.dispersion != "none":
        found["data:dftd3.dat"] = data.table("dftd3.dat")
    for element in sorted(set(system.frame.species)):
        basis, potential = method.basis_of(element), method.potential_of(element)
        found[f"basis:{element}"] = f"{basis} {data.entry(method.basis_files, element, basis)}"
        entry = data.entry((method.potential_file,), element, potential)
        found[f"potential:{element}"] = f"{potential} {entry}"
    return found


def _template_data(template: Template, data: DataFolder) -> Settings:
    """Hashes of the files that the template names; CP2K's own names where it names none."""
    dft = template.force_eval["dft"]
    if template.method == "xtb":
        files = ["xTB_parameters"]
    else:
        basis = dft.get("basis_set_file_name", "BASIS_SET")
        files = [*([basis] if isinstance(basis, str) else basis)]
        files.append(dft.get("potential_file_name", "POTENTIAL"))
    return {f"data:{file}": data.table(file) for file in files}

"""What the worker process of PySCF does: one SCF with its forces, from a cold start.

Served by :mod:`sis_engine.execution.serve`. It imports only PySCF and numpy, so that the
interpreter of another environment can run it.
"""

import contextlib
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import numpy as np

Answer = dict[str, Any]

FIRST_WITH_CORE = 37
"""def2 bases describe the valence of Rb and heavier elements only."""


class NotConvergedError(Exception):
    """The SCF ran out of cycles."""

    kind = "not_converged"


class FunctionalError(Exception):
    """PySCF does not know it, or not its dispersion."""

    kind = "functional"


class BasisError(Exception):
    """PySCF does not know it, or not for all elements."""

    kind = "basis"


def start() -> None:
    """Import PySCF; it takes a second or two, on a busy machine ten."""
    import pyscf.dft
    import pyscf.grad  # noqa: F401  the slow imports, done while waiting


def versions(request: Answer, watch: Any) -> Answer:
    """Of what is installed here; ``None``: absent."""
    del request, watch
    names = ("pyscf", "pyscf-dispersion", *_GPU)
    return {"versions": {name: _version(name) for name in names}, "gpu": _gpu_name()}


_GPU = ("gpu4pyscf", "gpu4pyscf-cuda12x", "gpu4pyscf-cuda13x")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _gpu_name() -> str | None:
    """The device that gpu4pyscf would use, or ``None``."""
    try:
        import cupy
        import gpu4pyscf  # noqa: F401

        if cupy.cuda.runtime.getDeviceCount() < 1:
            return None
        return str(cupy.cuda.runtime.getDeviceProperties(0)["name"].decode())
    except Exception:  # noqa: BLE001  a broken CUDA raises what it likes: there is then no GPU
        return None


def check(request: Answer, watch: Any) -> Answer:
    """Whether PySCF knows functional and basis; how many orbitals that makes."""
    del watch
    with _molecule(request) as molecule:
        found = _parsed(request["functional"])
        return {"n_orbitals": int(molecule.nao), **found}


def label(request: Answer, watch: Any) -> Answer:
    """Energy (hartree) and its gradient (hartree/bohr)."""
    from pyscf import lib

    lib.num_threads(request["threads"])
    with _molecule(request) as molecule:
        field = _solved(molecule, request)
        watch.lap("scf")
        gradient = field.nuc_grad_method()
        gradient.grid_response = request["grid_response"]
        slopes = _numpy(gradient.kernel())
        watch.lap("forces")
        return {
            "energy": float(field.e_tot),
            "gradient": slopes.tolist(),
            "cycles": int(field.cycles),
        }


@contextlib.contextmanager
def _molecule(request: Answer) -> Iterator[Any]:
    """Atoms and basis. PySCF's own log goes to standard output, which is the request's log."""
    from pyscf import gto

    species, basis = request["species"], request["basis"]
    try:
        molecule = gto.Mole(
            atom=list(zip(species, request["positions_angstrom"], strict=True)),
            unit="Angstrom",
            basis=basis,
            ecp=_cores(species, basis),
            charge=request["charge"],
            spin=request["multiplicity"] - 1,
            verbose=4,
            max_memory=request["memory_mb"],
            symmetry=False,
        )
        molecule.build(dump_input=False, parse_arg=False)
    except (KeyError, RuntimeError, ValueError) as error:
        raise BasisError(f"{type(error).__name__}: {error}") from error
    yield molecule


def _cores(species: list[str], basis: str) -> dict[str, str]:
    from pyscf.data.elements import charge

    if not basis.lower().startswith("def2"):
        return {}
    return {symbol: basis for symbol in set(species) if charge(symbol) >= FIRST_WITH_CORE}


def _parsed(functional: str) -> Answer:
    """What PySCF makes of a functional's name."""
    from pyscf.dft import libxc
    from pyscf.scf.dispersion import DISP_VERSIONS, parse_dft, parse_disp

    try:
        core, nonlocal_part, _ = parse_dft(functional)
        libxc.parse_xc(core)
        damping, version, three_body = parse_disp(functional)
    except (KeyError, ValueError, NotImplementedError) as error:
        raise FunctionalError(f"{functional}: {error}") from error
    if version is not None and version not in DISP_VERSIONS:
        raise FunctionalError(f"{functional}: PySCF has no dispersion {version!r}")
    return {
        "core": core,
        "vv10": nonlocal_part != 0 and bool(libxc.is_nlc(core)),
        "dispersion": None if version is None else f"{version}:{damping}",
        "three_body": bool(three_body),
    }


def _solved(molecule: Any, request: Answer) -> Any:
    """The converged field. Raises NotConvergedError."""
    from pyscf import dft

    solver = request["solver"]
    field = (dft.RKS if molecule.spin == 0 else dft.UKS)(molecule, xc=request["functional"])
    _without_checkpoint(field)
    if request["density_fitting"]:
        field = field.density_fit()
    if request["gpu"]:
        field = field.to_gpu()
    field.grids.level = request["grid_level"]
    field.conv_tol = request["convergence_hartree"]
    field.max_cycle = solver["max_cycles"]
    field.level_shift = solver["level_shift"]
    field.damp = solver["damping"]
    if solver["second_order"]:
        field = field.newton()
    field.kernel()
    if not field.converged:
        raise NotConvergedError(f"SCF not converged after {solver['max_cycles']} cycles")
    return field.undo_newton() if solver["second_order"] else field


def _without_checkpoint(field: Any) -> None:
    """A label starts cold: nothing is written for later, and no file is left open."""
    opened = getattr(field, "_chkfile", None)
    if opened is not None:
        opened.close()
    field.chkfile = field._chkfile = None  # noqa: SLF001


def _numpy(array: Any) -> Any:
    """On the host, where it came from a GPU."""
    return np.asarray(array.get() if hasattr(array, "get") else array)


OPERATIONS = {"versions": versions, "check": check, "label": label}

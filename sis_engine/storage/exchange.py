"""Labelled data in the formats others use: deepmd/npy (standard and mixed) and extxyz; H5MD is in
:mod:`sis_engine.storage.exchange_h5md`.

Readers are streams of :class:`FrameSet`, at most some BLOCK_ATOMS atoms each; writers take such
streams, so that memory stays bounded however large the data are.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from sis_engine.errors import ConfigurationError
from sis_engine.records import FloatArray, Frame, FrameSet, Label
from sis_engine.storage.atomic import DurableFile, write_file, write_text
from sis_engine.storage.exchange_h5md import H5MD_SUFFIXES, read_h5md
from sis_engine.storage.generation import GenerationStore
from sis_engine.storage.ledger import LEDGER_FILE, Ledger
from sis_engine.storage.splits import charge_rows, frame_at, label_at, taken

BLOCK_ATOMS = 1_200_000
"""Atoms in hand at a time, all frames together: 29 MB of positions, as much of forces."""
CHARGE_FILES = ("atom_charge", "atomic_charge")
"""What charges are called in deepmd/npy: DeePMD-kit takes both prefixes for a label of atoms."""
FORMATS = (
    "a deepmd/npy folder, an extxyz file (.xyz, .extxyz), "
    "an H5MD file (.h5, .h5md, .hdf5) or a folder of them, or the folder of a campaign"
)

Pbc = tuple[bool, bool, bool]


def read_frames(path: Path, system: str | None = None) -> Iterator[FrameSet]:
    """Labelled frames of a folder or file in any format of FORMATS, in the order they lie there.

    system: name they get; ``None``: the folder's or file's own. ConfigurationError names the file
    and what is missing.
    """
    if (path / LEDGER_FILE).is_file():
        return read_campaign(path, system)
    if path.is_dir() and any(found.suffix in H5MD_SUFFIXES for found in path.iterdir()):
        files = sorted(found for found in path.iterdir() if found.suffix in H5MD_SUFFIXES)
        return itertools.chain.from_iterable(
            read_h5md(file, system, block_frames=block_frames) for file in files
        )
    if path.is_dir():
        return read_deepmd(path, system)
    if path.suffix in {".xyz", ".extxyz"}:
        return read_extxyz(path, system)
    if path.suffix in H5MD_SUFFIXES:
        return read_h5md(path, system, block_frames=block_frames)
    seen = (
        "there is nothing" if not path.exists() else f"no data end in {path.suffix or path.name!r}"
    )
    raise ConfigurationError(seen, file=path, allowed=FORMATS)


@dataclass(frozen=True, eq=False)
class Look:
    """What was seen of data.

    kinds: a frame of each kind (atoms in their order, periodicity);  whole: all were looked at
    """

    kinds: tuple[FrameSet, ...]
    whole: bool

    @property
    def elements(self) -> frozenset[str]:
        return frozenset(symbol for kind in self.kinds for symbol in kind.species)


def look_at(path: Path) -> Look:
    """Read a little of it, BLOCK_ATOMS atoms; ConfigurationError says what is wrong with it."""
    kinds: dict[tuple[tuple[str, ...], Pbc], FrameSet] = {}
    n_atoms = 0
    try:
        for block in read_frames(path):
            if n_atoms >= BLOCK_ATOMS:
                return Look(tuple(kinds.values()), whole=False)
            n_atoms += block.n_frames * block.n_atoms
            kinds.setdefault((block.species, block.pbc), taken(block, np.array([0])))
    except ConfigurationError:
        raise
    except Exception as error:  # ASE's and HDF5's readers raise what they like
        raise ConfigurationError(
            f"cannot be read: {type(error).__name__}: {error}", file=path, allowed=FORMATS
        ) from error
    if not kinds:
        raise ConfigurationError("there are no frames in it", file=path, allowed=FORMATS)
    return Look(tuple(kinds.values()), whole=True)


def read_campaign(folder: Path, system: str | None = None) -> Iterator[FrameSet]:
    """The data of another campaign: what its committed generations train on."""
    with Ledger(folder, read_only=True) as ledger:
        for record in GenerationStore(folder, ledger).load_all(only=("number", "parts")):
            for part in record.parts:
                yield part.frames if system is None else replace(part.frames, system=system)


def block_frames(n_atoms: int) -> int:
    """How many frames of so many atoms make a block."""
    return max(1, BLOCK_ATOMS // max(1, n_atoms))


# --------------------------------------------------------------------------- deepmd/npy


def read_deepmd(path: Path, system: str | None = None) -> Iterator[FrameSet]:
    """deepmd/npy, standard or mixed: every folder below ``path`` that has a ``type.raw``.

    Virials have our sign: dpdata's ``virials`` are -volume * stress, too.
    """
    folders = sorted(found.parent for found in path.rglob("type.raw"))
    if not folders:
        raise ConfigurationError("no type.raw in or below this folder", file=path, allowed=FORMATS)
    for folder in folders:
        name = system or folder.name
        for block in sorted(folder.glob("set.*")):
            yield from _read_set(block, _type_map(folder), name)


def _type_map(folder: Path) -> tuple[str, ...]:
    file = folder / "type_map.raw"
    if not file.is_file():
        raise ConfigurationError(
            "type_map.raw is missing, so types have no elements",
            file=folder,
            hint="write it: one element symbol a line, in the order of the types",
        )
    return tuple(file.read_text().split())


def _read_set(folder: Path, type_map: tuple[str, ...], name: str) -> Iterator[FrameSet]:
    loaded = {key: _npy(folder, key) for key in ("coord", "energy", "force", "box", "virial")}
    loaded["charge"] = next(
        (array for key in CHARGE_FILES if (array := _npy(folder, key)) is not None), None
    )
    for key in ("coord", "energy", "force"):
        if loaded[key] is None:
            raise ConfigurationError(f"{key}.npy is missing", file=folder)
    mixed = _npy(folder, "real_atom_types")
    types = np.loadtxt(folder.parent / "type.raw", dtype=np.int64, ndmin=1)
    per_frame = np.broadcast_to(types, (len(loaded["energy"]), len(types)))
    per_frame = per_frame if mixed is None else np.asarray(mixed, dtype=np.int64)
    pbc = not (folder.parent / "nopbc").exists() and loaded["box"] is not None
    for block in _runs(per_frame):
        species = tuple(type_map[k] for k in per_frame[block.start])
        yield _deepmd_block(loaded, block, species, name, (pbc, pbc, pbc))


def _deepmd_block(
    loaded: dict[str, Any], block: slice, species: tuple[str, ...], name: str, pbc: Pbc
) -> FrameSet:
    n, virial, charge = len(species), loaded["virial"], loaded["charge"]
    return FrameSet(
        system=name,
        species=species,
        pbc=pbc,
        positions=_doubles(loaded["coord"][block], (-1, n, 3)),
        cells=_doubles(loaded["box"][block], (-1, 3, 3)) if pbc[0] else None,
        energies=_doubles(loaded["energy"][block], (-1,)),
        forces=_doubles(loaded["force"][block], (-1, n, 3)),
        virials=None if virial is None else _doubles(virial[block], (-1, 3, 3)),
        charges=None if charge is None else _doubles(charge[block], (-1, n)),
    )


def write_deepmd(frames: Iterable[FrameSet], folder: Path, elements: tuple[str, ...]) -> int:
    """deepmd/npy, one folder a frame set in the order given; how many frames were written.

    Charges are ``atom_charge.npy``. DeePMD-kit takes a set without the file as "not labelled" and
    leaves it out of the loss: frames that lack charges are a set of their own, after the others.
    """
    n_frames = 0
    for number, block in enumerate(frames):
        target = folder / f"{number:04d}.{block.system}"
        types = "\n".join(str(elements.index(symbol)) for symbol in block.species)
        write_text(target / "type.raw", types + "\n")
        write_text(target / "type_map.raw", "\n".join(elements) + "\n")
        if not any(block.pbc):
            write_text(target / "nopbc", "")
        for index, one in enumerate(_by_charges(block)):
            _write_set(one, target / f"set.{index:03d}")
        n_frames += block.n_frames
    return n_frames


def _by_charges(frames: FrameSet) -> list[FrameSet]:
    """The frames with charges, then those without; empty ones left out."""
    if frames.charges is None:
        return [frames]
    has = ~np.isnan(frames.charges).any(axis=1)
    without = replace(taken(frames, np.flatnonzero(~has)), charges=None)
    return [one for one in (taken(frames, np.flatnonzero(has)), without) if one.n_frames]


def _write_set(frames: FrameSet, folder: Path) -> None:
    n, n_all = frames.n_frames, frames.n_atoms
    arrays = {
        "coord": frames.positions.reshape(n, 3 * n_all),
        "force": frames.forces.reshape(n, 3 * n_all),
        "energy": frames.energies,
        "box": _cells_or_large_box(frames).reshape(n, 9),
    }
    if frames.virials is not None:
        arrays["virial"] = frames.virials.reshape(n, 9)
    if frames.charges is not None:
        arrays[CHARGE_FILES[0]] = frames.charges
    for key, array in arrays.items():
        _write_npy(folder / f"{key}.npy", array)


def _cells_or_large_box(frames: FrameSet) -> FloatArray:
    """DeePMD wants a box even with ``nopbc``; 100 Å is what dpdata writes there."""
    if frames.cells is not None:
        return frames.cells
    return np.broadcast_to(100.0 * np.eye(3), (frames.n_frames, 3, 3))


def _write_npy(path: Path, array: FloatArray) -> None:
    def fill(file: DurableFile) -> None:
        np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)

    write_file(path, fill)


def _npy(folder: Path, key: str) -> Any:
    """A memory-mapped array, or ``None``; never unpickles."""
    file = folder / f"{key}.npy"
    if not file.is_file():
        return None
    try:
        return np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError) as error:
        raise ConfigurationError(f"cannot be read: {error}", file=file) from error


def _runs(types: Any) -> Iterator[slice]:
    """Slices of frames with the same atoms, at most one block long."""
    step = block_frames(types.shape[1])
    changes = np.flatnonzero((types[1:] != types[:-1]).any(axis=1)) + 1
    edges = [0, *(int(k) for k in changes), len(types)]
    for begin, end in itertools.pairwise(edges):
        for start in range(begin, end, step):
            yield slice(start, min(start + step, end))


def _doubles(values: Any, shape: tuple[int, ...]) -> FloatArray:
    return np.array(values, dtype=np.float64).reshape(shape)


# --------------------------------------------------------------------------- extxyz


def read_extxyz(path: Path, system: str | None = None) -> Iterator[FrameSet]:
    """Extxyz with energy and forces; stress (eV/Å³), virial (eV) and charges (e) where there are.

    Periodicity and atoms may change from frame to frame: a new set starts there.
    """
    from ase.io import iread  # half a second, which no other form of data needs

    batch: list[Atoms] = []
    name = system or path.stem
    for number, atoms in enumerate(iread(path, index=":", format="extxyz")):
        results = {} if atoms.calc is None else atoms.calc.results
        missing = [key for key in ("energy", "forces") if key not in results]
        if missing:
            raise ConfigurationError(
                f"frame {number} has no {' and no '.join(missing)}",
                file=path,
                allowed="energy=… in the comment line, forces:R:3 in Properties",
            )
        if batch and (len(batch) == block_frames(len(batch[0])) or _kind(batch[0]) != _kind(atoms)):
            yield _from_atoms(batch, name)
            batch = []
        batch.append(atoms)
    if batch:
        yield _from_atoms(batch, name)


def _kind(atoms: Atoms) -> tuple[Any, ...]:
    return atoms.symbols.get_chemical_formula("reduce"), tuple(atoms.pbc), virial_of(atoms) is None


def _from_atoms(batch: list[Atoms], name: str) -> FrameSet:
    first = batch[0]
    virials = [virial for atoms in batch if (virial := virial_of(atoms)) is not None]
    pbc = first.pbc.tolist()
    return FrameSet(
        system=name,
        species=tuple(first.get_chemical_symbols()),
        pbc=(pbc[0], pbc[1], pbc[2]),
        positions=np.stack([atoms.positions for atoms in batch]),
        cells=np.stack([atoms.cell.array for atoms in batch]) if any(pbc) else None,
        energies=np.array([atoms.calc.results["energy"] for atoms in batch]),
        forces=np.stack([atoms.calc.results["forces"] for atoms in batch]),
        virials=np.stack(virials) if virials else None,
        charges=charge_rows([atoms.calc.results.get("charges") for atoms in batch], len(first)),
    )


def virial_of(atoms: Atoms) -> FloatArray | None:
    """(3, 3), eV: as given, or -volume * stress (stress = dE/d(strain) / volume)."""
    if "virial" in atoms.info:
        return np.asarray(atoms.info["virial"], dtype=float).reshape(3, 3)
    if "stress" not in atoms.calc.results:
        return None
    stress: FloatArray = atoms.get_stress(voigt=False, apply_constraint=False)
    return -float(atoms.get_volume()) * stress


def write_extxyz(frames: Iterable[FrameSet], path: Path) -> int:
    """Extxyz with 17 significant digits, so that it reads back as it was; frames written.

    Each has its ``key``, which `sis why` takes.
    """
    n_frames = 0

    def fill(file: DurableFile) -> None:
        nonlocal n_frames
        for block in frames:
            for number in range(block.n_frames):
                file.write(_extxyz(block, number).encode())
            n_frames += block.n_frames

    write_file(path, fill)
    return n_frames


def _extxyz(frames: FrameSet, number: int) -> str:
    frame = frame_at(frames, number)
    return extxyz_text(frame, label_at(frames, number), {"key": frame.key})


def extxyz_text(
    frame: Frame, label: Label | None, facts: Mapping[str, str | int | float] | None = None
) -> str:
    """One frame of an extxyz file; stress where there is a virial, charges where there are some.

    facts: further ``key=value`` pairs of the comment line
    """
    columns, arrays = "species:S:1:pos:R:3", [frame.positions]
    told = []
    if frame.cell is not None:
        told.append(f'Lattice="{_numbers(frame.cell)}"')
    if label is not None:
        told.append(f"energy={label.energy:.17g}")
        if label.virial is not None and frame.cell is not None:
            stress = -label.virial / abs(np.linalg.det(frame.cell))
            told.append(f'stress="{_numbers(stress)}"')
        columns, arrays = f"{columns}:forces:R:3", [*arrays, label.forces]
        if label.charges is not None:
            columns, arrays = f"{columns}:charges:R:1", [*arrays, label.charges[:, None]]
    told.append(f"Properties={columns}")
    told.append(f'pbc="{" ".join("FT"[flag] for flag in frame.pbc)}"')
    told += [f"{key}={_value(value)}" for key, value in (facts or {}).items()]
    rows = np.hstack(arrays)
    lines = [f"{s} {_numbers(row)}" for s, row in zip(frame.species, rows, strict=True)]
    return "\n".join([str(frame.n_atoms), " ".join(told), *lines]) + "\n"


def _value(value: str | float) -> str:
    """Text in quotes, on one line, without what would end it."""
    if not isinstance(value, str):
        return f"{value:.17g}"
    plain = " ".join(value.split()).replace("\\", "/").replace('"', "'")
    return f'"{plain}"'


def _numbers(values: FloatArray) -> str:
    return " ".join(f"{value:.17g}" for value in values.ravel())

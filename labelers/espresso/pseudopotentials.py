"""Pseudopotentials: files by element in one folder, each known by its hash.

Like every code's data files they decide a label's value, so their SHA-256 are part of the level of
theory; their headers tell how many electrons are left and which functional they were made for.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from labelers.espresso.config import EspressoConfig
from sis_engine.errors import ConfigurationError, ProgramUnsuitable

DEBIAN = Path("/usr/share/espresso/pseudo")
INSTALL = "apt-get install quantum-espresso-data (Debian), or set labeler.pseudo_dir"
_ATTRIBUTE = {
    name: re.compile(rf"\b{name}\s*=\s*[\"']\s*(.*?)\s*[\"']", re.DOTALL)
    for name in ("element", "z_valence", "functional")
}
_OLD = {
    "element": re.compile(r"^\s*(\w+)\s+Element", re.MULTILINE),
    "z_valence": re.compile(r"^\s*([\d.]+)\s+Z valence", re.MULTILINE),
    "functional": re.compile(r"^\s*(.+?)\s+\w+\s+Exchange-Correlation", re.MULTILINE),
}
"""UPF version 1: values before their names."""
_HEADER = re.compile(r"<PP_HEADER(.*?)(?:/>|</PP_HEADER)", re.DOTALL)


@dataclass(frozen=True)
class Pseudopotential:
    """One UPF file. electrons: left to be calculated;  sha256: of its bytes"""

    file: Path
    element: str
    electrons: float
    functional: str
    sha256: str


def folder_of(config: EspressoConfig) -> Path:
    """The setting, ``ESPRESSO_PSEUDO``, then where Debian puts them."""
    found = Path(config.pseudo_dir or os.environ.get("ESPRESSO_PSEUDO") or DEBIAN)
    if not found.is_dir():
        raise ProgramUnsuitable(
            f"the folder of pseudopotentials {found} is not there", hint=INSTALL
        )
    return found


def pseudopotential(config: EspressoConfig, element: str) -> Pseudopotential:
    """Of one element. Raises ConfigurationError with what there is to choose from."""
    folder = folder_of(config)
    name = config.pseudopotentials.get(element)
    if name is None:
        raise ConfigurationError(
            f"no pseudopotential is named for {element}",
            key=f"labeler.pseudopotentials.{element}",
            allowed=_choice(folder, element),
        )
    path = folder / name
    if not path.is_file():
        raise ConfigurationError(
            f"the pseudopotential {path} is missing",
            key=f"labeler.pseudopotentials.{element}",
            allowed=_choice(folder, element),
            hint="put the file there, or set labeler.pseudo_dir to its folder",
        )
    found = _read(path)
    if found.element != element:
        raise ConfigurationError(
            f"{path} is a pseudopotential of {found.element}, not of {element}",
            key=f"labeler.pseudopotentials.{element}",
            allowed=_choice(folder, element),
        )
    return found


def example_files(elements: tuple[str, ...]) -> dict[str, str]:
    """Debian's files of one functional for all ``elements``, ``X.UPF`` for one that it lacks."""
    files = {element: _files_of(DEBIAN, element) for element in elements}

    def of(functional: str) -> dict[str, str]:
        fitting = {e: [n for n in names if f".{functional}-" in n] for e, names in files.items()}
        return {element: names[0] for element, names in fitting.items() if names}

    most = max((of(functional) for functional in ("pbe", "pbesol", "pz")), key=len)
    return {element: most.get(element, f"{element}.UPF") for element in elements}


def _files_of(folder: Path, element: str) -> list[str]:
    own = re.compile(rf"{element}[._\-]", re.IGNORECASE)
    return sorted(path.name for path in folder.glob("*.[uU][pP][fF]") if own.match(path.name))


def _choice(folder: Path, element: str) -> str:
    names = _files_of(folder, element)
    return ", ".join(names) or f"a file in {folder}, which has none of {element}"


@lru_cache(maxsize=64)
def _read(path: Path) -> Pseudopotential:
    content = path.read_bytes()
    header = _HEADER.search(content.decode(errors="replace"))
    values = {} if header is None else {name: _value(header[1], name) for name in _ATTRIBUTE}
    element, electrons = values.get("element"), values.get("z_valence")
    if element is None or electrons is None:
        raise ConfigurationError(
            f"{path} has no header of a UPF pseudopotential",
            key="labeler.pseudopotentials",
            allowed="a UPF file, version 1 or 2",
        )
    return Pseudopotential(
        path,
        element.capitalize(),
        float(electrons.replace("D", "e").replace("d", "e")),
        " ".join((values.get("functional") or "unknown").split()),
        hashlib.sha256(content).hexdigest(),
    )


def _value(header: str, name: str) -> str | None:
    found = _ATTRIBUTE[name].search(header) or _OLD[name].search(header)
    return None if found is None else found[1]

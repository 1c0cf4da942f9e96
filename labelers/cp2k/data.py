"""CP2K's data folder: basis sets, pseudopotentials and tables, each known by its hash.

A label's value depends on what these files hold, not only on the names in the input, so that their
entries' SHA-256 are part of the level of theory.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sis_engine.errors import ConfigurationError, ProgramUnsuitable

_COMMENTS = ("#", "!")


@dataclass(frozen=True)
class DataFolder:
    """The folder that CP2K reads basis sets and potentials from."""

    path: Path

    def entry(self, files: tuple[str, ...], element: str, name: str) -> str:
        """SHA-256 of the entry ``name`` of ``element`` in the first file that has it.

        Raises ConfigurationError with the names there are.
        """
        known: list[str] = []
        for file in files:
            for names, text in _entries(self._path(file)).get(element, ()):
                if name.upper() in (one.upper() for one in names):
                    return hashlib.sha256(text.encode()).hexdigest()
                known.extend(names)
        raise ConfigurationError(
            f"{element} has no entry {name!r} in {', '.join(files)} of {self.path}",
            key="labeler.method",
            allowed=", ".join(sorted(set(known))) or f"nothing: {element} is not in there",
            hint="name another one for this element: basis_by_element, potential_by_element",
        )

    def table(self, file: str) -> str:
        """SHA-256 of a whole file."""
        return _sha256(self._path(file))

    def _path(self, file: str) -> Path:
        path = self.path / file  # an absolute file stands for itself
        if not path.is_file():
            raise ProgramUnsuitable(
                f"CP2K's data file {path} is missing",
                hint="apt-get install cp2k-data, or set labeler.data_dir",
            )
        return path


@lru_cache(maxsize=16)
def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@lru_cache(maxsize=16)
def _entries(path: Path) -> dict[str, tuple[tuple[tuple[str, ...], str], ...]]:
    """Entries by element: their names, and their numbers with the white space taken out.

    An entry begins with a line ``Element name [alias …]``; all of its other lines are numbers.
    """
    found: dict[str, list[tuple[tuple[str, ...], list[str]]]] = {}
    lines: list[str] = []
    for raw in path.read_text(encoding="utf-8", errors="replace").splitlines():
        words = raw.split("#", 1)[0].split("!", 1)[0].split()
        if not words or raw.lstrip().startswith(_COMMENTS):
            continue
        if words[0][0].isalpha() and len(words) > 1:
            lines = []
            found.setdefault(words[0].capitalize(), []).append((tuple(words[1:]), lines))
        else:
            lines.append(" ".join(words))
    return {
        element: tuple((names, "\n".join(body)) for names, body in entries)
        for element, entries in found.items()
    }

"""What pw.x prints: its version, its ranks, and why it stopped.

Energies, forces and stress are not read here: they come over the socket, in all their digits.
"""

from __future__ import annotations

import re

_VERSION = re.compile(r"Program PWSCF v\.?\s*(\S+) +starts")
_RANKS = re.compile(r"Parallel version .*running on\s+(\d+) processors?")
_SERIAL = re.compile(r"^ +Serial (?:multi-threaded )?version", re.MULTILINE)
_CORES = re.compile(r"Number of MPI processes:\s+(\d+)")
_NO_POOLS = "invalid number of pools, out of range"
"""Pools divide the ranks that were asked for: only a lone copy has fewer."""
_RULE = r"^ ?%{20,}\s*$"
_ERROR = re.compile(
    rf"{_RULE}\n\s*(?:task #\s+\d+\s+)?from (\w+) :\s*error #\s*(-?\d+)\s*\n(.*?){_RULE}"
    rf"|{_RULE}\n\s*Error in routine (.+?) \((-?\d+)\):\s*\n(.*?){_RULE}",
    re.MULTILINE | re.DOTALL,
)
_UNCONVERGED = re.compile(r"^\s*convergence NOT achieved.*$", re.MULTILINE)


def version_of(text: str) -> str | None:
    """``6.7MaX``"""
    found = _VERSION.search(text)
    return None if found is None else found[1]


def ranks_of(text: str) -> int | None:
    """MPI processes, ``None`` while they are not printed."""
    found = _CORES.search(text) or _RANKS.search(text)
    if found is not None:
        return int(found[1])
    return 1 if _SERIAL.search(text) or _NO_POOLS in text else None


def error_message(text: str) -> str | None:
    """The words in the last box of percent signs, as one line: ``routine: what (number)``."""
    boxes = list(_ERROR.finditer(text))
    if not boxes:
        return None
    routine, number, words = [part for part in boxes[-1].groups() if part is not None]
    return f"{routine.strip()}: {' '.join(words.split())} ({number})"


def unconverged_message(text: str) -> str | None:
    """Its own words after an SCF that did not converge."""
    found = _UNCONVERGED.search(text)
    return None if found is None else " ".join(found[0].split())

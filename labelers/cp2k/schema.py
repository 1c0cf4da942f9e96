"""The schema of CP2K's input that comes with cp2k-input-tools, read once and without its prose."""

from __future__ import annotations

import io
import threading
import xml.etree.ElementTree as ET
from functools import cache
from typing import Any

_PROSE = frozenset({"DESCRIPTION", "USAGE", "LOCATION", "REFERENCE", "DEFAULT_VALUE"})
_PARSING = threading.Lock()
"""The parser holds the tree in hand."""
_SECTIONS = frozenset({"GLOBAL", "EXT_RESTART", "MOTION", "FORCE_EVAL"})


@cache
def generator() -> Any:
    """Writes inputs. Kept: reading the schema anew would cost more than a cheap run."""
    from cp2k_input_tools.generator import CP2KInputGenerator

    return CP2KInputGenerator(io.BytesIO(_schema()))


def parsed(text: str) -> dict[str, Any]:
    """One input as a tree, keys in lower case. Raises what cp2k-input-tools raises."""
    with _PARSING:
        tree: dict[str, Any] = _parser().parse(io.StringIO(text))
    return tree


@cache
def _parser() -> Any:
    from cp2k_input_tools.parser import CP2KInputParserSimplified

    return CP2KInputParserSimplified(xmlspec=io.BytesIO(_schema()))


@cache
def _schema() -> bytes:
    """Three quarters of its 27 MB are sections that no labeler writes, and explanations."""
    from cp2k_input_tools import DEFAULT_CP2K_INPUT_XML

    root = ET.parse(DEFAULT_CP2K_INPUT_XML).getroot()  # noqa: S314 - a file of a package of ours
    for section in root.findall("SECTION"):
        if section.findtext("NAME") not in _SECTIONS:
            root.remove(section)
    for parent in root.iter():
        for child in [child for child in parent if child.tag in _PROSE]:
            parent.remove(child)
    return ET.tostring(root)

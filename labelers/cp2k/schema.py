"""The schema of CP2K's input that comes with cp2k-input-tools, read once and without its prose."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from functools import cache
from typing import Any

_PROSE = frozenset({"DESCRIPTION", "USAGE", "LOCATION", "REFERENCE", "DEFAULT_VALUE"})
_SECTIONS = frozenset({"GLOBAL", "EXT_RESTART", "MOTION", "FORCE_EVAL"})


@cache
def generator() -> Any:
    """Writes inputs. Kept: reading the schema anew would cost more than a cheap run."""
    from cp2k_input_tools.generator import CP2KInputGenerator

    return CP2KInputGenerator(io.BytesIO(_schema()))


def parser(base_dir: str) -> Any:
    """Reads and checks one input. base_dir: where its ``@INCLUDE`` start"""
    from cp2k_input_tools.parser import CP2KInputParserSimplified

    return CP2KInputParserSimplified(xmlspec=io.BytesIO(_schema()), base_dir=base_dir)


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

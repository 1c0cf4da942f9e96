"""A systemd unit and a Slurm job script, filled in for one root folder."""

from __future__ import annotations

import getpass
from importlib.resources import files
from pathlib import Path
from string import Template

from sis_engine.errors import ConfigurationError

TEMPLATES = {"systemd": "sis-serve.service", "slurm": "sis-serve.sh"}


def rendered(kind: str, root: Path, program: Path, listen: str = "") -> str:
    """The text for this root. program: the ``sis`` that runs it;  listen: ``--port 8765``, …"""
    if kind not in TEMPLATES:
        raise ConfigurationError(
            f"there is no template {kind!r}", key="--print", allowed=", ".join(TEMPLATES)
        )
    for path in (root, program):
        if set(str(path)) & set(" \t\n\"'\\%$`;"):
            raise ConfigurationError(
                f"{path} has a character that a unit or a job script would misread",
                hint="use a folder without blanks, quotes, dollar and percent signs",
            )
    text = files(__package__).joinpath(TEMPLATES[kind]).read_text(encoding="utf-8")
    values = {"root": root, "program": program, "listen": listen, "user": getpass.getuser()}
    return Template(text).substitute({key: str(value) for key, value in values.items()})

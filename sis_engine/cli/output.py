"""What a command says to a program: with ``--json`` one object on standard output, nothing else.

A command that succeeds prints its own keys. One that fails prints ``{"error": {…}}`` with the parts
of the message that people read on standard error; the exit code is the same either way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

FLAG = "--json"
AsJson = Annotated[bool, typer.Option(FLAG, help="Print one JSON object, for programs.")]

PARTS_OF_AN_ERROR = ("file", "line", "key", "allowed", "hint", "directory", "path")
"""Attributes that some errors have; ``null`` in the others."""


def print_json(found: Mapping[str, Any]) -> None:
    """One JSON object; what is not known, or not finite, is ``null``."""
    from sis_engine.report.jsonable import json_text

    typer.echo(json_text(found), nl=False)


def print_error(error: Any, exit_code: int) -> None:
    """A failure as a program reads it; ``error``: one of ours, click's, or an unexpected one."""
    parts = {name: getattr(error, name, None) for name in PARTS_OF_AN_ERROR}
    if hasattr(error, "format_message"):  # click's: a missing argument has no text of its own
        told = error.format_message()
    else:
        told = str(getattr(error, "message", error))
    kind = type(error).__name__
    print_json({"error": {"kind": kind, "message": told, **parts, "exit_code": exit_code}})

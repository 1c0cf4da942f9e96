"""``sis``: thin commands. Each parses, calls the engine, prints, and returns an exit code.

0 done · 1 failed · 2 bad configuration · 3 stopped and resumable · 4 exhausted
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated, Any

import typer

from sis_engine import __version__
from sis_engine.cli import (
    campaigns,
    carving,
    comparing,
    data,
    inspect,
    labelling,
    prepare,
    rehearsing,
    serving,
)
from sis_engine.cli.output import FLAG, print_error
from sis_engine.errors import SisError

app = typer.Typer(
    name="sis",
    help="Active learning of interatomic potentials by stability-indicated sampling.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for module in (
    prepare,
    campaigns,
    comparing,
    inspect,
    data,
    labelling,
    carving,
    serving,
    rehearsing,
):
    module.register(app)


def _say_version(wanted: bool) -> None:  # noqa: FBT001 - typer's signature
    if wanted:
        typer.echo(f"sis-engine {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_say_version, is_eager=True, help="Print the version and leave."
        ),
    ] = False,
) -> None:
    del version


USAGE_ERROR = next(k for k in typer.BadParameter.__mro__ if k.__name__ == "ClickException")
"""Base of what a wrong call raises: click's own class, or the copy that newer typers bring."""

TRACEBACK_SWITCH = "SIS_TRACEBACK"
"""Environment variable: set it to see where an unexpected error came from."""


def _unexpected(error: Exception) -> int:
    """A fault that is not one of ours: one line, and how to see more."""
    if isinstance(error, BrokenPipeError):  # `sis status | head`
        sys.stderr.close()
        return 0
    if os.environ.get(TRACEBACK_SWITCH):
        traceback.print_exception(error)
    typer.echo(
        f"sis: unexpected {type(error).__name__}: {error}\n"
        f"  → {TRACEBACK_SWITCH}=1 shows where; please report it with that",
        err=True,
    )
    return 1


def _misused(error: Any) -> int:
    """A command that does not exist, an option that is missing or wrong."""
    error.show()
    return 2


def main() -> None:
    """Entry point: the one place where an error becomes an exit code."""
    try:
        code = app(standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        code = 3
    except SisError as error:
        typer.echo(f"sis: {error}", err=True)
        code = error.exit_code
        _tell_program(error, code)
    except Exception as error:  # noqa: BLE001 - the border to the shell
        code = _misused(error) if isinstance(error, USAGE_ERROR) else _unexpected(error)
        _tell_program(error, code)
    sys.exit(code if isinstance(code, int) else 0)


def _tell_program(error: Exception, code: int) -> None:
    """With ``--json`` a program learns of a failure where it reads everything else."""
    if FLAG in sys.argv and not isinstance(error, BrokenPipeError):
        print_error(error, code)

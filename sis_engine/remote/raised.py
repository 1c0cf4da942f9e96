"""What was raised on a worker, here: the failure of one label, or an error about more than one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, overload

from sis_engine import errors
from sis_engine.errors import InfrastructureError, ProgramFailed, ProgramHung, SisError
from sis_engine.records import Failure, Frame, LabelFailure, LevelOfTheory, Origin
from sis_engine.storage.atomic import SURROUNDINGS
from sis_engine.storage.label_stream import End


@overload
def failure_or_error(end: End) -> SisError: ...


@overload
def failure_or_error(
    end: End, frame: Frame, origin: Origin, level: LevelOfTheory
) -> LabelFailure | SisError: ...


def failure_or_error(
    end: End,
    frame: Frame | None = None,
    origin: Origin | None = None,
    level: LevelOfTheory | None = None,
) -> LabelFailure | SisError:
    """As :mod:`sis_engine.labelling.remedies` does; without a frame an error."""
    raised = _error(end)
    reason = _reason(end, raised)
    if reason is None or frame is None or origin is None or level is None:
        return raised
    place = None if end.directory is None else Path(end.directory)
    message = f"on {end.host}: {end.message}"
    return LabelFailure(frame, level, origin, reason, message, directory=place)


def _reason(end: End, raised: SisError) -> Failure | None:
    """Why one label failed; ``None``: it is about more."""
    if end.kind == "MemoryError":
        return Failure.OUT_OF_MEMORY
    if isinstance(raised, ProgramHung):
        return Failure.OUT_OF_TIME
    if isinstance(raised, ProgramFailed):
        return Failure.PROGRAM
    return None


def _error(end: End) -> SisError:
    """Of its own class, where that is one of the engine's."""
    found: Any = getattr(errors, end.kind, None)
    message = f"on {end.host}: {end.message}"
    if (
        end.kind.startswith("errno ")
        and end.kind[6:].isdigit()
        and int(end.kind[6:]) in SURROUNDINGS
    ):
        return InfrastructureError(message, hint="mend it, then go on")
    if not (isinstance(found, type) and issubclass(found, SisError)):
        return ProgramFailed(message)
    if issubclass(found, errors.ProgramError):
        place = None if end.directory is None else Path(end.directory)
        return found(message, directory=place, hint=end.hint)
    if issubclass(found, errors.StorageError):
        return InfrastructureError(message, hint=end.hint)
    return found(message, hint=end.hint)

"""Programs that a test needs: one that is not installed is a reason to skip; in CI all are."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest

from sis_engine.errors import ConfigurationError, ProgramMissing, ProgramUnsuitable


@contextlib.contextmanager
def programs() -> Iterator[None]:
    """Skip where what was refused is a program that is absent."""
    try:
        yield
    except ConfigurationError as error:
        if not _lacks_a_program(error) or os.environ.get("CI") == "true":
            raise
        pytest.skip(error.message.partition(" in /")[0])


def _lacks_a_program(error: BaseException | None) -> bool:
    """Faults are told again with their place: what was raised first is their cause."""
    while error is not None and not isinstance(error, ProgramMissing | ProgramUnsuitable):
        error = error.__cause__
    return error is not None

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


def _lacks_a_program(error: BaseException) -> bool:
    """Faults are told again with their place: what was raised first lies below."""
    seen, left = set(), [error]
    while left:
        one = left.pop()
        if isinstance(one, ProgramMissing | ProgramUnsuitable):
            return True
        seen.add(id(one))
        below = (one.__cause__, one.__context__)
        left += [item for item in below if item is not None and id(item) not in seen]
    return False

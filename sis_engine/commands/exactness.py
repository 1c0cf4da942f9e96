"""What the *exact* promise asks of settings and parts: a killed run ends with the same digest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sis_engine.errors import ConfigurationError
from sis_engine.setup.assembly import Parts


def check_exact(parts: Parts) -> None:
    """ConfigurationError where ``exact: true`` is promised and cannot be kept."""
    config = parts.config
    if not config.exact:
        return
    warm = [key for key, value in _settings(config.labeler, "warm_start") if value]
    if warm:
        raise ConfigurationError(
            "warm_start: true makes labels depend on what came before, which `exact` forbids",
            file=parts.file,
            key=warm[0],
            allowed="false, or `exact: false`",
        )
    threads = _settings(config.labeler, "threads")
    many = [(key, n) for key, n in threads if isinstance(n, int) and n > 1]
    if many:
        # Measured with tblite: two threads, three runs, three sets of last bits.
        raise ConfigurationError(
            f"labels made with {many[0][1]} OpenMP threads differ in their last bits from run to "
            "run, which `exact` forbids",
            file=parts.file,
            key=many[0][0],
            allowed="1, or `exact: false`",
        )
    for what, kind, part in (
        ("labels", "labeler", parts.labeler),
        ("MD", "explorer", parts.explorer),
    ):
        reason = inexact_because(part)
        if reason is not None:
            raise ConfigurationError(
                f"{what} cannot be kept exact: {reason}",
                file=parts.file,
                key="exact",
                allowed=f"exact: false, or settings of the {kind} that allow it",
            )


def inexact_because(part: object) -> str | None:
    """Why a part, or the base of one, cannot keep the *exact* promise; ``None``: it can."""
    for one in (part, getattr(part, "base", None)):
        reason = getattr(one, "not_exact_because", None)
        if reason is not None:
            return str(reason)
    return None


def _settings(
    given: dict[str, Any], name: str, prefix: str = "labeler"
) -> Iterator[tuple[str, Any]]:
    """(key, value) of a setting, in a labeler and in those it is made of."""
    for key, value in given.items():
        if isinstance(value, dict):
            yield from _settings(value, name, f"{prefix}.{key}")
        elif key == name:
            yield f"{prefix}.{key}", value

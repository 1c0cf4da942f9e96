"""Find a plugin by kind and name, as somebody else's plugin is found: through entry points."""

from __future__ import annotations

import difflib
import enum
import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from sis_engine.config.faults import explain, misspelt
from sis_engine.errors import ConfigurationError, PluginNotFound

Settings = TypeVar("Settings", bound=BaseModel)


class Kind(enum.Enum):
    """Kinds of plugin; the value is also the key in ``campaign.yaml``."""

    LABELER = "labeler"
    TRAINER = "trainer"
    EXPLORER = "explorer"
    MONITOR = "monitor"
    SAMPLER = "sampler"

    @property
    def group(self) -> str:
        return f"sis_engine.{self.value}s"


def available(kind: Kind) -> dict[str, EntryPoint]:
    """Entry points of a kind by name, first one found wins (distribution order)."""
    return dict(_available(kind, tuple(sys.path)))


@cache
def _available(kind: Kind, _path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """Read once for a search path: all distributions' metadata take 30 ms to go through."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=kind.group):
        found.setdefault(point.name, point)
    return found


def load(kind: Kind, name: str, *, file: Path | None = None, key: str | None = None) -> type[Any]:
    """The plugin class, or :class:`PluginNotFound` with the nearest names and an install hint."""
    points = available(kind)
    if name not in points:
        close = difflib.get_close_matches(name, points, n=1)
        hint = (
            f"did you mean {close[0]!r}?"
            if close
            else (
                f"install the package that provides it (an entry point {name!r} in group "
                f"{kind.group!r})"
            )
        )
        raise PluginNotFound(
            f"no {kind.value} is called {name!r}",
            file=file,
            key=key or f"{kind.value}.type",
            allowed=", ".join(sorted(points)) or "none is installed",
            hint=hint,
        )
    try:
        loaded: type[Any] = points[name].load()
    except ImportError as error:
        raise PluginNotFound(
            f"the {kind.value} {name!r} is registered but does not import: {error}",
            file=file,
            key=key or f"{kind.value}.type",
            hint=f"install what it needs: {points[name].value}",
        ) from error
    return loaded


def configure(
    kind: Kind,
    given: dict[str, Any],
    *,
    key: str,
    file: Path | None = None,
    base: Path | None = None,
) -> Any:
    """A plugin object from its configuration mapping (``type`` names the plugin).

    base: folder that relative paths in it start from; ``None``: the working directory
    """
    if not given.get("type"):
        raise misspelt("type", list(given), key=key, file=file) or ConfigurationError(
            "required key is missing",
            file=file,
            key=f"{key}.type",
            allowed=", ".join(sorted(available(kind))),
        )
    plugin = load(kind, str(given.get("type", "")), file=file, key=f"{key}.type")
    return plugin.from_config(validated(plugin.Config, given, key=key, file=file, base=base))


def validated(
    model: type[Settings],
    given: dict[str, Any],
    *,
    key: str,
    file: Path | None = None,
    base: Path | None = None,
) -> Settings:
    """``model(**given)``, with the first fault as a :class:`ConfigurationError`."""
    try:
        return model.model_validate(given, context={"base": base})
    except ValidationError as error:
        raise explain(error, model, prefix=key, file=file) from error

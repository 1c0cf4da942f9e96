"""What every part is handed, and what it says of its programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol, runtime_checkable

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationInfo

from sis_engine.records import Arrangement, Frame


class PluginConfig(BaseModel):
    """Base of every plugin's configuration: unknown keys are errors, values frozen and finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    type: str


def _from_the_campaign_file(path: Path, info: ValidationInfo) -> Path:
    base = (info.context or {}).get("base")
    return path if base is None or path.is_absolute() else Path(base) / path


InputPath = Annotated[Path, AfterValidator(_from_the_campaign_file)]
"""A file or folder that a plugin's configuration names: relative to the campaign file, wherever
``sis`` is called from."""


@runtime_checkable
class Progress(Protocol):
    """Where a part says how far it is. Cheap to call; never raises."""

    def __call__(
        self, done: float, total: float | None, message: str = "", **facts: float | str
    ) -> None: ...


def no_progress(done: float, total: float | None, message: str = "", **facts: float | str) -> None:
    """Says nothing."""


def never_stop() -> bool:
    """The default stop check."""
    return False


@dataclass(frozen=True)
class Context:
    """What every part is handed beside its work.

    workdir: an existing folder of its own, scratch: it survives a failure, not a commit
    threads: cores it may use
    stop: ask it often; when true raise :class:`sis_engine.errors.StopRequested` soon
    kept: a folder that all attempts at this work share: what a killed one left there may be taken
        up (a code's own restart files). ``None``: there is none
    patience: factor on time limits of its own; above one at a second try of what ran out of time
    arrangement: of replicas, as it was measured to be best; ``None``: the explorer's own
    """

    workdir: Path
    threads: int = 1
    progress: Progress = no_progress
    stop: Callable[[], bool] = never_stop
    kept: Path | None = None
    patience: float = 1.0
    arrangement: Arrangement | None = None


@dataclass(frozen=True)
class ProgramReport:
    """What ``doctor`` says of one program or package.

    found: path or module, ``None`` if absent;  problem: what is wrong, ``None`` if nothing
    mend: the command or step that mends it
    examined: whether anybody looked; if not, nothing is known of it
    """

    name: str
    found: str | None
    version: str | None
    problem: str | None = None
    mend: str | None = None
    examined: bool = True


@runtime_checkable
class KnowsVersions(Protocol):
    """A part that can say its programs' versions faster than ``doctor`` looks at them."""

    def versions(self) -> tuple[tuple[str, str], ...]:
        """(name, version), the names as in ``doctor``."""
        ...


@runtime_checkable
class GivesExample(Protocol):
    """A part with keys that only the person knows: what ``sis init`` writes for them."""

    @classmethod
    def example(cls, frame: Frame) -> dict[str, Any]:
        """Settings that work for this structure, or name what the person has to bring."""
        ...

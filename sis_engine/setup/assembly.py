"""Turn a campaign file into parts that work together, or say what is wrong before any cost."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sis_engine.config.campaign import CampaignConfig, SystemConfig
from sis_engine.config.file import parse_yaml, read_campaign_text, read_text, with_line
from sis_engine.errors import ConfigurationError
from sis_engine.execution.cores import available_cores
from sis_engine.interfaces import (
    Explorer,
    KeepsProgram,
    KnowsVersions,
    Labeler,
    Monitor,
    Sampler,
    Trainer,
)
from sis_engine.plugins import Kind, configure
from sis_engine.records import Condition, System
from sis_engine.structures import read_structure


@dataclass(frozen=True)
class Parts:
    """A campaign's parts, each built and checked on its own.

    text: the campaign file as given;  file: where it was read from, for messages
    base: the file that its relative paths start from (the original one, also in a campaign folder)
    trainings: that the one trainer does side by side, in a pool; ``None``: one
    """

    config: CampaignConfig
    text: str
    file: Path
    base: Path
    systems: tuple[System, ...]
    labeler: Labeler
    trainer: Trainer
    explorer: Explorer
    monitors: tuple[Monitor, ...]
    sampler: Sampler
    trainings: int | None = None

    @property
    def cores(self) -> int:
        return self.config.execution.cores or available_cores()

    @property
    def trainings_at_once(self) -> int:
        """Trainings that the cores allow side by side; ``trainer.threads`` is what one takes."""
        if self.trainings is not None:
            return self.trainings
        threads = self.config.trainer.get("threads", 1)
        return max(1, self.cores // threads) if isinstance(threads, int) and threads > 0 else 1

    def trainers(self, n: int) -> tuple[Trainer, ...]:
        """The campaign's trainer and n - 1 others like it, kept for the next time."""
        if self.trainings is not None:
            return (self.trainer,) * n
        while len(self._others) < n - 1:
            self._others.append(
                configure(Kind.TRAINER, self.config.trainer, key="trainer", file=self.file)
            )
        return (self.trainer, *self._others[: n - 1])

    def close_programs(self) -> None:
        """End what trainers keep running; it starts again when it is needed."""
        for trainer in (self.trainer, *self._others):
            if isinstance(trainer, KeepsProgram):
                trainer.close()

    @cached_property
    def _others(self) -> list[Trainer]:
        return []

    @property
    def elements(self) -> tuple[str, ...]:
        """All elements of all systems, sorted: the type map."""
        return tuple(sorted({s for system in self.systems for s in system.frame.species}))

    @cached_property
    def versions(self) -> tuple[tuple[str, str], ...]:
        """(name, version) of the parts' programs; asked once."""
        found: list[tuple[str, str]] = []
        for part in (self.labeler, self.trainer, self.explorer):
            if isinstance(part, KnowsVersions):
                found += part.versions()
            else:
                reports = part.doctor()
                found += [(r.name, r.version) for r in reports if r.version is not None]
        return tuple(found)

    @property
    def base_condition(self) -> Condition:
        return self.config.explore.condition.condition("md")

    def system(self, name: str) -> System:
        return next(item for item in self.systems if item.name == name)

    def path(self, given: Path) -> Path:
        """A path in the campaign file is relative to that file."""
        return given if given.is_absolute() else (self.base.parent / given).resolve()


def assemble(
    file: Path,
    text: str | None = None,
    inputs: Path | None = None,
    base: Path | None = None,
    fresh: frozenset[str] = frozenset(),
) -> Parts:
    """Parts from a campaign file, or from its text (``file`` is then for messages).

    base: the file that relative paths start from; ``None``: ``file``
    inputs: a campaign's own copies of its structures (``<system>.extxyz``), used where they exist
    fresh: systems whose structure is another one now: it is read, and the copy is not
    Raises ConfigurationError with file, key and line for the first fault.
    """
    source = read_text(file) if text is None else text
    config = read_campaign_text(source, file)
    try:
        return _build(config, source, file, base or file, _Copies(inputs, fresh))
    except ConfigurationError as error:
        if error.file is None:
            error.file = str(file)
        if error.file == str(file):
            with_line(error, parse_yaml(source, file))
        raise


@dataclass(frozen=True)
class _Copies:
    """A campaign's own copies of its structures. See :func:`assemble`."""

    folder: Path | None
    outdated: frozenset[str]

    def of(self, system: str) -> Path | None:
        """The copy that stands for the system's structure, if there is one."""
        if self.folder is None or system in self.outdated:
            return None
        copy = self.folder / f"{system}.extxyz"
        return copy if copy.is_file() else None


def _build(config: CampaignConfig, text: str, file: Path, base: Path, copies: _Copies) -> Parts:
    def plugin(kind: Kind, given: dict[str, Any], key: str) -> Any:
        return configure(kind, given, key=key, file=file, base=base.parent)

    return Parts(
        config=config,
        text=text,
        file=file,
        base=base,
        systems=tuple(
            _system(item, index, file, base, copies) for index, item in enumerate(config.systems)
        ),
        labeler=plugin(Kind.LABELER, config.labeler, "labeler"),
        trainer=plugin(Kind.TRAINER, config.trainer, "trainer"),
        explorer=plugin(Kind.EXPLORER, config.explorer, "explorer"),
        monitors=tuple(
            plugin(Kind.MONITOR, item, f"monitors.{index}")
            for index, item in enumerate(config.monitors)
        ),
        sampler=plugin(Kind.SAMPLER, config.sampler, "sampler"),
    )


def _system(given: SystemConfig, index: int, file: Path, base: Path, copies: _Copies) -> System:
    named = given.structure if given.structure.is_absolute() else base.parent / given.structure
    path = copies.of(given.name) or named
    frame = read_structure(path, key=f"systems.{index}.structure", file=file)
    beyond = [atom for atom in given.frozen if atom >= frame.n_atoms]
    if beyond:
        raise ConfigurationError(
            f"atom {beyond[0]} does not exist: {path.name} has {frame.n_atoms} atoms",
            file=file,
            key=f"systems.{index}.frozen",
            allowed=f"0 … {frame.n_atoms - 1}",
        )
    if len(set(given.frozen)) == frame.n_atoms:
        raise ConfigurationError(
            f"all {frame.n_atoms} atoms are frozen: nothing can move",
            file=file,
            key=f"systems.{index}.frozen",
            allowed=f"at most {frame.n_atoms - 1} atoms",
        )
    return System(
        name=given.name,
        frame=frame,
        charge=given.charge,
        multiplicity=given.multiplicity,
        frozen=given.frozen,
    )

"""How fast this machine runs a campaign's newest model, in every way that replicas may share it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sis_engine.bookkeeping import folder as campaign_folder
from sis_engine.commands.status import open_ledger
from sis_engine.errors import ConfigurationError
from sis_engine.execution.replica_packing import Measured, arrangements, best, has_gpu
from sis_engine.interfaces import Arrangeable, Context, MdTask
from sis_engine.records import Arrangement, Model, Replica
from sis_engine.setup.assembly import Parts
from sis_engine.storage.generation import GenerationStore, extract_from


@dataclass(frozen=True)
class Bench:
    """What was measured.

    chosen: by which so many replicas end first;  gpu: whether they shared one
    """

    system: str
    n_atoms: int
    n_replicas: int
    cores: int
    gpu: bool
    measured: tuple[Measured, ...]
    chosen: Measured

    @property
    def settings(self) -> str:
        """For the campaign file."""
        how = self.chosen.arrangement
        return f"explorer: {{threads_per_replica: {how.threads}, replicas_at_once: {how.workers}}}"


def measure(
    folder: Path,
    *,
    n_replicas: int | None = None,
    tell: Callable[[Measured], None] = lambda _: None,
) -> Bench:
    """Run replicas of the newest model of a campaign in every arrangement for some seconds.

    n_replicas: how many there are; ``None``: as many as the campaign explores at a time
    """
    with newest_model(folder) as (parts, model), tempfile.TemporaryDirectory() as scratch:
        explorer, system = parts.explorer, parts.systems[0]
        if not isinstance(explorer, Arrangeable):
            raise ConfigurationError(
                f"explorer {parts.config.explorer.get('type')} runs replicas one after the other: "
                "there is nothing to choose",
                key="explorer.type",
                hint="use explorer.type: lammps",
            )
        wanted = n_replicas or parts.config.explore.replicas
        context = Context(Path(scratch), threads=parts.cores)
        replica = Replica("bench", system, system.frame, parts.base_condition, parts.config.seed)
        task, found = MdTask(model, (replica,)), list[Measured]()
        for option in options(wanted, parts.cores):
            found.append(Measured(option, explorer.steps_per_s(task, option, context)))
            tell(found[-1])
        return Bench(
            system.name,
            system.frame.n_atoms,
            wanted,
            parts.cores,
            has_gpu(),
            tuple(found),
            best(found, wanted),
        )


def options(n_replicas: int, cores: int) -> tuple[Arrangement, ...]:
    """All that are worth a thought, whatever the campaign's settings are."""
    return arrangements(n_replicas, cores, gpu=has_gpu())


@contextmanager
def newest_model(folder: Path) -> Iterator[tuple[Parts, Model]]:
    """The parts of a campaign and its newest model, whose files lie in a scratch folder."""
    with open_ledger(folder) as ledger, tempfile.TemporaryDirectory() as scratch:
        parts = campaign_folder.parts_of(folder, ledger)
        numbers = ledger.generations()
        record = None
        if numbers:
            store = GenerationStore(folder, ledger)
            record = store.load(numbers[-1], only=frozenset({"model", "model_images"}))
        if record is None or record.model is None:
            raise ConfigurationError(
                f"{folder} has no model yet", hint=f"`sis run {folder}` makes one"
            )
        yield parts, extract_from(record.model, record.model_images, Path(scratch))

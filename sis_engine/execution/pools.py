"""Where work runs, as a person writes it: on this machine, or in pools of workers (Parsl).

A pool is one kind of work (label, train, explore) on one kind of machine. Nothing here changes a
result: queues, hosts, walltimes and group sizes are in no key and no digest.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0.0)]
KINDS = ("label", "train", "explore")
"""Kinds of work that may have a pool."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class LocalExecution(_Strict):
    """On this machine. cores: how many may be used at once; ``None``: all there are."""

    type: Literal["local"] = "local"
    cores: Count | None = None


# --------------------------------------------------------------------------- launchers


class SingleNode(_Strict):
    """Workers are started by the block's own shell: one node a block."""

    type: Literal["single_node"] = "single_node"


class Srun(_Strict):
    """``srun`` starts the workers on every node of a block. options: handed to it"""

    type: Literal["srun"] = "srun"
    options: tuple[str, ...] = ()


class MpiExec(_Strict):
    """An MPI's own launcher starts the workers on every node of a block.

    program: by absolute path, where another MPI's comes first on PATH
    """

    type: Literal["mpiexec"] = "mpiexec"
    program: Path = Path("mpiexec")
    options: tuple[str, ...] = ()


Launcher = Annotated[SingleNode | Srun | MpiExec, Field(discriminator="type")]


# --------------------------------------------------------------------------- providers


class Provider(_Strict):
    """What every provider has.

    max_blocks: jobs asked for at most, when there is work
    min_blocks: jobs held when there is none
    worker_init: shell lines that set the environment up on a node, before the workers start
    """

    max_blocks: Count = 1
    min_blocks: Annotated[int, Field(ge=0)] = 0
    worker_init: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _least_is_not_above_most(self) -> Provider:
        if self.min_blocks > self.max_blocks:
            raise ValueError(f"min_blocks {self.min_blocks} is above max_blocks {self.max_blocks}")
        return self


class LocalProvider(Provider):
    """Workers on this machine, started by Parsl: a laptop, a GPU node, a job one is already in."""

    type: Literal["local"] = "local"


class BatchProvider(Provider):
    """What every batch system has.

    walltime_minutes: of a block;  nodes_per_block: more than one needs a launcher
    drain_minutes: a block takes no new work in its last minutes
    scheduler_options: lines as they stand in a batch script ("#SBATCH --mem=8G")
    status_every_s: how often the scheduler is asked
    """

    nodes_per_block: Count = 1
    walltime_minutes: Count = 60
    drain_minutes: Annotated[float, Field(ge=0.0)] = 0.0
    scheduler_options: tuple[str, ...] = ()
    status_every_s: Positive = 30.0
    launcher: Launcher = SingleNode()

    @model_validator(mode="after")
    def _many_nodes_need_a_launcher(self) -> BatchProvider:
        if self.nodes_per_block > 1 and isinstance(self.launcher, SingleNode):
            raise ValueError(
                f"nodes_per_block {self.nodes_per_block} needs launcher: {{type: srun}} or mpiexec"
            )
        if self.drain_minutes >= self.walltime_minutes:
            raise ValueError(
                f"drain_minutes {self.drain_minutes:g} leaves nothing of walltime_minutes "
                f"{self.walltime_minutes}"
            )
        return self


class SlurmProvider(BatchProvider):
    """Blocks are Slurm jobs. cores_per_node, memory_gb, gpus_per_node: asked for per node"""

    type: Literal["slurm"] = "slurm"
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    cores_per_node: Count | None = None
    memory_gb: Count | None = None
    gpus_per_node: Count | None = None
    exclusive: bool = False


class PbsProvider(BatchProvider):
    """Blocks are PBS Pro jobs. select_options: appended to ``select`` ("ngpus=4")"""

    type: Literal["pbs"] = "pbs"
    queue: str | None = None
    account: str | None = None
    cores_per_node: Count = 1
    select_options: str = ""


class LsfProvider(BatchProvider):
    """Blocks are LSF jobs."""

    type: Literal["lsf"] = "lsf"
    queue: str | None = None
    project: str | None = None
    cores_per_node: Count | None = None


class KubernetesProvider(Provider):
    """Blocks are pods of one image that holds the engine; all see one shared volume.

    cores: of a pod
    memory: of a pod, as Kubernetes writes it ("4Gi")
    volumes: (claim, mount path)
    """

    type: Literal["kubernetes"] = "kubernetes"
    image: str
    namespace: str = "default"
    cores: Positive = 1.0
    memory: str = "2Gi"
    volumes: tuple[tuple[str, str], ...] = ()
    service_account: str | None = None


AnyProvider = Annotated[
    LocalProvider | SlurmProvider | PbsProvider | LsfProvider | KubernetesProvider,
    Field(discriminator="type"),
]


# --------------------------------------------------------------------------- pools


class Pool(_Strict):
    """Workers for one kind of work.

    cores_per_worker: of a node; also the threads that one label, training or replica may use
    workers_per_node: at most; ``None``: as many as the node's cores allow
    accelerators: GPUs of a node (a number or names); each worker sees one of them
    workers_per_accelerator: several small replicas or trainings may share one
    python: the interpreter of the engine's environment on the nodes; ``None``: the path of this one
    heartbeat_s: a node that says nothing for so long is lost, and workers whose engine says nothing
        for so long end: results that they finish until then are not lost
    idle_s: a block without work is given back after it
    give_up_after_s: no block could be had for so long: the campaign pauses, and says why
    """

    provider: AnyProvider
    cores_per_worker: Count = 1
    workers_per_node: Count | None = None
    accelerators: Count | tuple[str, ...] | None = None
    workers_per_accelerator: Count = 1
    python: Path | None = None
    heartbeat_s: Positive = 60.0
    idle_s: Positive = 120.0
    give_up_after_s: Positive = 1800.0

    @model_validator(mode="after")
    def _workers_of_a_node_are_known(self) -> Pool:
        counts = (self.workers_per_node, self.accelerators)
        cores = getattr(self.provider, "cores_per_node", None)
        if isinstance(self.provider, BatchProvider) and cores is None and not any(counts):
            raise ValueError(
                "how many workers a node has is not known: give provider.cores_per_node, "
                "workers_per_node or accelerators"
            )
        return self

    @property
    def worker_accelerators(self) -> tuple[str, ...]:
        """The accelerator of each worker of a node; empty: they have none."""
        given = self.accelerators
        names = tuple(map(str, range(given))) if isinstance(given, int) else given or ()
        return tuple(name for name in names for _ in range(self.workers_per_accelerator))

    def slots(self, cores_here: int) -> int:
        """Workers of all blocks together, as far as the configuration says."""
        provider = self.provider
        nodes = getattr(provider, "nodes_per_block", 1) * provider.max_blocks
        known = cores_here if isinstance(provider, LocalProvider) else None
        cores = getattr(provider, "cores_per_node", None) or getattr(provider, "cores", known)
        limits = [self.workers_per_node, len(self.worker_accelerators) or None]
        if cores is not None:
            limits.append(max(1, int(cores) // self.cores_per_worker))
        return int(nodes) * min((limit for limit in limits if limit is not None), default=1)


class LabelPool(Pool):
    """Workers that label.

    group: how many single points one task holds; "auto": as many as last ``group_s`` seconds, as
        measured, but no more than leave work for every worker. Each is durable on its own
    """

    group: Count | Literal["auto"] = "auto"
    group_s: Positive = 30.0


class Pools(_Strict):
    """One for each kind of work; without one that work is done where the engine runs."""

    label: LabelPool | None = None
    train: Pool | None = None
    explore: Pool | None = None

    @model_validator(mode="after")
    def _at_least_one(self) -> Pools:
        if not any(True for _ in self.given()):
            raise ValueError(f"give at least one of {', '.join(KINDS)}, or use type: local")
        return self

    def given(self) -> Iterator[tuple[str, Pool]]:
        """(kind, pool) of those there are."""
        for kind in KINDS:
            pool: Pool | None = getattr(self, kind)
            if pool is not None:
                yield kind, pool


class ParslExecution(_Strict):
    """In pools of workers. The campaign folder has to be on a file system that all of them share.

    cores: of the machine the engine runs on, for work that has no pool
    address: of that machine, as the nodes reach it; ``None``: its host name; loopback where every
        pool is local. Ports are bound to it alone, and what crosses them is encrypted
    """

    type: Literal["parsl"]
    cores: Count | None = None
    address: str | None = None
    pools: Pools

    @property
    def bound_to(self) -> str | None:
        """The address to bind to; ``None``: this machine's by its host name."""
        local = all(isinstance(pool.provider, LocalProvider) for _, pool in self.pools.given())
        return self.address or ("127.0.0.1" if local else None)


def _kind_of(given: Any) -> str | None:
    """``type`` may be left out for work on this machine."""
    if isinstance(given, dict):
        return str(given.get("type", "parsl" if "pools" in given else "local"))
    return getattr(given, "type", None)


Execution = Annotated[
    Annotated[LocalExecution, Tag("local")] | Annotated[ParslExecution, Tag("parsl")],
    Discriminator(_kind_of),
]

"""Parsl's own objects from our configuration: providers and launchers."""

from __future__ import annotations

from typing import Any

from sis_engine.execution.pools import (
    AnyProvider,
    BatchProvider,
    KubernetesProvider,
    Launcher,
    LocalProvider,
    LsfProvider,
    MpiExec,
    PbsProvider,
    SlurmProvider,
    Srun,
)

LOCAL_STATUS_S = 2.0
"""How often blocks on this machine are looked at."""


def provider_of(given: AnyProvider) -> Any:
    """The Parsl provider; its blocks are asked for when there is work, not before."""
    if isinstance(given, LocalProvider):
        return _local(given)
    if isinstance(given, SlurmProvider):
        return _slurm(given)
    if isinstance(given, PbsProvider):
        return _pbs(given)
    if isinstance(given, LsfProvider):
        return _lsf(given)
    return _kubernetes(given)


def _common(given: Any) -> dict[str, Any]:
    return {
        "init_blocks": given.min_blocks,
        "min_blocks": given.min_blocks,
        "max_blocks": given.max_blocks,
        "parallelism": 1,
        "worker_init": "\n".join(given.worker_init),
    }


def _batch(given: BatchProvider) -> dict[str, Any]:
    hours, minutes = divmod(given.walltime_minutes, 60)
    return {
        **_common(given),
        "nodes_per_block": given.nodes_per_block,
        "walltime": f"{hours:02d}:{minutes:02d}:00",
        "scheduler_options": "\n".join(given.scheduler_options),
        "launcher": _launcher(given.launcher),
    }


def _local(given: LocalProvider) -> Any:
    from parsl.providers import LocalProvider as Local

    return _asked_every(Local, LOCAL_STATUS_S)(**_common(given))


def _slurm(given: SlurmProvider) -> Any:
    from parsl.providers import SlurmProvider as Slurm

    return _asked_every(Slurm, given.status_every_s)(
        **_batch(given),
        partition=given.partition,
        account=given.account,
        qos=given.qos,
        constraint=given.constraint,
        cores_per_node=given.cores_per_node,
        mem_per_node=given.memory_gb,
        gpus_per_node=given.gpus_per_node,
        exclusive=given.exclusive,
        cmd_timeout=60,  # a busy controller takes its time; Parsl waits 10 s
    )


def _pbs(given: PbsProvider) -> Any:
    from parsl.providers import PBSProProvider

    return _asked_every(PBSProProvider, given.status_every_s)(
        **_batch(given),
        queue=given.queue,
        account=given.account,
        cpus_per_node=given.cores_per_node,
        select_options=given.select_options,
    )


def _lsf(given: LsfProvider) -> Any:
    from parsl.providers import LSFProvider

    return _asked_every(LSFProvider, given.status_every_s)(
        **_batch(given),
        queue=given.queue,
        project=given.project,
        cores_per_node=given.cores_per_node,
    )


def _kubernetes(given: KubernetesProvider) -> Any:
    from parsl.providers import KubernetesProvider as Kubernetes

    return Kubernetes(
        **_common(given),
        image=given.image,
        namespace=given.namespace,
        init_cpu=given.cores,
        max_cpu=given.cores,
        init_mem=given.memory,
        max_mem=given.memory,
        persistent_volumes=list(given.volumes),
        service_account_name=given.service_account,
    )


def _launcher(given: Launcher) -> Any:
    from parsl.launchers import MpiExecLauncher, SingleNodeLauncher, SrunLauncher

    if isinstance(given, Srun):
        return SrunLauncher(overrides=" ".join(given.options))
    if isinstance(given, MpiExec):
        return _mpiexec_by_path(MpiExecLauncher)(given)
    return SingleNodeLauncher()


def _mpiexec_by_path(launcher: type[Any]) -> Any:
    """Parsl calls whatever ``mpiexec`` is first on PATH; sites have several."""

    class ByPath(launcher):  # type: ignore[misc]
        def __init__(self, given: MpiExec) -> None:
            super().__init__(overrides=" ".join(given.options))
            self._program = str(given.program)

        def __call__(self, *arguments: Any, **more: Any) -> str:
            script: str = super().__call__(*arguments, **more)
            return script.replace("\nmpiexec ", f"\n{self._program} ")

    return ByPath


def _asked_every(provider: type[Any], seconds: float) -> type[Any]:
    """The same provider, its jobs looked at so often."""
    return type(provider.__name__, (provider,), {"status_polling_interval": seconds})

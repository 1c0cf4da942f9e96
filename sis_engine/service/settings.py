"""``ROOT/service.yaml``: what the service may use, and whom it tells."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from sis_engine.config.campaign import Count, Positive, Strict
from sis_engine.config.faults import explain
from sis_engine.config.file import parse_yaml, plain, read_text, with_line
from sis_engine.execution.cores import available_cores
from sis_engine.service.slots import Slots

Occasion = Literal["catastrophe", "paused", "stable", "exhausted", "failed"]
OCCASIONS: tuple[Occasion, ...] = ("catastrophe", "paused", "stable", "exhausted", "failed")


class CommandHook(Strict):
    """A program that is told.

    command: program and arguments; what happened comes as one JSON object on standard input
    on: occasions; all by default;  timeout_s: after which it is ended
    """

    command: Annotated[tuple[str, ...], Field(min_length=1)]
    on: tuple[Occasion, ...] = OCCASIONS
    timeout_s: Positive = 60.0


class WebHook(Strict):
    """An address that is told by POST, as JSON.

    webhook: http or https;  on: occasions; all by default
    retry_after_s: how long is waited after the first, second, … failure
    """

    webhook: Annotated[str, Field(pattern=r"^https?://[^\s/]+")]
    on: tuple[Occasion, ...] = OCCASIONS
    timeout_s: Positive = 10.0
    retry_after_s: tuple[Positive, ...] = (2.0, 10.0, 60.0)


class ServiceConfig(Strict):
    """What the service may use, and whom it tells.

    cores: how many campaigns may hold together; all by default
    gpus: as CUDA_VISIBLE_DEVICES names them, e.g. ["0", "1"]
    gpu_turns: a campaign holds its GPUs only from a training to the end of the MD that follows, and
        takes turns with the others; they label meanwhile. Not for labelers that use a GPU
    stop_within_s: after a request to stop, a campaign that still runs is killed
    retry_after_s: after an engine that died, by faults in a row; then the campaign is paused
    infrastructure_retry_after_s: the same after faults of disk or network that outlived the
        engine's own back-off
    hosts: names under which the page may be asked for, beside localhost (a tunnel's other end)
    hooks: whom to tell
    """

    cores: Count | None = None
    gpus: tuple[str, ...] = ()
    gpu_turns: bool = False
    stop_within_s: Annotated[float, Field(gt=0.0, le=25.0)] = 20.0
    retry_after_s: tuple[Positive, ...] = (5.0, 30.0, 120.0)
    infrastructure_retry_after_s: tuple[Positive, ...] = (600.0, 1800.0, 3600.0)
    hosts: tuple[str, ...] = ()
    hooks: tuple[CommandHook | WebHook, ...] = ()

    def slots(self) -> Slots:
        """Cores of this process's affinity, as many as it may use."""
        most = available_cores() if self.cores is None else self.cores
        return Slots(tuple(sorted(os.sched_getaffinity(0)))[:most], self.gpus)


def read_settings(file: Path) -> ServiceConfig:
    """Checked settings; the defaults where there is no file. Raises ConfigurationError."""
    if not file.exists():
        return ServiceConfig()
    tree = parse_yaml(read_text(file), file)
    try:
        return ServiceConfig.model_validate(plain(tree))
    except ValidationError as error:
        raise with_line(explain(error, ServiceConfig, file=file), tree) from error

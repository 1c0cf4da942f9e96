"""What Prometheus reads at ``/metrics``."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from sis_engine.service.jobs import JobState
from sis_engine.service.places import Places
from sis_engine.service.views import View
from sis_engine.service.web.stream import Shown

_FIGURES: tuple[tuple[str, str, Callable[[View], float | None]], ...] = (
    ("sis_generation", "Generation in hand, or the last", lambda v: _of(v, "generation")),
    ("sis_longest_life_ps", "Longest t_cp or life to the end", lambda v: _of(v, "longest_life_ps")),
    (
        "sis_acceleration_ratio",
        "AR: audited MD over evaluations",
        lambda v: _of(v, "acceleration_ratio"),
    ),
    ("sis_md_ps", "MD with the models, all replicas", lambda v: _of(v, "md_ps")),
    ("sis_md_steps_per_second", "MD steps over the time of EXPLORE", lambda v: v.md_steps_per_s),
    ("sis_heartbeat_age_seconds", "Since the engine said something", lambda v: v.heartbeat_s),
    (
        "sis_last_progress_seconds",
        "Unix time of the last finished stage",
        lambda v: v.last_progress,
    ),
    ("sis_stage_fraction", "Of the stage in hand", lambda v: (v.now or {}).get("fraction")),
)


def _of(view: View, name: str) -> float | None:
    value: float | None = None if view.summary is None else getattr(view.summary, name)
    return value


class _Campaigns(Collector):
    """Gauges from one look: figures of the ledger can shrink when a stage is taken back."""

    def __init__(self, shown: Shown, places: Places) -> None:
        self._shown, self._places = shown, places

    def collect(self) -> Iterator[GaugeMetricFamily]:
        views = tuple(self._shown.views.values())
        yield _states(views)
        yield _stage_seconds(views)
        yield _evaluations(views)
        yield _deaths(views)
        for name, meaning, value_of in _FIGURES:
            gauge = GaugeMetricFamily(name, meaning, labels=["campaign"])
            for view in views:
                value = value_of(view)
                if value is not None:
                    gauge.add_metric([view.name], float(value))
            yield gauge
        yield from self._service(views)

    def _service(self, views: Sequence[View]) -> Iterator[GaugeMetricFamily]:
        queue = GaugeMetricFamily("sis_queue", "Campaigns in the queue by state", labels=["state"])
        jobs = [view.job for view in views if view.job is not None]
        for state in JobState:
            queue.add_metric([state.value], sum(job.state is state for job in jobs))
        yield queue
        free = shutil.disk_usage(self._places.root).free
        yield GaugeMetricFamily("sis_disk_free_bytes", "Left where the campaigns are", value=free)
        if self._shown.beat is not None:
            age = max(0.0, time.time() - self._shown.beat)
            yield GaugeMetricFamily(
                "sis_daemon_beat_age_seconds", "Since the daemon's last sign of life", value=age
            )


def _states(views: Sequence[View]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(
        "sis_campaign_state", "1 for the state that it is in", labels=["campaign", "state"]
    )
    for view in views:
        for state in JobState:
            gauge.add_metric([view.name, state.value], float(view.state == state.value))
    return gauge


def _stage_seconds(views: Sequence[View]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(
        "sis_stage_seconds", "Wall seconds by stage, all attempts", labels=["campaign", "stage"]
    )
    for view in views:
        for stage, seconds in ({} if view.summary is None else view.summary.cost).items():
            gauge.add_metric([view.name, stage], seconds)
    return gauge


def _evaluations(views: Sequence[View]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(
        "sis_labels", "Reference calculations by outcome", labels=["campaign", "outcome"]
    )
    for view in views:
        found = view.summary
        if found is None or found.evaluations_total is None:
            continue
        failed, cached = found.evaluations_failed or 0, found.evaluations_cached or 0
        gauge.add_metric([view.name, "good"], found.evaluations_total - failed)
        gauge.add_metric([view.name, "failed"], failed)
        gauge.add_metric([view.name, "cached"], cached)
    return gauge


def _deaths(views: Sequence[View]) -> GaugeMetricFamily:
    """t_cp: the first one of the latest generation that has any life; absent where all lived."""
    gauge = GaugeMetricFamily(
        "sis_first_t_cp_ps",
        "First catastrophe of the last explored generation",
        labels=["campaign"],
    )
    for view in views:
        lives = () if view.summary is None else view.summary.survival
        last = max((life.generation for life in lives), default=None)
        died = [x.time_ps for x in lives if x.generation == last and not x.censored]
        if died:
            gauge.add_metric([view.name], min(died))
    return gauge


def metrics_text(shown: Shown, places: Places) -> bytes:
    """The exposition format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Campaigns(shown, places))
    return generate_latest(registry)

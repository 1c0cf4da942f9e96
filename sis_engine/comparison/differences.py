"""What the arms of a comparison differ in, by their settings, before anything has run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sis_engine.comparison.plan import Comparison, RunName
from sis_engine.comparison.settings import Settings, campaign_settings
from sis_engine.samplers.stopping import StoppingSampler
from sis_engine.samplers.stopping_config import StoppingConfig
from sis_engine.setup.assembly import Parts

ENDS_BY = (
    *("audit", "sampler.audit.frames_per_system", "sampler.audit.burn_in_ps"),
    *("sampler.audit.decorrelation_fs", "sampler.audit.first_look", "sampler.min_survivors"),
    *("sampler.survival_probability", "sampler.survival_confidence"),
)
"""Keys that say when a campaign is stable and right, and what it costs to find that it is not. The
rest of ``sampler.audit`` says what answers a failed audit, which is the sampler's own affair."""


@dataclass(frozen=True, eq=False)
class Phase:
    """One campaign of an arm in one case. name: the arm's, and which phase where it has several

    settings: flat, of :func:`sis_engine.comparison.settings.campaign_settings`
    """

    case: str
    arm: str
    number: int
    name: str
    parts: Parts
    settings: Settings

    @property
    def stopping(self) -> StoppingConfig | None:
        """The rule by which it may say *stable*; ``None``: without an audit, or of its own."""
        sampler = self.parts.sampler
        config = sampler.config if isinstance(sampler, StoppingSampler) else None
        return config if config is not None and config.audits else None


@dataclass(frozen=True)
class Difference:
    """A key, and each of its values with the names of the phases that have it."""

    key: str
    values: tuple[tuple[Any, tuple[str, ...]], ...]

    def __str__(self) -> str:
        told = ", ".join(f"{value} ({', '.join(names)})" for value, names in self.values)
        return f"{self.key} is {told}"


def phases_of(comparison: Comparison, case: str) -> tuple[Phase, ...]:
    """Every campaign of a case. Raises ConfigurationError naming the arm."""
    found = []
    for arm in comparison.config.arms:
        run = RunName(case, arm, comparison.config.seeds[0])
        texts = comparison.phases(run)
        for number, text in enumerate(texts):
            parts = comparison.parts(run, text)
            name = arm if len(texts) == 1 else f"phase {number + 1} of {arm}"
            found.append(Phase(case, arm, number, name, parts, campaign_settings(parts)))
    return tuple(found)


def grouped(
    phases: Sequence[Phase], of: Callable[[Phase], Any]
) -> tuple[tuple[Any, tuple[Phase, ...]], ...]:
    """Phases that are alike in what ``of`` says of them, in the order they come."""
    found: list[tuple[Any, list[Phase]]] = []
    for phase in phases:
        value = of(phase)
        alike = next((own for known, own in found if known == value), None)
        if alike is None:
            found.append((value, [phase]))
        else:
            alike.append(phase)
    return tuple((value, tuple(own)) for value, own in found)


def differences(phases: Sequence[Phase]) -> tuple[Difference, ...]:
    """Keys that are not the same in all phases; one that a phase lacks is none of its."""
    keys = dict.fromkeys(key for phase in phases for key in phase.settings)
    found = []
    for key in keys:
        having = [phase for phase in phases if key in phase.settings]
        values = grouped(having, lambda phase, key=key: phase.settings[key])  # type: ignore[misc]
        if len(values) > 1 or len(having) < len(phases):
            named = tuple((value, tuple(item.name for item in own)) for value, own in values)
            found.append(Difference(key, named))
    return tuple(found)


def end_differences(phases: Sequence[Phase]) -> tuple[Difference, ...]:
    """Keys by which audited arms end differently. Those that end without an audit are left out."""
    found = differences([phase for phase in phases if phase.stopping is not None])
    return tuple(
        item
        for item in found
        if len(item.values) > 1
        and any(item.key == key or item.key.startswith(f"{key}.") for key in ENDS_BY)
    )


def end_note(phases: Sequence[Phase]) -> str | None:
    """What is said before a comparison whose arms end by different rules; ``None``: they do not."""
    found = end_differences(phases)
    if not found:
        return None
    head = f"case {phases[0].case}: " if phases[0].case else ""
    told = "; ".join(map(str, found))
    return f"{head}arms end by different rules, so that their costs do not compare: {told}"

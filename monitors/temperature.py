"""The temperature catastrophe: T_L < T < T_H, windows from coarse to fine by generation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from monitors.rules import MonitorConfig, RuleMonitor, Violation
from monitors.thermal import (
    degrees_of_freedom,
    frame_at,
    healthy_violation_probability,
    kinetic_energies,
    kinetic_quantile,
    outliers,
    temperature_width,
)
from sis_engine.errors import ConfigurationError
from sis_engine.interfaces import MonitorContext
from sis_engine.records import HaltRule, MdFrame, Quantity, Relation

PAPER_TEMPERATURE_K = 300.0
"""The windows of the paper, [0, 1000] and [200, 500] K, are for 300 K."""


class Window(BaseModel):
    """One temperature window and the first generation it holds in.

    average_fs: compare the mean over this long; 0: the instantaneous value; ``None``: the
        shortest mean that healthy fluctuations do not carry out of the window
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    from_generation: int = Field(default=0, ge=0)
    lower_k: float = Field(ge=0.0)
    upper_k: float = Field(gt=0.0)
    average_fs: float | None = Field(default=None, ge=0.0)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.lower_k < self.upper_k:
            raise ValueError(f"lower_k {self.lower_k:g} is not below upper_k {self.upper_k:g}")
        return self


class TemperatureConfig(MonitorConfig):
    """Windows, coarse to fine.

    windows: ``None``: the paper's, scaled by T / 300 K: [5, 1000] K (0 would never fire), then
        from ``fine_from_generation`` on [200, 500] K
    fine_from_generation: 3: the paper's systems are stable after three iterations
    hard_upper_factor: T_H from step 0, instantaneous, is the largest ``upper_k`` and at least
        this times the target: 10/3 is the paper's 1000 K at 300 K, above any healthy start
    burn_in_fs: lower bounds and fine windows are not checked before: after a minimisation
        equipartition moves the kinetic temperature by a factor of two within some 100 fs
    max_healthy_violation: the chance, per replica, that a healthy run leaves the window
    correlation_fs: time between independent temperatures. Measured 17-29 fs on 21 atoms (GFN2,
        300 K, 50 fs Langevin); 30 is on the safe side for averages
    published: exactly the paper: no averages, no burn-in, windows [0, 1000] and [200, 500] K
    """

    type: Literal["temperature"] = "temperature"
    windows: tuple[Window, ...] | None = None
    fine_from_generation: int = Field(default=3, ge=0)
    hard_upper_factor: float = Field(default=10.0 / 3.0, gt=1.0)
    burn_in_fs: float = Field(default=500.0, ge=0.0)
    max_healthy_violation: float = Field(default=0.001, gt=0.0, lt=1.0)
    correlation_fs: float = Field(default=30.0, gt=0.0)
    max_average_fs: float = Field(default=2000.0, gt=0.0)
    published: bool = False

    @model_validator(mode="after")
    def _starts_at_zero(self) -> Self:
        if self.windows is not None:
            starts = [window.from_generation for window in self.windows]
            if not starts or starts[0] != 0 or starts != sorted(set(starts)):
                raise ValueError(f"windows start at {starts}, must ascend from generation 0")
        return self


class TemperatureMonitor(RuleMonitor[TemperatureConfig]):
    """Fires when the temperature leaves its window; from step 0 when it is NaN or above T_H."""

    Config = TemperatureConfig
    name = "temperature"

    def window(self, context: MonitorContext) -> Window:
        """The window of this generation."""
        windows = self._windows(context.condition.temperature_k)
        return [w for w in windows if w.from_generation <= context.generation][-1]

    def halt_rules(self, context: MonitorContext) -> tuple[HaltRule, ...]:
        window = self.window(context)
        published = self.config.published
        average = self.average_fs(window, context)
        hard = window.upper_k if published else self._hard_upper(context)
        burn_in = 0.0 if published else self.config.burn_in_fs
        rules = [self._rule(context, Relation.ABOVE, hard)]
        if window.upper_k < hard:
            rules.append(self._rule(context, Relation.ABOVE, window.upper_k, burn_in, average))
        if window.lower_k > 0.0:
            rules.append(self._rule(context, Relation.BELOW, window.lower_k, burn_in, average))
        return tuple(rules)

    def average_fs(self, window: Window, context: MonitorContext) -> float:
        """The averaging time: as given, or the shortest that healthy fluctuations survive."""
        if self.config.published:
            return 0.0
        if window.average_fs is not None:
            return window.average_fs
        average = 0.0
        while (
            self.violation_probability(window, average, context) > self.config.max_healthy_violation
            and average < self.config.max_average_fs
        ):
            average = min(
                max(1.25 * average, 2.0 * self.config.correlation_fs), self.config.max_average_fs
            )
        return average

    def violation_probability(
        self, window: Window, average_fs: float, context: MonitorContext
    ) -> float:
        """Chance that one healthy replica leaves ``window``, checked once a correlation time.

        A mean over t has the variance of t / (2 tau) independent values.
        """
        tau = self.config.correlation_fs
        values = max(1.0, average_fs / (2.0 * tau))
        return healthy_violation_probability(
            values * degrees_of_freedom(context.system),
            context.condition.temperature_k,
            window.lower_k,
            window.upper_k,
            1000.0 * context.condition.duration_ps / tau,
        )

    def check(self, context: MonitorContext) -> None:
        """Refuse windows without the target in them, and those that healthy MD would leave."""
        target = context.condition.temperature_k
        for window in self._windows(target):
            if not window.lower_k < target < window.upper_k:
                raise ConfigurationError(
                    f"the target temperature {target:g} K is not inside the window "
                    f"[{window.lower_k:g}, {window.upper_k:g}] K",
                    key="monitors.temperature.windows",
                    allowed="lower_k < temperature_k < upper_k",
                    hint="leave `windows` out to have the paper's windows scaled to the target",
                )
            if not self.config.published:
                self._check_healthy(window, context)
        start = target * context.condition.velocity_factor
        if not self.config.published and start >= self._hard_upper(context):
            raise ConfigurationError(
                f"MD starts with velocities at {start:g} K (velocity_factor x target), above T_H "
                f"= {self._hard_upper(context):g} K, which holds from step 0",
                key="monitors.temperature.windows",
                hint="raise upper_k or lower velocity_factor",
            )

    def guilty(
        self,
        rule: HaltRule,
        violation: Violation,
        frames: Sequence[MdFrame],
        context: MonitorContext,
    ) -> tuple[int, ...]:
        """Atoms hotter than any healthy one would be at the start of MD."""
        del rule
        frame = frame_at(frames, violation.time_fs)
        if frame is None:
            return ()
        hottest = context.condition.temperature_k * max(1.0, context.condition.velocity_factor)
        return outliers(kinetic_energies(frame), kinetic_quantile(hottest, 1e-9))

    def _windows(self, target_k: float) -> tuple[Window, ...]:
        if self.config.windows is not None:
            return self.config.windows
        scale = 1.0 if self.config.published else target_k / PAPER_TEMPERATURE_K
        lower = 0.0 if self.config.published else min(5.0, target_k / 10.0)
        coarse = Window(lower_k=lower, upper_k=1000.0 * scale)
        if self.config.fine_from_generation == 0:
            return (Window(lower_k=200.0 * scale, upper_k=500.0 * scale),)
        fine = Window(
            from_generation=self.config.fine_from_generation,
            lower_k=200.0 * scale,
            upper_k=500.0 * scale,
        )
        return (coarse, fine)

    def _hard_upper(self, context: MonitorContext) -> float:
        target = context.condition.temperature_k
        uppers = [window.upper_k for window in self._windows(target)]
        return max(*uppers, self.config.hard_upper_factor * target)

    def _check_healthy(self, window: Window, context: MonitorContext) -> None:
        average = self.average_fs(window, context)
        chance = self.violation_probability(window, average, context)
        if chance <= self.config.max_healthy_violation:
            return
        n_dof = degrees_of_freedom(context.system)
        target = context.condition.temperature_k
        width = temperature_width(n_dof, target)
        enough = self.average_fs(window.model_copy(update={"average_fs": None}), context)
        longer = f"set average_fs to {enough:.0f} or more (or leave it out), or "
        if self.violation_probability(window, enough, context) > self.config.max_healthy_violation:
            longer = ""  # no average up to max_average_fs is long enough
        raise ConfigurationError(
            f"healthy fluctuations leave the window [{window.lower_k:g}, {window.upper_k:g}] K "
            f"with probability {chance:.3g} in {context.condition.duration_ps:g} ps: {n_dof} "
            f"degrees of freedom at {target:g} K have a width of {width:.0f} K "
            f"(average_fs: {average:g})",
            key="monitors.temperature.windows",
            allowed=f"probability <= {self.config.max_healthy_violation:g}",
            hint=f"{longer}widen the window beyond [{max(0.0, target - 5 * width):.0f}, "
            f"{target + 6 * width:.0f}] K",
        )

    def _rule(
        self,
        context: MonitorContext,
        relation: Relation,
        limit_k: float,
        after_fs: float = 0.0,
        average_fs: float = 0.0,
    ) -> HaltRule:
        return HaltRule(
            monitor=self.name,
            quantity=Quantity.TEMPERATURE,
            relation=relation,
            limit=limit_k,
            every_steps=self.config.check_steps(context.condition),
            after_fs=after_fs,
            average_fs=average_fs or None,
        )

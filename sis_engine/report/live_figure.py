"""T(t) and E(t) of the MD that runs now."""

from __future__ import annotations

import math

from sis_engine.bookkeeping.live import Live
from sis_engine.report.blocks import Figure
from sis_engine.report.scale import Axis, spanning
from sis_engine.report.svg import Panel, colour
from sis_engine.report.traces import WIDTH
from sis_engine.report.wording import kelvin


def live_figure(live: Live | None) -> Figure:
    """Both panels; a note where no MD has been told of."""
    title = "MD now"
    if live is None or not any(curve.times_ps for curve in live.curves.values()):
        return Figure("live", title, "", note="No MD has been seen yet in this generation.")
    caption = (
        f"Generation {live.generation}: the model’s MD as it runs, one point every few seconds. "
        "Shaded: outside the temperature window; where it is for a mean, points may lie there."
    )
    return Figure("live", title, caption, (_temperature(live), _energy(live)), layout="pairs")


def _time_axis(live: Live) -> Axis:
    longest = max((max(c.times_ps, default=0.0) for c in live.curves.values()), default=0.0)
    return Axis("time / ps", 0.0, 1.02 * longest or 1.0)


def _temperature(live: Live) -> str:
    seen = [t for c in live.curves.values() for t in c.temperatures_k if t is not None]
    low, high = live.window_k or (None, None)
    top = 1.15 * max(seen, default=300.0)
    if high is not None and high < 2.5 * top:
        top = max(top, 1.12 * high)
    axis = Axis("temperature / K", 0.0, top)
    panel = Panel("Temperature", _time_axis(live), axis, width=WIDTH)
    for limit, far in ((high, 2.0 * top), (low, -top)):
        if limit is not None:
            panel.strip(min(limit, far), max(limit, far), "outside")
            panel.level(limit, "warn", f"limit {kelvin(limit)}")
    for index, (name, curve) in enumerate(live.curves.items()):
        values = [math.nan if t is None else t for t in curve.temperatures_k]
        panel.curve(curve.times_ps, values, f"thin {colour(index)}", tip=name)
        panel.legend(name.rsplit("-", 1)[-1], colour(index))
    return panel.svg()


def _energy(live: Live) -> str:
    curves = {
        name: [math.nan if e is None else e for e in curve.energies]
        for name, curve in live.curves.items()
    }
    known = [e for values in curves.values() for e in values if math.isfinite(e)]
    zero = known[0] if known else 0.0
    axis = spanning("potential energy / eV", [e - zero for e in known])
    panel = Panel("Potential energy, from its first value", _time_axis(live), axis, width=WIDTH)
    for index, (name, values) in enumerate(curves.items()):
        shifted = [e - zero for e in values]
        panel.curve(live.curves[name].times_ps, shifted, f"thin {colour(index)}", tip=name)
    if not known:
        panel.note(panel.inner_width / 2, panel.inner_height / 2, "not told", "middle")
    return panel.svg()

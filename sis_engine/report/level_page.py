"""Two levels of theory on the same frames, as one offline page: figures, a table, the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from sis_engine.analysis.level_shift import LevelShift, Pair
from sis_engine.numerals import NOTHING, figure
from sis_engine.records import FloatArray
from sis_engine.report.page import asset
from sis_engine.report.scale import spanning
from sis_engine.report.svg import SHAPES, Panel, colour

MOST_POINTS = 1500
"""Of each element in the force panel: more only make the file large."""
BINS = 40
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def level_page(pairs: Sequence[Pair], shift: LevelShift, *, old: str, new: str, title: str) -> str:
    """HTML that needs nothing else. old, new: the levels in words"""
    panels = (
        _forces(pairs, shift, old, new),
        _energies(pairs, shift, old, new),
        _differences(pairs),
    )
    rows = "".join(f"<tr><td>{escape(k)}</td><td>{escape(v)}</td></tr>" for k, v in told(shift))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{asset('report.css')}</style></head><body><main>"
        f"<h1>{escape(title)}</h1>"
        f"<p>{shift.n_frames} frames at both levels. Old: {escape(old)}. New: {escape(new)}.</p>"
        f'<div class="panels grid">{"".join(panel.svg() for panel in panels)}</div>'
        f"<h2>Differences</h2><table><tbody>{rows}</tbody></table>"
        f"<h2>By element</h2>{_table(shift)}"
        f"<p>{escape(_on_offsets(shift))}</p></main></body></html>\n"
    )


def told(shift: LevelShift) -> tuple[tuple[str, str], ...]:
    """(what, value with unit) of everything but the elements."""
    return (
        ("energy, mean of new − old", f"{shift.energy_mean:.4f} eV/atom"),
        ("energy RMSE, raw", f"{1000 * shift.energy_rmse:.1f} meV/atom"),
        (
            "energy RMSE, less one constant an element",
            f"{1000 * shift.energy_rmse_after_offsets:.2f} meV/atom",
        ),
        ("correlation of energies after that", _r(shift.energy_correlation)),
        ("force RMSE", figure(shift.force_rmse, 3, "eV/Å")),
        (
            "force RMSE over RMS force",
            NOTHING if shift.force_relative is None else f"{shift.force_relative:.3f}",
        ),
        ("99th percentile of force differences", figure(shift.force_p99, 3, "eV/Å")),
        ("correlation of force components", _r(shift.force_correlation)),
        (
            "virial RMSE",
            NOTHING if shift.virial_rmse is None else f"{1000 * shift.virial_rmse:.1f} meV/atom",
        ),
    )


def _r(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.5f}"


def _on_offsets(shift: LevelShift) -> str:
    if shift.offsets_determined:
        return "Offsets are a least-squares fit of one constant an element to new − old."
    return (
        "The compositions do not tell the elements apart, so there is no offset for each; what was "
        "taken off is their sum over each composition, a least-squares fit."
    )


def _table(shift: LevelShift) -> str:
    heads = ("element", "atoms", "offset, eV", "force RMSE, eV/Å", "RMS force, eV/Å", "correlation")
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td>{escape(text)}</td>"
            for text in (
                item.element,
                str(item.n_atoms),
                f"{item.offset:.4f}" if shift.offsets_determined else NOTHING,
                f"{item.force_rmse:.4f}",
                f"{item.force_rms:.4f}",
                _r(item.correlation),
            )
        )
        + "</tr>"
        for item in shift.elements
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _forces(pairs: Sequence[Pair], shift: LevelShift, old: str, new: str) -> Panel:
    species = np.array([symbol for pair in pairs for symbol in pair.frame.species])
    was = np.concatenate([pair.old.forces for pair in pairs])
    now = np.concatenate([pair.new.forces for pair in pairs])
    everything = np.concatenate([was.ravel(), now.ravel()]).tolist()
    panel = Panel(
        f"Force components: r {_r(shift.force_correlation)}",
        spanning(f"{old}, eV/Å", everything),
        spanning(f"{new}, eV/Å", everything),
        height=330.0,
    )
    _diagonal(panel)
    for number, item in enumerate(shift.elements):
        mine = species == item.element
        x, y = _thinned(was[mine].ravel(), now[mine].ravel())
        shape = SHAPES[number % len(SHAPES)]
        for a, b in zip(x, y, strict=True):
            panel.dot(a, b, colour(number), shape=shape, size=2.0)
        panel.legend(f"{item.element} {item.force_rmse:.3f} eV/Å", colour(number), shape)
    return panel


def _energies(pairs: Sequence[Pair], shift: LevelShift, old: str, new: str) -> Panel:
    """Per atom, the elements' constants taken off, around the mean of the old ones."""
    was = np.array([pair.old.energy / pair.frame.n_atoms for pair in pairs])
    now = np.array(
        [
            (pair.new.energy - sum(shift.offsets[s] for s in pair.frame.species))
            / pair.frame.n_atoms
            for pair in pairs
        ]
    )
    x, y = _thinned(1000.0 * (was - was.mean()), 1000.0 * (now - was.mean()))
    panel = Panel(
        f"Energies less offsets: r {_r(shift.energy_correlation)}",
        spanning(f"{old}, meV/atom", [*x, *y]),
        spanning(f"{new}, meV/atom", [*x, *y]),
        height=330.0,
    )
    _diagonal(panel)
    for a, b in zip(x, y, strict=True):
        panel.dot(a, b, colour(0), size=2.2)
    return panel


def _differences(pairs: Sequence[Pair]) -> Panel:
    lengths = np.concatenate(
        [np.linalg.norm(pair.new.forces - pair.old.forces, axis=1) for pair in pairs]
    )
    top = float(np.percentile(lengths, 99.5)) or 1.0
    counts, edges = np.histogram(np.minimum(lengths, top), bins=BINS, range=(0.0, top))
    panel = Panel(
        "Lengths of force differences",
        spanning("|new − old|, eV/Å (the last bar: and more)", [0.0, top], floor=0.0),
        spanning("atoms", [0.0, float(counts.max())], floor=0.0),
        height=330.0,
    )
    half = 0.45 * top / BINS
    for count, left, right in zip(counts.tolist(), edges[:-1], edges[1:], strict=True):
        panel.bar(0.5 * float(left + right), half, 0.0, float(count), colour(0), str(count))
    return panel


def _diagonal(panel: Panel) -> None:
    ends = [max(panel.x.low, panel.y.low), min(panel.x.high, panel.y.high)]
    panel.curve(ends, ends, "ink")


def _thinned(x: FloatArray, y: FloatArray) -> tuple[list[float], list[float]]:
    """At most MOST_POINTS of them, drawn by a fixed seed."""
    if len(x) <= MOST_POINTS:
        return x.tolist(), y.tolist()
    kept = np.sort(np.random.default_rng(0).choice(len(x), MOST_POINTS, replace=False))
    return x[kept].tolist(), y[kept].tolist()

"""Errors on training, validation, test and audit frames, over generations and by element."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sis_engine.numerals import NOTHING, figure
from sis_engine.records import Admission, AuditResult, ElementError, Errors
from sis_engine.report.blocks import Figure, Table, columns
from sis_engine.report.lives import generation_axis
from sis_engine.report.scale import Axis, spanning
from sis_engine.report.svg import SHAPES, Panel, colour
from sis_engine.report.wording import count, milli, percent

if TYPE_CHECKING:
    from sis_engine.storage.generation import GenerationRecord

SETS = ("training", "validation", "test", "audit")


@dataclass(frozen=True)
class SetErrors:
    """Errors of one generation's model on one set; upper limits where a bootstrap gave them."""

    generation: int
    name: str
    errors: Errors
    relative_upper: float | None = None
    energy_upper: float | None = None
    element_upper: tuple[tuple[str, float], ...] = ()


def admission_of(record: GenerationRecord) -> Admission | None:
    """The admission of the model that was explored, or of the last one that was tried."""
    tried = [item.admission for item in record.challengers if item.admission is not None]
    passed = [item for item in tried if item.passed]
    found = passed or tried
    return found[-1] if found else None


def all_errors(records: Sequence[GenerationRecord]) -> tuple[SetErrors, ...]:
    """Every set's errors, oldest generation first; the last audit of a generation counts."""
    found: list[SetErrors] = []
    for record in records:
        g, admission = record.generation, admission_of(record)
        if admission is not None:
            found.append(SetErrors(g, "training", admission.training))
            if admission.validation is not None:
                found.append(SetErrors(g, "validation", admission.validation))
        if record.test is not None and record.test.judged is not None:
            found.append(_judged(g, "test", record.test.judged))
        elif record.test is not None:
            found.append(SetErrors(g, "test", record.test.errors))
        if record.audits:
            found.append(_judged(g, "audit", record.audits[-1].result))
    return tuple(found)


def _judged(generation: int, name: str, result: AuditResult) -> SetErrors:
    return SetErrors(
        generation,
        name,
        result.errors,
        result.relative_upper,
        result.energy_upper,
        result.element_upper,
    )


def limits_of(records: Sequence[GenerationRecord]) -> tuple[float | None, float | None]:
    """(relative force limit, energy limit in eV/atom) of the last audit."""
    results = [item.result for record in records for item in record.audits]
    if not results:
        return None, None
    return results[-1].relative_limit, results[-1].energy_limit


def accuracy_figure(records: Sequence[GenerationRecord]) -> Figure:
    """Force, relative force and energy errors against the generation."""
    found = all_errors(records)
    if not found:
        return Figure("errors", "Errors by generation", "", note="No model has been judged yet.")
    force_limit, energy_limit = limits_of(records)
    panels = (
        _panel(records, found, "Force RMSE", "eV/Å", lambda e: e.errors.force_rmse),
        _panel(
            records,
            found,
            "Relative force RMSE",
            "RMSE / RMS force",
            lambda e: e.errors.relative_force_rmse,
            limit=force_limit,
            upper=lambda e: e.relative_upper,
        ),
        _panel(
            records,
            found,
            "Energy RMSE",
            "meV/atom",
            lambda e: 1000.0 * e.errors.energy_rmse_per_atom,
            limit=None if energy_limit is None else 1000.0 * energy_limit,
            upper=lambda e: None if e.energy_upper is None else 1000.0 * e.energy_upper,
        ),
    )
    frames = ", ".join(f"{name} {_frames(found, name)}" for name in SETS)
    caption = (
        f"Errors of each generation’s model on four sets of labelled frames (last n: {frames}). "
        f"Test frames come from a separately seeded reference trajectory, audit frames from MD "
        f"that survived; neither is trained on before it is judged. Whiskers reach to the upper "
        f"95 % limit (bootstrap over replicas), which is what the audit compares with the dashed "
        f"limit. Energies are not re-centred."
    )
    return Figure("errors", "Errors by generation", caption, panels)


def _frames(found: Sequence[SetErrors], name: str) -> str:
    own = [item for item in found if item.name == name]
    return count(own[-1].errors.n_frames) if own else NOTHING


def _panel(
    records: Sequence[GenerationRecord],
    found: Sequence[SetErrors],
    title: str,
    unit: str,
    value: Callable[[SetErrors], float | None],
    *,
    limit: float | None = None,
    upper: Callable[[SetErrors], float | None] | None = None,
    y: Axis | None = None,
) -> str:
    values = [v for v in map(value, found) if v is not None]
    uppers = [] if upper is None else [v for v in map(upper, found) if v is not None]
    bounds = [] if limit is None else [limit]
    y = y or spanning(unit, [*values, *uppers, *bounds], log=True)
    panel = Panel(title, generation_axis([r.generation for r in records]), y, width=320)
    if limit is not None:
        panel.level(limit, "warn", f"limit {figure(limit)}")
    for index, name in enumerate(SETS):
        own = [(item, value(item)) for item in found if item.name == name]
        points = [(item, v) for item, v in own if v is not None]
        if not points:
            continue
        css, shape = colour(index), SHAPES[index]
        shift = 0.09 * (index - 1.5)
        xs = [item.generation + shift for item, _ in points]
        panel.curve(xs, [v for _, v in points], f"thin {css}")
        for x, (item, v) in zip(xs, points, strict=True):
            top = None if upper is None else upper(item)
            if top is not None:
                panel.whisker(x, v, top, css)
            tip = f"{name}, generation {item.generation}: {figure(v)} {unit}"
            panel.dot(x, v, css, shape=shape, tip=f"{tip} (n = {item.errors.n_frames})")
        panel.legend(name, css, shape)
    return panel.svg()


def element_figure(records: Sequence[GenerationRecord]) -> Figure:
    """Relative force error of each element against the generation."""
    found = all_errors(records)
    elements = sorted({e.element for item in found for e in item.errors.elements})
    if not elements:
        return Figure("elements", "Errors by element", "", note="No errors by element yet.")
    limit, _ = limits_of(records)
    shared = _shared_axis(found, limit)
    panels = tuple(
        _panel(
            records,
            [item for item in found if _element(item, element) is not None],
            element,
            "RMSE / RMS force",
            lambda item, element=element: _relative(item, element),  # type: ignore[misc]
            limit=limit,
            upper=lambda item, element=element: dict(item.element_upper).get(element),  # type: ignore[misc]
            y=shared,
        )
        for element in elements
    )
    caption = (
        f"Force RMSE over RMS reference force of each of {len(elements)} elements, by generation "
        f"and set, as above, on one scale. The audit’s limit (dashed) holds for every element."
    )
    return Figure("elements", "Errors by element", caption, panels)


def _shared_axis(found: Sequence[SetErrors], limit: float | None) -> Axis:
    """One axis for all elements, so that panels can be compared."""
    values = [e.relative for item in found for e in item.errors.elements if e.relative is not None]
    uppers = [value for item in found for _, value in item.element_upper]
    bounds = [] if limit is None else [limit]
    return spanning("RMSE / RMS force", [*values, *uppers, *bounds], log=True)


def _element(item: SetErrors, element: str) -> ElementError | None:
    return next((e for e in item.errors.elements if e.element == element), None)


def _relative(item: SetErrors, element: str) -> float | None:
    found = _element(item, element)
    return None if found is None else found.relative


def error_table(records: Sequence[GenerationRecord]) -> Table:
    """Every figure behind the error plots."""
    rows = [
        (
            str(item.generation),
            item.name,
            count(item.errors.n_frames),
            figure(item.errors.force_rmse),
            percent(item.errors.relative_force_rmse),
            percent(item.relative_upper),
            figure(item.errors.force_p99),
            milli(item.errors.energy_rmse_per_atom),
            milli(item.energy_upper),
            ", ".join(
                f"{e.element}\N{NO-BREAK SPACE}{percent(e.relative, 2)}"
                for e in item.errors.elements
            )
            or NOTHING,
        )
        for item in all_errors(tuple(reversed(records)))
    ]
    return Table(
        "error-table",
        "Errors in numbers",
        "RMSE over force components; the 99th percentile is of atomic force error norms; “upper” "
        "is the one-sided 95 % limit; by element: RMSE over RMS reference force.",
        columns(
            "generation",
            "set",
            "#frames",
            "#force / eV/Å",
            "#relative",
            "#upper",
            "#99th pct. / eV/Å",
            "#energy / meV/atom",
            "#upper",
            "by element",
        ),
        tuple(rows),
        note="No model has been judged yet.",
        newest_first=True,
    )

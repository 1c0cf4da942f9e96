"""The top of the page: where the campaign stands and what its model is good for, in words."""

from __future__ import annotations

from dataclasses import dataclass

from sis_engine.analysis.survival import survival_bound
from sis_engine.numerals import figure
from sis_engine.report.paper import Records, conditions_of, final_model
from sis_engine.report.summary import AuditSummary, CampaignSummary
from sis_engine.report.wording import count, duration, milli, percent, picoseconds, plural


@dataclass(frozen=True)
class Tile:
    """One number of the headline, with its definition."""

    name: str
    value: str
    definition: str


STATE_WORDS = {
    "running": "is running",
    "paused": "is paused and can be resumed",
    "stable": "ended stable",
    "exhausted": "ended exhausted: no more can be done within its rules",
    "failed": "failed",
}


def validity(records: Records, summary: CampaignSummary) -> tuple[str, ...]:
    """Sentences on what the last model has been shown to do, and what not."""
    final = final_model(records)
    if final is None:
        return ("No model has been admitted: there is nothing to use yet.",)
    model, _, record = final
    generation = record.generation
    lives = [item for item in summary.survival if item.generation == generation]
    elements = ", ".join(model.elements)
    if not lives:
        return (f"The last admitted model (generation {generation}; {elements}) has not run MD.",)
    died = sum(not item.censored for item in lives)
    shortest = min(item.time_ps for item in lives)
    conditions = " and ".join(
        f"{item.ensemble.value.upper()} at {item.temperature_k:g} K"
        for item in conditions_of(records)
    )
    systems = ", ".join(sorted({item.system for item in lives}))
    if died:
        first = (
            f"The last admitted model (generation {generation}) is not stable: {died} of "
            f"{plural(len(lives), 'replica')} of {systems} ended in a catastrophe, the first at "
            f"{picoseconds(shortest)}."
        )
    else:
        first = (
            f"The model of generation {generation} ({elements}) kept all "
            f"{plural(len(lives), 'replica')} of {systems} physical for {picoseconds(shortest)} "
            f"({conditions})."
        )
    audited = _audit_words(summary.audit, generation)
    return (first, audited, _bound(len(lives), died))


def _audit_words(audit: AuditSummary | None, generation: int) -> str:
    if audit is None or audit.generation != generation:
        return "Its MD has not been audited: how long it lives does not say that it is right."
    verdict = "passed" if audit.passed else "failed"
    return (
        f"Its audit {verdict}: on {plural(audit.n_frames, 'frame')} of its MD the forces are wrong "
        f"by {percent(audit.relative_force_rmse)} of the RMS force (upper 95 % limit "
        f"{percent(audit.relative_upper)}, bound {percent(audit.relative_limit)}), the energies by "
        f"{milli(audit.energy_rmse_per_atom)} meV/atom (bound {milli(audit.energy_limit)})."
    )


def _bound(n: int, died: int) -> str:
    if died:
        return "Nothing is claimed for other systems, temperatures or longer times."
    lower = survival_bound(n, n)
    return (
        f"That none of {n} died gives a survival probability over that time of at least "
        f"{figure(lower, 2)} with 95 % confidence. Nothing is claimed for other systems, "
        f"temperatures or longer times."
    )


def tiles(summary: CampaignSummary) -> tuple[Tile, ...]:
    """The numbers a reader looks for first."""
    audit = summary.audit
    return (
        Tile(
            "Acceleration ratio",
            figure(summary.acceleration_ratio),
            "longest audited continuous MD of the final model over all evaluations × the reference "
            "timestep",
        ),
        Tile(
            "Acceleration ratio, paper’s form",
            figure(summary.acceleration_ratio_paper),
            "MD length over reference MD length",
        ),
        Tile("Evaluations", count(summary.evaluations_total), _evaluation_words(summary)),
        Tile(
            "Longest life",
            picoseconds(summary.longest_life_ps),
            "of any replica of any generation, until its verdict or its end",
        ),
        Tile(
            "Audit, force error",
            percent(None if audit is None else audit.relative_force_rmse),
            "RMSE over RMS reference force, last audit"
            if audit is None
            else f"RMSE over RMS reference force; upper limit {percent(audit.relative_upper)}; "
            f"bound {percent(audit.relative_limit)}: {'passed' if audit.passed else 'failed'}",
        ),
        Tile("Wall time", duration(summary.cost_total_s), "all stages together"),
    )


def _evaluation_words(summary: CampaignSummary) -> str:
    failed = summary.evaluations_failed
    text = "reference calculations paid for"
    if failed:
        text += f", {count(failed)} of them failed"
    if summary.evaluations_cached:
        text += f"; {count(summary.evaluations_cached)} more came from the bank"
    return text

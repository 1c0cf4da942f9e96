"""An audit of those that lived beside those that failed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sis_engine.interfaces import SamplerInput
from sis_engine.labelling.costs import least_of
from sis_engine.records import AuditRequest, Exploration, Verdict
from sis_engine.samplers.auditing import audit_plans
from sis_engine.samplers.sis_config import AuditRule
from sis_engine.samplers.stopping import lived


def early_audit(
    given: SamplerInput, rule: AuditRule, verdicts: Sequence[Verdict]
) -> AuditRequest | None:
    """``None``: not wanted, nobody to audit, had already, or not affordable."""
    if not rule.early or given.audit is not None:
        return None
    plans = audit_plans(given, rule, alive(given.explorations, verdicts))
    if not plans or not given.allowance.holds(least_of(plans)):
        return None
    n_failed = len({verdict.replica for verdict in verdicts})
    return AuditRequest(plans, f"{len(plans)} survivors beside {n_failed} failures")


def alive(explorations: Sequence[Exploration], verdicts: Iterable[Verdict]) -> list[Exploration]:
    """Those that lived to the end and that no verdict is of."""
    failed = {verdict.replica for verdict in verdicts}
    return [run for run in explorations if lived(run) and run.replica.id not in failed]

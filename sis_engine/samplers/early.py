"""An audit of those that lived beside those that failed."""

from __future__ import annotations

from collections.abc import Sequence

from sis_engine.interfaces import SamplerInput
from sis_engine.labelling.costs import least_of
from sis_engine.records import AuditRequest, Verdict
from sis_engine.samplers.auditing import audit_plans
from sis_engine.samplers.sis_config import AuditRule
from sis_engine.samplers.stopping import lived


def early_audit(
    given: SamplerInput, rule: AuditRule, verdicts: Sequence[Verdict]
) -> AuditRequest | None:
    """``None``: not wanted, nobody to audit, had already, or not affordable."""
    if not rule.early or given.audit is not None:
        return None
    failed = {verdict.replica for verdict in verdicts}
    alive = [run for run in given.explorations if lived(run) and run.replica.id not in failed]
    plans = audit_plans(given, rule, alive)
    if not plans or not given.allowance.holds(least_of(plans)):
        return None
    return AuditRequest(plans, f"{len(plans)} survivors beside {len(failed)} failures")

import json
import subprocess
import sys

import pytest

from sis_engine.report.facts import CampaignFacts, State
from sis_engine.report.summary import summarise, summary_json
from tests.unit.report import synthetic

PROMISED = {
    "state", "generation", "stage", "windows", "evaluations", "reference_ps", "md_ps",
    "acceleration_ratio", "acceleration_ratio_paper", "survival", "audit", "test", "cost",
}  # fmt: skip
ERRORS = {
    "force_rmse", "relative_force_rmse", "per_element", "energy_rmse_per_atom", "n_frames", "passed"
}  # fmt: skip


@pytest.fixture(scope="module")
def summary():
    return summarise(synthetic.records(), synthetic.facts())


def test_the_json_has_every_promised_key(summary):
    found = summary_json(summary)
    assert set(found) >= PROMISED
    assert set(found["audit"]) >= ERRORS
    assert set(found["test"]) >= ERRORS
    assert set(found["survival"][0]) >= {"generation", "replica", "time_ps", "censored", "verdict"}


def test_the_last_audit_of_the_last_generation_is_the_one_shown(summary):
    result = synthetic.records()[-1].audits[-1].result
    assert summary.audit is not None
    assert summary.audit.passed
    assert summary.audit.force_rmse == result.errors.force_rmse
    assert (
        summary.audit.relative_force_rmse == result.errors.force_rmse / result.errors.reference_rms
    )
    assert summary.audit.per_element["Li"].n == 1200


def test_evaluations_are_those_paid_for_and_cached_ones_stand_apart(summary):
    assert summary.evaluations["initial"] == 401
    assert summary.evaluations["audit"] == 90
    assert summary.evaluations_total == 1352
    assert summary.evaluations_failed == 3
    assert summary.evaluations_cached == 3


def test_a_verdict_that_is_not_a_number_is_null_and_its_replica_still_dead(summary):
    entry = summary_json(summary)["survival"][1]
    assert entry["value"] is None
    assert entry["censored"] is False
    assert entry["verdict"] == "temperature: above T_H"
    assert "NaN" not in json.dumps(summary_json(summary), allow_nan=False)


def test_what_is_not_known_is_null_and_never_zero():
    found = summary_json(summarise((), CampaignFacts("young", State.RUNNING, 0)))
    for name in ("reference_ps", "md_ps", "acceleration_ratio", "audit", "test", "longest_life_ps"):
        assert found[name] is None
    assert found["evaluations_total"] is None
    assert found["state"] == "running"


def test_importing_the_summary_brings_no_page_and_no_statistics():
    code = (
        "import sys; import sis_engine.report.summary; "
        "print([m for m in ('jinja2', 'scipy', 'h5py', 'sis_engine.report.page') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""Errors and audit limits, against values worked by hand and simulated coverage."""

from dataclasses import replace

import numpy as np
import pytest

from sis_engine.analysis.metrics import (
    AuditCluster,
    AuditLimits,
    audit_result,
    errors_of,
    errors_over,
    merge_errors,
)
from sis_engine.records import FrameSet, Prediction


def frames(forces, energies, species=("H", "O"), mask=None):
    forces = np.asarray(forces, float)
    return FrameSet(
        system="s",
        species=species,
        pbc=(False,) * 3,
        positions=np.zeros_like(forces),
        cells=None,
        energies=np.asarray(energies, float),
        forces=forces,
        force_mask=mask,
    )


def test_errors_are_those_worked_by_hand():
    reference = frames([[[3.0, 0.0, 0.0], [0.0, 0.0, 6.0]]], [10.0])
    said = Prediction(np.array([10.4]), np.array([[[3.0, 0.3, 0.0], [0.0, 0.0, 6.6]]]))
    errors = errors_of(said, reference)
    assert errors.force_rmse == pytest.approx(np.sqrt((0.09 + 0.36) / 6))
    assert errors.reference_rms == pytest.approx(np.sqrt(45.0 / 6))
    assert errors.energy_rmse_per_atom == pytest.approx(0.2)
    hydrogen, oxygen = errors.elements
    assert hydrogen.force_rmse == pytest.approx(0.3 / np.sqrt(3))
    assert oxygen.relative == pytest.approx(0.1)


def test_masked_atoms_do_not_count_for_forces():
    reference = frames([[[3.0, 0, 0], [0, 0, 6.0]]], [0.0], mask=np.array([0.0, 1.0]))
    said = Prediction(np.array([0.0]), np.array([[[99.0, 0, 0], [0, 0, 6.0]]]))
    assert errors_of(said, reference).force_rmse == 0.0


def test_a_prediction_that_is_not_a_number_gives_errors_that_are_not():
    said = Prediction(np.array([0.0]), np.full((1, 2, 3), np.nan))
    errors = errors_of(said, frames(np.ones((1, 2, 3)), [0.0]))
    assert not errors.force_rmse <= 1e9


def test_merged_errors_equal_the_errors_of_all_frames_together():
    random = np.random.default_rng(1)
    pairs = []
    for species, n in ((("H", "O"), 3), (("O", "O", "H"), 5)):
        shape = (n, len(species), 3)
        said = Prediction(random.normal(size=n), random.normal(size=shape))
        pairs.append((said, frames(random.normal(size=shape), random.normal(size=n), species)))
    merged, whole = merge_errors([errors_of(*pair) for pair in pairs]), errors_over(pairs)
    assert merged.force_rmse == pytest.approx(whole.force_rmse)
    assert merged.energy_rmse_per_atom == pytest.approx(whole.energy_rmse_per_atom)
    assert merged.elements[0].force_rmse == pytest.approx(whole.elements[0].force_rmse)
    assert merged.force_p99 >= whole.force_p99


def clusters(random, n_replicas, level=0.2, spread=0.3, n_frames=10):
    """Replicas whose relative errors differ by a lognormal factor; the mean square is level²."""
    found = []
    for index in range(n_replicas):
        forces = random.normal(size=(n_frames, 2, 3))
        factor = level * np.exp(spread * random.normal() - spread**2)
        wrong = Prediction(np.zeros(n_frames), forces + factor * random.normal(size=forces.shape))
        found.append(AuditCluster(str(index), wrong, frames(forces, np.zeros(n_frames))))
    return found


LIMITS = AuditLimits(relative=0.25, energy=0.01, min_frames=30, n_bootstrap=400)


def test_the_upper_limit_covers_the_true_error_as_often_as_it_says():
    random = np.random.default_rng(2)
    held = [
        audit_result(clusters(random, 6), LIMITS, seed=n).relative_upper >= 0.2 for n in range(150)
    ]
    assert np.mean(held) > 0.88  # 95 % meant; the bare percentile bootstrap gives some 80


def test_an_audit_passes_only_with_limits_frames_and_no_failure():
    good = clusters(np.random.default_rng(3), 4, level=0.1, spread=0.1)
    assert audit_result(good, LIMITS).passed
    failed = audit_result(good, LIMITS, n_failed=1)
    assert not failed.passed
    assert "1 audit frames got no label" in failed.reasons
    few = audit_result(good[:2], LIMITS)
    assert any("20 audit frames, 30 are needed" in reason for reason in few.reasons)
    bad = audit_result(clusters(np.random.default_rng(3), 4, level=0.3), LIMITS)
    assert any("relative force RMSE of H" in reason for reason in bad.reasons)


def test_limits_may_hold_however_few_the_frames_are():
    good = clusters(np.random.default_rng(3), 2, level=0.05, spread=0.1)
    few = audit_result(good, LIMITS, n_failed=1)
    assert not few.passed
    assert few.within_limits
    assert not audit_result(good, replace(LIMITS, relative=0.02)).within_limits
    assert not audit_result(good, replace(LIMITS, energy=-1.0)).within_limits
    assert not audit_result([], LIMITS).within_limits


def test_errors_may_be_within_limits_that_their_bounds_are_not():
    uneven = clusters(np.random.default_rng(3), 3, level=0.1, spread=0.6)
    found = audit_result(uneven, replace(LIMITS, relative=0.2))
    assert found.errors.relative_force_rmse < 0.2 < found.relative_upper
    assert found.within_limits
    assert not found.passed
    worst = max(e.relative for e in found.errors.elements)
    assert worst > found.errors.relative_force_rmse
    between = 0.5 * (worst + found.errors.relative_force_rmse)
    assert not audit_result(uneven, replace(LIMITS, relative=between)).within_limits


def test_the_energy_is_not_centred_again():
    good = clusters(np.random.default_rng(4), 4, level=0.1)
    shifted = [
        AuditCluster(
            c.replica, Prediction(c.prediction.energies + 0.1, c.prediction.forces), c.frames
        )
        for c in good
    ]
    result = audit_result(shifted, LIMITS)
    assert result.energy_upper == pytest.approx(0.05)
    assert not result.passed


def test_a_note_is_no_reason_for_failing():
    result = audit_result(clusters(np.random.default_rng(5), 1, 0.9, n_frames=40), LIMITS)
    assert not result.passed
    assert result.reasons
    assert not any("one replica only" in reason for reason in result.reasons)


def test_one_replica_is_noted_and_no_frames_fail():
    result = audit_result(clusters(np.random.default_rng(5), 1, 0.05, n_frames=40), LIMITS)
    assert result.passed
    assert result.reasons == ()
    assert "one replica only" in result.notes[0]
    assert not audit_result([], LIMITS, n_failed=3).passed


def test_a_model_that_said_nothing_fails_the_audit():
    said = Prediction(np.full(40, np.nan), np.full((40, 2, 3), np.nan))
    cluster = AuditCluster("r", said, frames(np.ones((40, 2, 3)), np.zeros(40)))
    assert not audit_result([cluster, cluster], LIMITS).passed

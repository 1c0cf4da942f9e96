"""The first segments: their seeds and lengths, by system where asked."""

import pytest

from sis_engine.errors import ConfigurationError
from sis_engine.setup.assembly import assemble
from sis_engine.stages.label import initial_plans
from tests.integration.small_campaigns import write_campaign


def _segment(folder, changes):
    (plan,) = initial_plans(assemble(write_campaign(folder, changes)))
    return plan.segment


def test_campaigns_with_one_initial_seed_begin_alike_whatever_their_own(tmp_path):
    own = [_segment(tmp_path / str(k), {"seed": k}).seed for k in (1, 2)]
    shared = [_segment(tmp_path / f"s{k}", {"seed": k, "initial.seed": 1}).seed for k in (1, 2)]
    assert own[0] != own[1]
    assert shared == [own[0], own[0]]


def test_a_system_may_have_a_first_segment_of_its_own_length(tmp_path):
    """60 fs at 2 fs are 30 steps; 100 fs are 50."""
    assert _segment(tmp_path / "a", {}).n_steps == 30
    assert _segment(tmp_path / "b", {"initial.lengths_fs": {"cluster": 100.0}}).n_steps == 50


def test_a_length_for_a_system_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="names 'clustre', but the systems are cluster"):
        _segment(tmp_path, {"initial.lengths_fs": {"clustre": 100.0}})

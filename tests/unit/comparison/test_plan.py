"""From a comparison file to campaigns: what is merged, what is refused, which runs are alike."""

import json
from pathlib import Path

import pytest

from sis_engine.comparison.plan import RunName, merged, read_comparison
from sis_engine.comparison.settings import (
    campaign_settings,
    differing,
    digest,
    settings_of,
    start_settings,
)
from sis_engine.errors import ConfigurationError

SMOKE = Path(__file__).parents[3] / "configs" / "smoke.yaml"

HEAD = f"""
name: little
campaign: {SMOKE}
seeds: [1, 2]
costs: [100]
examiner: {{reference: {{length_ps: 1.0, timestep_fs: 2.0, every_steps: 5}}, replicas: 2}}
"""
ARMS = "arms: {sis: {}, short: {sampler: {segment: {length_fs: 50.0}}}}\n"


def _read(text, folder):
    file = folder / "compare.yaml"
    file.write_text(text)
    return read_comparison(file)


def test_mappings_are_merged_and_everything_else_is_replaced():
    base = {"a": {"x": 1, "y": [1, 2]}, "b": 2}
    found = merged(base, {"a": {"y": [3]}, "c": 4})
    assert found == {"a": {"x": 1, "y": [3]}, "b": 2, "c": 4}
    assert base == {"a": {"x": 1, "y": [1, 2]}, "b": 2}


def test_another_plugin_does_not_inherit_the_first_ones_settings():
    base = {"sampler": {"type": "sis", "min_survivors": 3}}
    assert merged(base, {"sampler": {"type": "random"}})["sampler"] == {"type": "random"}
    kept = merged(base, {"sampler": {"published": True}})["sampler"]
    assert kept == {"type": "sis", "min_survivors": 3, "published": True}


def test_runs_come_seed_by_seed(tmp_path):
    names = [str(run) for run in _read(HEAD + ARMS, tmp_path).runs()]
    assert names == ["sis-1", "short-1", "sis-2", "short-2"]


def test_cases_multiply_the_runs_and_carry_their_own_changes(tmp_path):
    cases = "cases: {cold: {explore: {condition: {temperature_k: 100.0}}}, hot: {}}\n"
    comparison = _read(HEAD + ARMS + cases, tmp_path)
    assert len(list(comparison.runs())) == 8
    cold = comparison.parts(RunName("cold", "sis", 1))
    assert cold.base_condition.temperature_k == 100.0
    assert comparison.parts(RunName("hot", "sis", 1)).base_condition.temperature_k == 300.0


def test_a_case_may_change_a_single_arm_further(tmp_path):
    arm = "{sampler: {segment: {timestep_fs: 1.0}}}"
    cases = f"cases: {{cold: {{arms: {{short: {arm}}}}}, hot: {{}}}}\n"
    comparison = _read(HEAD + ARMS + cases, tmp_path)
    rule = comparison.parts(RunName("cold", "short", 1)).sampler.config.segment
    assert (rule.length_fs, rule.timestep_fs) == (50.0, 1.0)
    assert comparison.parts(RunName("hot", "short", 1)).sampler.config.segment.timestep_fs == 2.0
    assert comparison.parts(RunName("cold", "sis", 1)).sampler.config.segment.timestep_fs == 2.0
    with pytest.raises(ConfigurationError, match="'shrot' is not one of the arms"):
        _read(HEAD + ARMS + cases.replace("short", "shrot"), tmp_path)


def test_a_case_may_change_the_examiner_further(tmp_path):
    examiner = "{audit: {max_relative_force_rmse: 0.07}}"
    comparison = _read(
        HEAD + ARMS + f"cases: {{cold: {{examiner: {examiner}}}, hot: {{}}}}\n", tmp_path
    )
    limits = {
        case: comparison.examiner_parts(case, 1).config.audit.max_relative_force_rmse
        for case in ("cold", "hot")
    }
    own = comparison.parts(RunName("cold", "sis", 1)).config.audit.max_relative_force_rmse
    assert limits["cold"] == 0.07
    assert limits["hot"] == own != 0.07
    misspelt = HEAD + ARMS + "cases: {cold: {examiner: {audit: {min_frame: 40}}}}\n"
    with pytest.raises(ConfigurationError, match=r"cases\.cold\.examiner: audit\.min_frame"):
        _read(misspelt, tmp_path).examiner_parts("cold", 1)


def test_every_campaign_has_its_seed_and_no_bank_of_its_own_choice(tmp_path):
    comparison = _read(HEAD + ARMS, tmp_path)
    text = comparison.phases(RunName("", "short", 2), tmp_path / "labels")[0]
    config = comparison.parts(RunName("", "short", 2), text).config
    assert (config.seed, config.name) == (2, "little-short-2")
    assert config.known_labels == tmp_path / "labels"
    assert config.sampler["segment"]["length_fs"] == 50.0
    assert config.sampler["min_survivors"] == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEAD + "arms: {a: {samplr: {}}}\n", "arms.a: samplr"),
        (HEAD + "arms: {a: {sampler: {type: nonsense}}}\n", "arms.a: sampler.type"),
        (HEAD + "arms: {a: {sampler: {min_survivers: 2}}}\n", "min_survivers"),
        (HEAD + "arms: {a: {then: 3}}\n", "arms.a.then"),
    ],
)
def test_a_fault_in_an_arm_names_the_arm(text, told, tmp_path):
    comparison = _read(text, tmp_path)
    with pytest.raises(ConfigurationError) as raised:
        comparison.parts(RunName("", "a", 1))
    assert told in str(raised.value)
    assert str(tmp_path / "compare.yaml") in str(raised.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEAD + "arms: {}\n", "arms"),
        (HEAD.replace("[1, 2]", "[1, 1]") + ARMS, "twice"),
        (HEAD.replace("[100]", "[300, 100]") + ARMS, "rise"),
        (HEAD + ARMS + "baseline: none\n", "baseline"),
        (HEAD.replace("length_ps: 1.0", "length_ps: 0.2") + ARMS, "20 are needed"),
        (HEAD + ARMS + "sceds: 3\n", "sceds"),
        ("format: 9\n" + HEAD + ARMS, "format 9"),
        (HEAD + ARMS + "cases: {a: {examiner: 3}}\n", "cases.a.examiner"),
        (HEAD + "arms: {b: {}, a-b: {}}\ncases: {a: {}, a-a: {}, '': {}}\n", "cases"),
        (HEAD + "arms: {b-c: {}, c: {}}\ncases: {a: {}, a-b: {}}\n", "same file name"),
    ],
)
def test_a_fault_of_the_comparison_is_told_before_anything_starts(text, told, tmp_path):
    with pytest.raises(ConfigurationError) as raised:
        _read(text, tmp_path)
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("arms: {sis: {seed: 7}}\n", "arms.sis.seed: 7 would not hold"),
        ("arms: {sis: {label_bank: x}}\n", "arms.sis.label_bank: 'x' would not hold"),
        ("arms: {sis: {name: foo}}\n", "arms.sis.name: 'foo' would not hold"),
        ("arms: {sis: {execution: {cores: 2}}}\n", "arms.sis.execution.cores: 2 would not hold"),
        (
            "arms: {sis: {then: [{sampler: {type: random}}, {known_labels: y}]}}\n",
            "arms.sis.then.1.known_labels: 'y' would not hold",
        ),
        (ARMS + "changes: {pause_before: [train]}\n", "changes.pause_before: ['train']"),
        (ARMS + "cases: {a: {seed: 3}, b: {}}\n", "cases.a.seed: 3 would not hold"),
        (
            ARMS + "cases: {a: {arms: {sis: {name: z}}}}\n",
            "cases.a.arms.sis.name: 'z' would not hold",
        ),
        (
            ARMS + "cases: {a: {examiner: {explore: {replicas: 9}}}}\n",
            "cases.a.examiner.explore.replicas: 9 would not hold",
        ),
    ],
)
def test_a_key_that_the_comparison_sets_itself_is_refused(text, told, tmp_path):
    with pytest.raises(ConfigurationError) as raised:
        _read(HEAD + text, tmp_path)
    assert told in str(raised.value)
    assert f"{tmp_path / 'compare.yaml'}:" in str(raised.value)
    assert raised.value.line is not None
    assert raised.value.hint
    assert raised.value.exit_code == 2


def test_what_holds_anyway_may_be_said(tmp_path):
    more = "changes: {pause_before: [], execution: {cores: 1}}\n"
    assert _read(HEAD + ARMS + more, tmp_path).config.changes["pause_before"] == []


def test_an_arm_may_go_on_as_another_sampler(tmp_path):
    arms = "arms: {both: {budget: {generations: 2}, then: [{sampler: {type: random}}]}}\n"
    comparison = _read(HEAD + arms, tmp_path)
    first, second = comparison.phases(RunName("", "both", 1))
    one = comparison.parts(RunName("", "both", 1), first).config
    two = comparison.parts(RunName("", "both", 1), second).config
    assert (one.sampler["type"], two.sampler["type"]) == ("sis", "random")
    assert two.budget.generations == 2


# --------------------------------------------------------------------------- settings


def _digest(text, folder, arm="sis"):
    comparison = _read(text, folder)
    return digest(settings_of(comparison, RunName("", arm, 1)))


def test_what_changes_no_number_changes_no_hash(tmp_path):
    plain = _digest(HEAD + ARMS, tmp_path)
    assert _digest(HEAD + ARMS + "execution: {parallel: 2, cores: 2}\n", tmp_path) == plain
    assert _digest(HEAD.replace("little", "renamed") + ARMS, tmp_path) == plain
    assert _digest(HEAD.replace("[1, 2]", "[1, 2, 3]") + ARMS, tmp_path) == plain
    assert _digest(HEAD + ARMS.replace("short", "long"), tmp_path) == plain


@pytest.mark.parametrize(
    "change",
    [
        "changes: {training: {steps: 51}}\n",
        "changes: {budget: {evaluations: 10000}}\n",
        "changes: {labeler: {depth_ev: 0.31}}\n",
        "changes: {monitors: [{type: temperature}]}\n",
    ],
)
def test_what_changes_a_number_changes_the_hash(change, tmp_path):
    assert _digest(HEAD + ARMS + change, tmp_path) != _digest(HEAD + ARMS, tmp_path)


@pytest.mark.parametrize("old", ["replicas: 2", "length_ps: 1.0", "[100]"])
def test_the_examiners_settings_are_among_them(old, tmp_path):
    new = {"replicas: 2": "replicas: 3", "length_ps: 1.0": "length_ps: 1.5", "[100]": "[200]"}[old]
    assert _digest(HEAD.replace(old, new) + ARMS, tmp_path) != _digest(HEAD + ARMS, tmp_path)


def test_a_default_that_is_written_out_is_the_same_setting(tmp_path):
    arms = "arms: {sis: {sampler: {max_starts: 96}}}\n"
    assert _digest(HEAD + arms, tmp_path) == _digest(HEAD + ARMS, tmp_path)


def test_the_content_of_a_structure_counts_and_not_its_path(tmp_path):
    cluster = SMOKE.parent / "structures" / "fake-cluster.xyz"
    (tmp_path / "copy.xyz").write_text(cluster.read_text())
    (tmp_path / "other.xyz").write_text(cluster.read_text().replace("0.", "0.001", 1))
    system = "changes: {{systems: [{{name: cluster, structure: {}}}]}}\n"
    plain = _digest(HEAD + ARMS, tmp_path)
    assert _digest(HEAD + ARMS + system.format(tmp_path / "copy.xyz"), tmp_path) == plain
    assert _digest(HEAD + ARMS + system.format(tmp_path / "other.xyz"), tmp_path) != plain


def test_arms_that_differ_only_after_the_first_model_share_their_start(tmp_path):
    arms = (
        "arms: {sis: {}, short: {sampler: {segment: {length_fs: 50.0}}}, "
        "slow: {training: {start_lr: 0.002}}}\n"
    )
    comparison = _read(HEAD + arms, tmp_path)
    starts = {
        arm: digest(start_settings(comparison.parts(RunName("", arm, 1)), 1))
        for arm in ("sis", "short", "slow")
    }
    assert starts["sis"] == starts["short"] != starts["slow"]
    other = digest(start_settings(comparison.parts(RunName("", "sis", 2)), 2))
    assert other != starts["sis"]


def test_differing_settings_are_named_with_both_values(tmp_path):
    comparison = _read(HEAD + ARMS, tmp_path)
    sis = campaign_settings(comparison.parts(RunName("", "sis", 1)))
    short = campaign_settings(comparison.parts(RunName("", "short", 1)))
    assert differing(sis, short) == {"sampler.segment.length_fs": "200.0 → 50.0"}


def test_settings_differ_where_their_digests_do_and_only_there(tmp_path):
    own = settings_of(_read(HEAD + ARMS, tmp_path), RunName("", "sis", 1))
    read_again = json.loads(json.dumps(own, default=str))
    assert differing(read_again, own) == {}
    assert differing({"a": (1, 2), "b": 1}, {"a": [1, 2], "b": 1.0}) == {"b": "1 → 1.0"}
    assert differing({}, {"a": None}) == {"a": "'absent' → None"}


def test_the_examiner_lets_every_replica_run_to_its_end(tmp_path):
    rounds = "changes: {explore: {round_ps: 0.1}}\n"
    comparison = _read(HEAD + ARMS + rounds, tmp_path)
    assert comparison.parts(RunName("", "sis", 1)).config.explore.round_ps == 0.1
    assert comparison.examiner_parts("", 1).config.explore.round_ps is None

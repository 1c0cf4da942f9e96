"""What arms share and differ in is worked out from their settings, and said so."""

from pathlib import Path

import pytest

from sis_engine.comparison.compare import check
from sis_engine.comparison.differences import end_note, phases_of
from sis_engine.comparison.plan import read_comparison
from sis_engine.comparison.report.arm_sentences import end_sentence, shared_sentence, start_sentence
from sis_engine.comparison.report.methods import citations, methods_text, warnings
from tests.unit.comparison.test_plan import HEAD

CONFIGS = Path(__file__).parents[3] / "configs"
EXAMINED = HEAD.replace("replicas: 2", "replicas: 2, frames: 16")
SHORT = "{sampler: {segment: {length_fs: 50.0}}}"


@pytest.fixture
def given(tmp_path):
    def make(arms, more=""):
        file = tmp_path / "compare.yaml"
        file.write_text(f"{EXAMINED}arms: {{{arms}}}\n{more}")
        return read_comparison(file)

    return make


@pytest.fixture
def phases(given):
    return lambda arms: phases_of(given(arms), "")


# --------------------------------------------------------------------------- ends


def test_arms_that_are_audited_differently_are_told_before_anything_starts(given):
    arms = (
        "sis: {}, other: {audit: {min_frames: 31}, sampler: {audit: {frames_per_system: 64}}}, "
        "third: {}"
    )
    (note,) = [text for text in check(given(arms)) if "different rules" in text]
    assert "audit.min_frames is 30 (sis, third), 31 (other)" in note
    assert "sampler.audit.frames_per_system is 32 (sis, third), 64 (other)" in note
    assert warnings(given(arms), ()) == (f"{note[0].upper()}{note[1:]}.",)


@pytest.mark.parametrize(
    "arm",
    [
        SHORT,
        "{sampler: {audit: {segments_per_system: 3, early: false}}}",  # what answers an audit
        "{sampler: {type: sis-paper}, audit: {min_frames: 31}}",  # it has none
        "{sampler: {type: random, min_survivors: 3, audit: "
        "{burn_in_ps: 0.1, decorrelation_fs: 40}}}",
    ],
)
def test_arms_that_end_alike_or_without_an_audit_are_no_such_case(arm, given, phases):
    assert end_note(phases(f"sis: {{}}, other: {arm}")) is None
    assert warnings(given(f"sis: {{}}, other: {arm}"), ()) == ()


def test_every_phase_of_an_arm_is_looked_at(phases):
    later = "{then: [{sampler: {audit: {decorrelation_fs: 50.0}}}]}"
    note = end_note(phases(f"sis: {{}}, both: {later}"))
    assert note.endswith(
        "sampler.audit.decorrelation_fs is 40.0 (sis, phase 1 of both), 50.0 (phase 2 of both)"
    )


def test_an_end_without_an_audit_is_named(phases):
    told = end_sentence(phases("sis: {}, paper: {sampler: {type: sis-paper}}"))
    assert "(3 or more) had lived to the end and an audit had passed: 32 frames" in told
    assert "after 100\u00a0fs, 40.0\u00a0fs or more apart" in told
    assert told.endswith("paper ended without such an audit.")


# --------------------------------------------------------------------------- what is the same


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (SHORT, "all arms began with the same labels and the same first model."),
        (
            "{training: {start_lr: 0.002}}",
            "all arms began with the same labels and sis and other had a first model of their own.",
        ),
        (
            "{initial: {seed: 9}}",
            "sis and other had first labels and a first model of their own.",
        ),
    ],
)
def test_what_arms_began_with_is_what_they_share(other, told, phases):
    assert start_sentence(phases(f"sis: {{}}, other: {other}")) == f"For each seed {told}"


def test_of_three_arms_two_share_their_first_model(phases):
    told = start_sentence(phases(f"sis: {{}}, short: {SHORT}, slow: {{training: {{steps: 9}}}}"))
    assert told == (
        "For each seed all arms began with the same labels, sis and short shared a first model and "
        "slow had a first model of its own."
    )


def test_what_arms_differ_in_is_named_with_its_arms_and_keys(phases):
    own = "{training: {start_lr: 0.002}, explore: {condition: {temperature_k: 99.0}}}"
    told = shared_sentence(phases(f"sis: {{}}, short: {SHORT}, own: {own}"), "sis")
    same, unlike = told.split(". Arms differed from sis in: ")
    assert same == (
        "All arms had the same systems, initial sampling, labels, monitors, limits of the audit "
        "and budget"
    )
    assert unlike == (
        "training (own: training.start_lr); MD conditions and target (own: "
        "explore.condition.temperature_k); sampler (short: sampler.segment.length_fs)."
    )


def test_one_arm_differs_from_nobody(phases):
    assert start_sentence(phases("sis: {}")) == shared_sentence(phases("sis: {}"), "sis") == ""


# --------------------------------------------------------------------------- the paragraph


def test_each_case_is_told_with_its_own_conditions_limits_and_training(given):
    cases = (
        "cases: {cold: {explore: {condition: {temperature_k: 77.0}}, training: {steps: 11}, "
        "examiner: {audit: {max_relative_force_rmse: 0.07}}}, hot: {}}\n"
    )
    text = methods_text(given(f"sis: {{}}, short: {SHORT}", cases), (), ())
    assert text.startswith("2 arms (sis, short) were compared over 2 seeds")
    cold, hot = (text.index(f"Case {name}: MD of cluster was NVT") for name in ("cold", "hot"))
    assert "77 K" in text[cold:hot]
    assert "at most 0.07 of" in text[cold:hot]
    assert "77 K" not in text[hot:]
    assert "at most 0.07 of" not in text[hot:]
    assert "cold sis, cold short: " in text
    assert " 11 in each later generation" in text


def test_methods_in_use_in_any_arm_or_case_are_cited():
    keys = {item.key for item in citations(read_comparison(CONFIGS / "compare-teacher.yaml"), ())}
    assert {"dpgen2020", "zhang2019", "hair2021", "gonzalez1985"} <= keys  # arms
    assert {"airebo2000", "eim2010", "lammps2022"} <= keys  # cases
    assert {"reaxff2001", "reaxff-cho2008", "snap2015", "zuo2020"} <= keys  # the hybrid's own
    assert {"kaplan-meier1958", "mantel1966", "holm1979"} <= keys
    assert "mrmr2005" not in keys


def test_methods_that_no_arm_uses_are_not_cited(given):
    arms = "sis: {}, lean: {sampler: {type: sis-lean, members: 2, choice: mrmr}}"
    keys = {item.key for item in citations(given(arms), ())}
    assert "mrmr2005" in keys
    assert not keys & {"dpgen2020", "hair2021", "airebo2000", "eim2010", "reaxff2001", "gfn2"}

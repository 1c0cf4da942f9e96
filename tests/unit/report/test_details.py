import json
from dataclasses import replace

import pytest

from sis_engine.report.page import report_json
from tests.unit.report import synthetic


@pytest.fixture(scope="module")
def numbers():
    return json.loads(report_json(synthetic.records(), synthetic.facts()))


def test_errors_are_those_of_the_records(numbers):
    for record, found in zip(synthetic.records(), numbers["generations"], strict=True):
        admitted = record.challengers[-1].admission
        assert found["errors"]["training"]["force_rmse"] == admitted.training.force_rmse
        assert found["errors"]["test"]["n_frames"] == record.test.errors.n_frames


def test_lives_and_decisions_are_those_of_the_records(numbers):
    for record, found in zip(synthetic.records(), numbers["generations"], strict=True):
        assert [life["time_ps"] for life in found["lives"]] == [x.time_ps for x in record.lives]
        assert found["decision_reason"] == record.decision.reason
    assert [found["decision"] for found in numbers["generations"]] == [
        "label more", "label more", "stable",
    ]  # fmt: skip


def test_evaluations_by_generation_add_up_to_the_ledger(numbers):
    by_generation = [sum(found["evaluations"].values()) for found in numbers["generations"]]
    assert sum(by_generation) == numbers["summary"]["evaluations_total"] == 1352


def test_every_program_and_level_of_the_campaign_is_cited(numbers):
    cited = {item["key"]: item["bibtex"] for item in numbers["citations"]}
    assert {"sis2023", "deepmdkit2023", "lammps2022", "gfn2"} <= set(cited)
    assert "10.1016/j.cpc.2021.108171" in cited["lammps2022"]
    assert not {"cp2k2020", "qe2017", "gfn1"} & set(cited)


@pytest.mark.parametrize(
    ("sampler", "cited"),
    [
        ({"type": "committee"}, {"dpgen2020", "zhang2019", "gonzalez1985"}),
        ({"type": "sis-lean"}, {"gonzalez1985", "zaverkin2021"}),
        ({"type": "sis-lean", "choice": "mrmr", "members": 4}, {"mrmr2005"}),
        ({"type": "sis-lean", "choice": "of another version"}, set()),
        ({"type": "nobody has this"}, set()),
        ({"type": "sis"}, set()),
    ],
)
def test_what_a_sampler_rests_on_is_cited_defaults_included(sampler, cited):
    told = [replace(r, config_json=json.dumps({"sampler": sampler})) for r in synthetic.records()]
    found = json.loads(report_json(told, synthetic.facts()))["citations"]
    methods = {"dpgen2020", "zhang2019", "hair2021", "gonzalez1985", "zaverkin2021", "mrmr2005"}
    assert {item["key"] for item in found} & methods == cited


def test_a_program_that_took_no_part_is_not_cited():
    other = synthetic.facts(versions=(("sis-engine", "0.1.0"),))
    keys = [item["key"] for item in json.loads(report_json((), other))["citations"]]
    assert keys == ["sis2023"]


def test_rejected_labels_and_refused_challengers_are_there_with_their_reasons(numbers):
    assert numbers["generations"][0]["rejected"][0]["value"] == 83.0
    refused = numbers["generations"][1]["challengers"][0]
    assert refused["admitted"] is False
    assert "0.74" in refused["admission"]["reasons"][0]


def test_t_next_is_found_through_the_frame_and_the_rung_that_held(numbers):
    (start,) = numbers["generations"][0]["next_starts"]
    plan = synthetic.records()[0].decision.plans[0]
    assert start["replica"] == "g0000-lifsi-dol-300K-r00"
    assert start["time_fs"] == plan.starts[2].time_fs  # LABEL took the third start
    assert start["rung"] == "further_back"


def test_structures_are_compared_with_the_independent_trajectory_first(numbers):
    first = numbers["structure"][0]
    assert "Li" in first["pair"]
    assert first["reference_source"] == "the independent test trajectory"
    assert len(first["model"]) == len(first["reference"]) == len(first["r_angstrom"])
    width = first["r_angstrom"][1] - first["r_angstrom"][0]
    assert sum(first["reference"]) * width == pytest.approx(1.0, abs=0.02)  # all Li-N within 6 Å

"""What leaves a campaign and what begins another one: export, import, fork, gc."""

from __future__ import annotations

import json
from pathlib import Path

import ase.io
import pytest

from sis_engine.commands.status import status
from sis_engine.records import Model
from sis_engine.setup.assembly import assemble
from sis_engine.structures import read_structure
from tests.integration.command_line import sis
from tests.integration.small_campaigns import CLUSTER, records, run, write_campaign

Capture = pytest.CaptureFixture[str]


def labelled(*species: str) -> str:
    """One extxyz frame of a chain of atoms, labelled."""
    rows = [f"{symbol} 0 0 {3.8 * n} 0 0 0" for n, symbol in enumerate(species)]
    head = 'energy=-0.1 Properties=species:S:1:pos:R:3:forces:R:3 pbc="F F F"'
    return "\n".join([str(len(species)), head, *rows, ""])


def moved_cluster(path: Path) -> Path:
    """The fakes' cluster with its first atom elsewhere."""
    atoms = ase.io.read(CLUSTER)
    atoms.positions[0] += 0.05
    ase.io.write(path, atoms)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("form", ["deepmd", "extxyz", "h5md"])
def test_exported_data_start_another_campaign(
    form: str, finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / {"deepmd": "data", "extxyz": "data.extxyz", "h5md": "data.h5"}[form]
    said = sis(capsys, "export", finished, out, "--format", form)
    assert said.code == 0, said
    n_frames = sum(part.frames.n_frames for item in records(finished) for part in item.parts)
    assert f"{n_frames} frames" in said.out
    template = write_campaign(tmp_path / "given", {"budget.generations": 1})
    said = sis(capsys, "import", out, tmp_path / "again", "--template", template)
    assert said.code == 0, said
    run(tmp_path / "run", tmp_path / "again" / "campaign.yaml")
    found = records(tmp_path / "run")[0]
    kept = sum(part.frames.n_frames for part in found.parts)
    assert 0.8 * n_frames <= kept <= n_frames  # the gaps between training and validation go
    assert f"imported {n_frames} frames" in (tmp_path / "run" / "log" / "console.txt").read_text()
    assert not found.outcomes
    assert found.lives


@pytest.mark.parametrize(("form", "file"), [("extxyz", "x.extxyz"), ("h5md", "x.h5")])
def test_an_exported_file_has_the_suffix_that_import_goes_by(
    form: str, file: str, finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    said = sis(capsys, "export", finished, tmp_path / "x", "--format", form)
    assert said.code == 0, said
    assert str(tmp_path / file) in said.out
    assert sis(capsys, "import", tmp_path / file, tmp_path / "again").code == 0
    again = sis(capsys, "export", finished, tmp_path / "x", "--format", form)
    assert again.code == 2
    assert f"{file} exists" in again.err


def test_a_model_that_cannot_be_trained_further_is_not_imported(
    finished: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "frozen.pth"
    sis(capsys, "export", finished, tmp_path / "kit")
    model.write_bytes((tmp_path / "kit" / "frozen.json").read_bytes())
    template = write_campaign(tmp_path / "given")
    asked = ("import", model, tmp_path / "again", "--template", template)
    monkeypatch.setattr(Model, "file", lambda *_: None)
    said = sis(capsys, *asked)
    assert said.code == 2
    assert f"{model} is an exported model" in said.err
    assert not (tmp_path / "again").exists()
    monkeypatch.undo()
    assert sis(capsys, *asked).code == 0


def test_another_campaign_can_be_imported(finished: Path, tmp_path: Path, capsys: Capture) -> None:
    template = write_campaign(tmp_path / "given")
    said = sis(capsys, "import", finished, tmp_path / "again", "--template", template)
    assert said.code == 0, said
    assert sis(capsys, "validate", tmp_path / "again" / "campaign.yaml").code == 0


def test_an_imported_campaign_does_not_say_that_it_is_the_quickstart(
    finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert sis(capsys, "import", finished, tmp_path / "again").code == 0
    text = (tmp_path / "again" / "campaign.yaml").read_text()
    assert text.startswith("# A campaign made by `sis import`")
    assert "configs/quickstart.yaml" not in text
    assert "500 labels" not in text


def test_an_imported_campaign_is_one_of_its_systems_and_its_labeler(
    finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert sis(capsys, "import", finished, tmp_path / "again").code == 0
    config = tmp_path / "again" / "campaign.yaml"
    said = sis(capsys, "validate", config)
    assert said.code == 0, said
    assert "initial.data" not in said.out
    parts = assemble(config)
    (system,) = parts.systems
    assert system.name == "cluster"
    assert system.frame.key == read_structure(finished / "inputs" / "cluster.extxyz").key
    assert parts.config.labeler == {"type": "fake"}
    assert parts.config.initial.segment is None


@pytest.mark.parametrize("form", ["deepmd", "extxyz"])
def test_imported_data_bring_their_system(
    form: str, finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / {"deepmd": "data", "extxyz": "data.extxyz"}[form]
    sis(capsys, "export", finished, out, "--format", form)
    assert sis(capsys, "import", out, tmp_path / "again").code == 0
    config = tmp_path / "again" / "campaign.yaml"
    (system,) = assemble(config).systems
    assert system.frame.species == ("Ar",) * 13
    assert not any(system.frame.pbc)
    said = sis(capsys, "validate", config)
    assert said.code == 0, said


def test_data_of_several_kinds_are_as_many_systems(tmp_path: Path, capsys: Capture) -> None:
    data = tmp_path / "mixed.extxyz"
    data.write_text(labelled("Ar", "Ar") + labelled("Ar", "Kr") + labelled("Ar", "Ar"))
    assert sis(capsys, "import", data, tmp_path / "again").code == 0
    parts = assemble(tmp_path / "again" / "campaign.yaml")
    assert [system.frame.species for system in parts.systems] == [("Ar", "Ar"), ("Ar", "Kr")]


def test_data_of_other_elements_than_the_systems_are_refused(
    tmp_path: Path, capsys: Capture
) -> None:
    config = write_campaign(tmp_path / "given", {"initial.data": ["kr.extxyz"]})
    data = config.parent / "kr.extxyz"
    data.write_text(labelled("Ar", "Kr"))
    said = sis(capsys, "validate", config)
    assert said.code == 2
    assert f"{config}:" in said.err
    assert "initial.data.0: 'kr.extxyz' has Kr, which no system has" in said.err
    assert "allowed: data of Ar" in said.err
    data.write_text(labelled("Ar", "Ar"))
    said = sis(capsys, "validate", config)
    assert said.code == 0
    assert "note: initial.data.0 has no frame with the atoms and the periodicity" in said.out


def test_data_without_an_element_of_the_systems_need_a_segment(
    tmp_path: Path, capsys: Capture
) -> None:
    changes = {"initial": {"data": ["ar.extxyz"], "segment": None}}
    config = write_campaign(tmp_path / "given", changes)
    structure = config.parent / "structures" / "fake-cluster.xyz"
    structure.write_text(structure.read_text().replace("Ar ", "Kr ", 1))
    (config.parent / "ar.extxyz").write_text(labelled("Ar", "Ar"))
    said = sis(capsys, "validate", config)
    assert said.code == 2
    assert "initial.data: no frame of the data has Kr" in said.err


def test_a_template_is_followed_from_where_it_lies(
    finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    template = write_campaign(
        tmp_path / "given",
        {
            "labeler": {"type": "cp2k", "method": {"type": "template", "file": "my.inp"}},
            "label_bank": "bank",
        },
    )
    made = tmp_path / "again"
    assert sis(capsys, "import", finished, made, "--template", template).code == 0
    text = (made / "campaign.yaml").read_text()
    assert str(tmp_path / "given" / "my.inp") in text
    assert f"label_bank: {tmp_path / 'given' / 'bank'}\n" in text
    assert str(tmp_path / "given" / "structures" / "fake-cluster.xyz") in text


def test_what_cannot_be_imported_leaves_nothing_behind(tmp_path: Path, capsys: Capture) -> None:
    said = sis(capsys, "import", CLUSTER, tmp_path / "again")
    assert said.code == 2
    assert "no energy and no forces" in said.err
    assert not (tmp_path / "again").exists()


def test_the_kit_holds_model_input_validity_and_citation(
    finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    said = sis(capsys, "export", finished, tmp_path / "kit")
    assert said.code == 0
    assert "passed its audit" in said.out
    names = {path.name for path in (tmp_path / "kit").iterdir()}
    assert {"frozen.json", "in.lammps", "validity.json", "CITATION.cff"} <= names
    cited = (tmp_path / "kit" / "citations.bib").read_text()
    assert "10.1021/acs.jpcc.3c05522" in cited  # the method
    assert "10.1088/1361-648X/aa680e" in cited  # ASE ran the MD
    assert "LAMMPS" not in cited
    own = tmp_path / "elsewhere"
    (tmp_path / "kit").rename(own)
    assert sis(capsys, "validate", own / "campaign.yaml").code == 0
    (system,) = assemble(own / "campaign.yaml").systems
    assert system.frame.key == read_structure(finished / "inputs" / "cluster.extxyz").key
    own.rename(tmp_path / "kit")
    validity = json.loads((tmp_path / "kit" / "validity.json").read_text())
    assert validity["elements"] == ["Ar"]
    assert validity["audit"]["passed"] is True
    assert validity["condition"]["temperature_k"] == 300.0
    assert validity["systems"][0]["atoms"] == {"Ar": 13}
    again = sis(capsys, "export", finished, tmp_path / "kit")
    assert again.code == 2
    assert "not empty" in again.err


@pytest.mark.slow
def test_an_existing_model_is_where_generation_0_starts(
    finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    sis(capsys, "export", finished, tmp_path / "kit")
    model = tmp_path / "kit" / "frozen.json"
    config = write_campaign(
        tmp_path / "given", {"initial.model": str(model), "budget.generations": 1}
    )
    run(tmp_path / "run", config)
    assert records(tmp_path / "run")[0].challengers[0].kind == "fine-tuned"


@pytest.mark.slow
def test_a_fork_shares_labels_and_generations_and_may_change_any_key(
    copied: Path, tmp_path: Path, capsys: Capture
) -> None:
    said = sis(
        capsys,
        *("fork", copied, tmp_path / "fork", "--at", "0", "--set", "trainer.depth_error=0.05"),
    )
    assert said.code == 0, said
    assert "trainer.depth_error: 0.1 → 0.05" in said.out
    shared = dict(records(copied)[0].stage_seconds)
    assert status(tmp_path / "fork").summary.cost["label"] == pytest.approx(shared["label"])
    ended = run(tmp_path / "fork")
    assert ended.state.value == "stable", ended
    ours, theirs = records(copied), records(tmp_path / "fork")
    assert theirs[0].lives == ours[0].lives
    segment = theirs[1].outcomes[0]
    assert segment.n_evaluations == 0  # the same request: every label from the shared bank
    assert all(item.cached for item in segment.labelled)


@pytest.mark.slow
def test_a_fork_with_another_bound_does_not_keep_the_old_verdict(
    copied: Path, tmp_path: Path, capsys: Capture
) -> None:
    changes = ("--set", "audit.max_relative_force_rmse=0.005", "--set", "budget.generations=3")
    assert sis(capsys, "fork", copied, tmp_path / "fork", *changes).code == 0
    ended = run(tmp_path / "fork")
    assert ended.state.value == "exhausted", ended
    found = records(tmp_path / "fork")
    assert len(found) == 3
    assert not found[-1].audits[-1].result.passed
    assert found[-1].audits[-1].result.relative_limit == 0.005


def test_a_fork_without_a_change_that_matters_keeps_the_verdict(
    copied: Path, tmp_path: Path, capsys: Capture
) -> None:
    sis(capsys, "fork", copied, tmp_path / "fork", "--set", "budget.generations=9")
    assert run(tmp_path / "fork").state.value == "stable"
    assert len(records(tmp_path / "fork")) == len(records(copied))


def test_a_forks_acceleration_ratio_is_by_what_its_data_cost(
    finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    """The same campaign again from its own bank has the same ratio, though it paid for nothing."""
    assert sis(capsys, "fork", finished, tmp_path / "fork", "--at", "-1").code == 0
    run(tmp_path / "fork")
    ours, theirs = (status(folder).summary for folder in (finished, tmp_path / "fork"))
    assert theirs.evaluations_total < ours.evaluations_total
    assert theirs.acceleration_ratio == pytest.approx(ours.acceleration_ratio)
    said = sis(capsys, "status", tmp_path / "fork")
    assert "more labels than were paid for here" in " ".join(said.out.split())
    assert "more labels than were paid for" not in sis(capsys, "status", finished).out


def test_a_fork_that_would_mix_levels_of_theory_keeps_no_generation(
    finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    change = ("--set", "labeler.depth_ev=0.4")
    said = sis(capsys, "fork", finished, tmp_path / "fork", *change)
    assert said.code == 2
    assert "--at -1" in said.err
    assert not (tmp_path / "fork").exists()
    assert sis(capsys, "fork", finished, tmp_path / "fork", "--at", "-1", *change).code == 0


def test_a_fork_starts_from_the_structure_that_it_was_given(
    finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    other = moved_cluster(tmp_path / "moved.xyz")
    change = ("--set", f"systems.0.structure={other}")
    said = sis(capsys, "fork", finished, tmp_path / "fork", *change)
    assert said.code == 0, said
    assert str(other) in said.out
    ours = read_structure(tmp_path / "fork" / "inputs" / "cluster.extxyz")
    assert ours.key == read_structure(other).key
    assert ours.key != read_structure(finished / "inputs" / "cluster.extxyz").key


@pytest.mark.parametrize("at", ["0", "-1"])
def test_a_fork_reads_the_structure_that_it_is_given(
    at: str, finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    change = ("--at", at, "--set", "systems.0.structure=/nowhere/x.xyz")
    said = sis(capsys, "fork", finished, tmp_path / "fork", *change)
    assert said.code == 2, said
    assert "systems.0.structure" in said.err
    assert "'/nowhere/x.xyz' does not exist" in said.err
    assert not (tmp_path / "fork").exists()


@pytest.mark.parametrize("change", ["systems.0.structure={other}", "systems.0.name=other"])
def test_other_atoms_keep_no_generation(
    change: str, finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    other = tmp_path / "other.xyz"
    other.write_text(CLUSTER.read_text().replace("Ar ", "Kr "))
    settings = ("--set", change.format(other=other))
    said = sis(capsys, "fork", finished, tmp_path / "fork", *settings)
    assert said.code == 2, said
    assert "--set systems.0" in said.err
    assert "system 'cluster' with Ar13" in said.err
    assert "new campaign" in said.err
    assert not (tmp_path / "fork").exists()
    kept_none = sis(capsys, "fork", finished, tmp_path / "fork", "--at", "-1", *settings)
    assert kept_none.code == 0, kept_none


def test_a_wrong_change_is_said_to_be_from_the_command_line(
    finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    """The file that is forked has no such line."""
    asked = ("--set", "seed=5", "--set", "audit.min_frames=abc")
    said = sis(capsys, "fork", finished, tmp_path / "fork", *asked)
    assert said.code == 2
    assert said.err.startswith("sis: --set audit.min_frames=abc: has to be a whole number")
    assert "campaign.yaml" not in said.err


def test_a_fork_says_which_generations_it_keeps(
    finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    for at, told in (("-1", "no generation"), ("0", "generation 0"), ("1", "generations 0 … 1")):
        said = sis(capsys, "fork", finished, tmp_path / f"fork{at}", "--at", at)
        assert said.out.startswith(f"{tmp_path / f'fork{at}'}: {told} of {finished}"), said
    said = sis(capsys, "fork", finished, tmp_path / "none", "--at", "-2")
    assert "allowed: -1 (keep none) … " in said.err


@pytest.mark.parametrize("change", ["nonsense=1", "audit.min_frames=0", "no sign", "a.b.c=1"])
def test_a_fork_with_a_wrong_change_writes_nothing(
    change: str, finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    said = sis(capsys, "fork", finished, tmp_path / "fork", "--set", change)
    assert said.code == 2, said
    assert not (tmp_path / "fork").exists()


def test_a_fork_changes_the_beginning_only_where_it_begins_again(
    finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    change = ("--set", "initial.segment.temperature_k=150.0")
    said = sis(capsys, "fork", finished, tmp_path / "kept", "--at", "0", *change)
    assert said.code == 2
    assert "generation 0 is kept" in said.err
    assert "--at -1" in said.err
    assert not (tmp_path / "kept").exists()
    assert sis(capsys, "fork", finished, tmp_path / "none", "--at", "-1", *change).code == 0


@pytest.mark.slow
def test_gc_frees_scratch_and_the_campaign_goes_on(copied: Path, capsys: Capture) -> None:
    would = json.loads(sis(capsys, "gc", copied, "--dry-run", "--json").out)
    assert would["bytes"] > 0
    assert all(Path(path).exists() for path in would["paths"])
    assert sis(capsys, "gc", copied).code == 0
    assert not any(Path(path).exists() for path in would["paths"])
    config = copied / "campaign.yaml"
    config.write_text(config.read_text().replace("duration_ps: 1.0", "duration_ps: 1.2"))
    before = len(records(copied))
    run(copied)
    assert len(records(copied)) > before

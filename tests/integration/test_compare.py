"""``sis compare`` on fakes: alike arms, kills, lost folders, changed settings, the page."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sis_engine.comparison.compare import Compared, check, compare
from sis_engine.comparison.finished import finished_runs
from sis_engine.comparison.places import Places
from sis_engine.comparison.plan import RunName, read_comparison
from sis_engine.comparison.report.writing import write_comparison
from sis_engine.comparison.results import read_result, write_result
from sis_engine.errors import ConfigurationError
from sis_engine.records import Purpose
from sis_engine.storage.ledger import Ledger
from tests.integration.command_line import sis
from tests.integration.small_campaigns import write_campaign

pytestmark = pytest.mark.slow

SIS = Path(sys.executable).parent / "sis"

TEXT = """
name: tiny
campaign: campaign.yaml
changes:
  explore: {{replicas: 2, condition: {{duration_ps: 0.2}}, sampling: {{sparse_every_ps: 0.01}}}}
  sampler: {{min_survivors: 2, audit: {{decorrelation_fs: 20.0, burn_in_ps: 0.02}}}}
  audit: {{min_frames: 8}}
  budget: {{generations: 2}}
  labeler: {{seconds_per_label: 0.0001}}
arms:
  sis: {{}}
  twin: {{}}
seeds: {seeds}
costs: [100]
examiner:
  replicas: 2
  frames: 16
  burn_in_ps: 0.02
  decorrelation_fs: 20.0
  reference: {{length_ps: 0.4, burn_in_ps: 0.1, timestep_fs: 2.0, every_steps: 5}}
"""


def _written(folder: Path, seeds: str = "[1]", more: str = "") -> Path:
    write_campaign(folder)
    (folder / "compare.yaml").write_text(TEXT.format(seeds=seeds) + more)
    return folder / "compare.yaml"


def _compare(file: Path, folder: Path, **given) -> tuple[Compared, list[str]]:
    lines: list[str] = []
    done = compare(
        read_comparison(file),
        folder,
        results=given.get("results"),
        stop=given.get("stop", lambda: False),
        write=lines.append,
    )
    return done, lines


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished comparison of one seed: ``given/compare.yaml`` and ``run``. Not to be changed."""
    place = tmp_path_factory.mktemp("compared")
    done, _ = _compare(_written(place / "given"), place / "run")
    assert done.complete, done.failed
    return place


@pytest.fixture
def again(compared: Path, tmp_path: Path) -> Path:
    """A copy of it, to be gone on with."""
    return Path(shutil.copytree(compared, tmp_path / "again"))


def _result(place: Path, arm: str, seed: int = 1):
    return read_result(place / "run" / "results" / "tiny" / "runs" / f"{arm}-{seed}.json")


def test_two_copies_of_an_arm_cost_and_score_the_same_though_one_finds_all_labels_known(compared):
    sis_run, twin = _result(compared, "sis"), _result(compared, "twin")
    assert sis_run.evaluations == twin.evaluations > 30
    assert sis_run.by_purpose == twin.by_purpose
    assert sis_run.label_s == twin.label_s > 0.0
    assert [e.test for e in sis_run.exams] == [e.test for e in twin.exams]
    assert [e.lives for e in sis_run.exams] == [e.lives for e in twin.exams]
    assert (sis_run.end, sis_run.passed) == (twin.end, twin.passed)


def test_their_first_model_is_the_same_file_trained_once(compared):
    files = []
    for arm in ("sis", "twin"):
        with Ledger(compared / "run" / "runs" / f"{arm}-1", read_only=True) as ledger:
            row = ledger.done_stage(0, "train-1")
            files.append((row.sha256, row.seconds))
    assert files[0] == files[1]
    assert len(list((compared / "run" / "starts").iterdir())) == 1


def test_a_model_that_two_arms_have_is_examined_once(compared):
    exams = list((compared / "run" / "examiner" / "all" / "exams").iterdir())
    assert len(exams) == len(_result(compared, "sis").exams) > 0
    assert _result(compared, "sis").exams == _result(compared, "twin").exams


def test_arms_that_end_by_different_rules_are_told_before_anything_starts(tmp_path, capsys):
    file = _written(tmp_path / "given")
    file.write_text(file.read_text().replace("twin: {}", "twin: {audit: {min_frames: 9}}"))
    told = "arms end by different rules, so that their costs do not compare: "
    told += "audit.min_frames is 8 (sis), 9 (twin)"
    _, lines = _compare(file, tmp_path / "run", stop=lambda: True)
    assert lines[0].endswith(f"note: {told}")
    assert told in sis(capsys, "compare", file, tmp_path / "new", "--dry-run").out.replace("\n", "")


def test_an_examiner_that_could_not_find_its_frames_is_refused(tmp_path):
    file = _written(tmp_path / "given")
    file.write_text(file.read_text().replace("frames: 16", "frames: 21"))
    with pytest.raises(ConfigurationError) as refused:
        check(read_comparison(file))
    assert refused.value.key == "examiner.frames"
    assert "label 21 frames" in str(refused.value)
    assert "2 replicas of 0.2 ps have 20" in str(refused.value)


def test_the_examiner_is_neither_charged_nor_fed_back(compared):
    result = _result(compared, "sis")
    with Ledger(compared / "run" / "runs" / "sis-1", read_only=True) as ledger:
        asked = {row.key for row in ledger.evaluations()}
        assert result.evaluations == sum(item.paid for item in ledger.counts())
    examined = set()
    for folder in (compared / "run" / "examiner" / "all" / "exams").iterdir():
        with Ledger(folder, read_only=True) as ledger:
            examined |= {row.key for row in ledger.evaluations()}
    assert examined
    assert not examined & asked


def test_it_is_finished_once(again):
    done, lines = _compare(again / "given" / "compare.yaml", again / "run")
    assert done.complete
    assert "2 of 2 runs are finished" in lines[0]
    assert len(lines) == 1  # and nothing else was done


def test_another_seed_computes_only_what_is_new(again):
    before = (again / "run" / "results" / "tiny" / "runs" / "sis-1.json").stat().st_mtime_ns
    done, lines = _compare(_written(again / "given", "[1, 2]"), again / "run")
    assert done.complete, done.failed
    assert [(r.arm, r.seed) for r in done.finished] == [
        ("sis", 1), ("twin", 1), ("sis", 2), ("twin", 2)
    ]  # fmt: skip
    assert (again / "run" / "results" / "tiny" / "runs" / "sis-1.json").stat().st_mtime_ns == before
    told = "\n".join(lines)
    assert "sis-2: " in told
    assert "sis-1: " not in told


def test_it_goes_on_from_small_files_when_all_else_is_lost(again):
    shutil.move(again / "run" / "results", again / "kept")
    shutil.rmtree(again / "run")
    (again / "kept" / "tiny" / "runs" / "twin-1.json").unlink()
    done, lines = _compare(again / "given" / "compare.yaml", again / "run", results=again / "kept")
    assert done.complete, done.failed
    assert "1 of 2 runs are finished" in lines[0]
    assert not any("sis-1: examined" in line for line in lines)
    assert not (again / "run" / "runs" / "sis-1").exists()


def test_a_changed_setting_is_told_and_never_mixed(again):
    file = again / "given" / "compare.yaml"
    file.write_text(file.read_text().replace("  twin: {}", "  twin: {training: {batch_size: 2}}"))
    finished, messages = finished_runs(
        read_comparison(file), Places(again / "run", again / "run" / "results", "tiny")
    )
    assert [str(run) for run in finished] == ["sis-1"]
    assert "campaign.training.batch_size: 4 → 2" in messages[0]
    done, lines = _compare(file, again / "run")
    assert done.complete, done.failed
    told = "\n".join(lines)
    assert "twin-1: its campaign was made with other settings" in told
    assert "moved to" in told
    assert _result(again, "twin").settings["campaign.training.batch_size"] == 2


def test_a_further_cost_is_examined_and_nothing_else_is_done(again):
    """As if only the last model had been examined before: cost 100 is new."""
    places = Places(again / "run", again / "run" / "results", "tiny")
    for arm in ("sis", "twin"):
        result = _result(again, arm)
        assert len(result.exams) == 2
        write_result(
            places.result(RunName("", arm, 1)),
            result.model_copy(
                update={
                    "exams": result.exams[1:],
                    "settings": result.settings | {"examination.costs": []},
                }
            ),
        )
    before = [path.stat().st_mtime_ns for path in _generations(again)]
    done, lines = _compare(again / "given" / "compare.yaml", again / "run")
    assert done.complete, done.failed
    assert "2 runs to be examined at further costs: sis-1, twin-1" in lines[0]
    assert [path.stat().st_mtime_ns for path in _generations(again)] == before
    assert len(_result(again, "sis").exams) == 2
    fewer = (again / "given" / "compare.yaml").read_text().replace("costs: [100]", "costs: []")
    (again / "given" / "compare.yaml").write_text(fewer)
    done, lines = _compare(again / "given" / "compare.yaml", again / "run")
    assert "2 of 2 runs are finished" in lines[0]
    assert [len(result.exams) for result in done.finished] == [1, 1]


def _generations(place: Path) -> list[Path]:
    return sorted((place / "run" / "runs").glob("*/generations/*"))


def test_a_torn_result_is_computed_again(again):
    path = again / "run" / "results" / "tiny" / "runs" / "sis-1.json"
    whole = path.read_text()
    path.write_text(whole[:100])
    done, lines = _compare(again / "given" / "compare.yaml", again / "run")
    assert done.complete
    assert any("sis-1 is computed again" in line for line in lines)
    assert json.loads(path.read_text())["evaluations"] == json.loads(whole)["evaluations"]


def test_the_page_and_everything_beside_it(again):
    comparison = read_comparison(again / "given" / "compare.yaml")
    places = Places(again / "run", again / "out", "tiny")
    results = tuple(_result(again, arm) for arm in ("sis", "twin"))
    written = write_comparison(comparison, results, places)
    assert "2 of 2 runs finished" in written.page.read_text()
    found = json.loads((again / "out" / "tiny.json").read_text())
    assert set(found["arms"]) == {"sis", "twin"}
    names = {path.name for path in (again / "out" / "tiny").rglob("*") if path.is_file()}
    assert {"report.html", "methods.txt", "citations.bib", "comparison.yaml"} <= names
    assert {"reach-share.svg", "reach-share.pdf", "arms.csv", "arms.tex"} <= names
    assert "sis compare" in (again / "out" / "tiny" / "methods.txt").read_text()


def test_another_samplers_selection_is_replayed_without_a_label(again, capsys):
    more = (
        "  lot: {sampler: {type: random, labels_per_system: 20, min_survivors: 2}}\n"
        "  crew: {sampler: {type: committee, members: 2, min_survivors: 2}}\n"
    )
    file = again / "given" / "compare.yaml"
    file.write_text(file.read_text().replace("  twin: {}\n", f"  twin: {{}}\n{more}"))
    campaign = again / "run" / "runs" / "sis-1"
    with Ledger(campaign, read_only=True) as ledger:
        before = len(ledger.evaluations())
        audited = Counter(
            row.generation for row in ledger.evaluations() if row.purpose is Purpose.AUDIT
        )
    assert audited
    said = sis(capsys, "compare", file, "--replay", campaign, "--json")
    assert said.code == 0, said.err
    generations = json.loads(said.out)["generations"]
    assert generations[0]["generation"] == 0
    for item in generations:
        others = dict(item["others"])
        own = item["own"]
        asked_for = sum(a["least"] for a in own["audits"])
        assert asked_for == audited[item["generation"]]  # passed or failed
        assert sum(a["least"] for a in others["sis"]["audits"]) == asked_for
        assert [a["least"] for a in own["asked"]] == [a["least"] for a in others["sis"]["asked"]]
        assert not others["lot"]["audited"] or others["lot"]["audits"]
        assert others["sis"]["word"] == own["word"]  # the same sampler says the same again
        assert [a["plan"] for a in others["sis"]["asked"]] == [a["plan"] for a in own["asked"]]
        assert others["lot"]["word"] in {"requests", "audit", "stable", "exhausted"}
        assert others["crew"]["word"] == "unknown"
        assert others["crew"]["reason"] == "no committee watched the stored MD"
    asked = [a for item in generations for a in dict(item["others"])["lot"]["asked"]]
    assert asked
    assert all(a["least"] <= 20 for a in asked)
    with Ledger(campaign, read_only=True) as ledger:
        assert len(ledger.evaluations()) == before


def test_the_samplers_that_are_replayed_are_those_of_the_campaigns_case(again, capsys):
    file, campaign = again / "given" / "compare.yaml", again / "run" / "runs" / "sis-1"
    text = file.read_text()
    other = "{systems: [{name: other, structure: structure.xyz}]}"
    structure = Path(__file__).parents[2] / "configs" / "structures" / "lifsi-dol-cluster.xyz"
    shutil.copy(structure, again / "given" / "structure.xyz")
    file.write_text(text + f"cases: {{first: {other}, second: {{}}}}\n")
    said = sis(capsys, "compare", file, "--replay", campaign)
    assert (said.code, said.out.split("\n")[0]) == (0, "samplers of case second")
    file.write_text(text + "cases: {cold: {}, hot: {explore: {condition: {temperature_k: 400}}}}\n")
    said = sis(capsys, "compare", file, "--replay", campaign)
    assert said.code == 2
    assert "fits cold and hot" in said.err
    assert "--case" in said.err
    said = sis(capsys, "compare", file, "--replay", campaign, "--case", "hot", "--json")
    assert json.loads(said.out)["case"] == "hot"
    said = sis(capsys, "compare", file, "--replay", campaign, "--case", "hto")
    assert (said.code, "there is no case 'hto'" in said.err) == (2, True)
    said = sis(capsys, "compare", file, "--case", "hot")
    assert (said.code, "--replay" in said.err) == (2, True)


def test_a_dry_run_says_what_is_left_and_starts_nothing(compared, tmp_path, capsys):
    file = compared / "given" / "compare.yaml"
    said = sis(capsys, "compare", file, tmp_path / "new", "--dry-run", "--json")
    found = json.loads(said.out)
    assert said.code == 0
    assert [(a["n_finished"], a["n_left"]) for a in found["arms"]] == [(0, 1), (0, 1)]
    assert (found["hours"], found["reference"]) == (None, 200)
    assert not (tmp_path / "new").exists()
    found = json.loads(sis(capsys, "compare", file, compared / "run", "--dry-run", "--json").out)
    assert [(a["n_finished"], a["n_left"]) for a in found["arms"]] == [(1, 0), (1, 0)]
    assert found["evaluations"] == 0.0
    assert found["arms"][0]["expected"] == _result(compared, "sis").evaluations


def test_a_bad_arm_is_refused_before_anything_starts(tmp_path, capsys):
    file = _written(tmp_path / "given")
    file.write_text(file.read_text().replace("  twin: {}", "  twin: {sampler: {nonsense: 1}}"))
    said = sis(capsys, "compare", file, tmp_path / "run")
    assert said.code == 2
    assert "arms.twin" in said.err
    assert "nonsense" in said.err
    assert not (tmp_path / "run").exists()


def test_an_arm_that_goes_on_as_another_sampler(tmp_path):
    file = _written(tmp_path / "given")
    arm = (
        "  twin: {budget: {generations: 1}, explore: {max_suspects: 0}, then: "
        "[{budget: {generations: 2}, sampler: {type: random, labels_per_system: 20, "
        "min_survivors: 2, audit: {decorrelation_fs: 20.0, burn_in_ps: 0.02}}}]}"
    )
    file.write_text(file.read_text().replace("  twin: {}", arm).replace("  sis: {}\n", ""))
    done, _ = _compare(file, tmp_path / "run")
    assert done.complete, done.failed
    (result,) = done.finished
    if result.generations > 1:  # the first phase had not ended stable by itself
        with Ledger(tmp_path / "run" / "runs" / "twin-1", read_only=True) as ledger:
            assert "random" in (ledger.meta("config_text") or "")
    assert result.settings["then.1.sampler.type"] == "random"


# --------------------------------------------------------------------------- processes and kills


@contextmanager
def _started(file: Path, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """``sis compare`` in a process of its own, which does not outlive a test that fails."""
    with subprocess.Popen(
        [SIS, "compare", file, folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as engine:
        try:
            yield engine
        finally:
            engine.kill()


def _wait_for(engine: subprocess.Popen[str], there) -> None:
    while not there():
        assert engine.poll() is None, engine.communicate()[0]
        time.sleep(0.05)


def _workers(folder: Path) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().decode().split("\0")
        except (OSError, UnicodeDecodeError):
            continue
        if "sis_engine.comparison.worker" in command and str(folder) in command:
            found.append(int(entry.name))
    return found


@pytest.mark.timeout(3600)  # four engines with eight workers: minutes where the machine is loaded
def test_killed_at_several_points_two_at_a_time_it_ends_as_if_it_had_not_been(compared, tmp_path):
    file = _written(tmp_path / "given", more="execution: {parallel: 2}\n")
    folder = tmp_path / "run"
    points = (
        (folder / "runs" / "sis-1").exists,
        (folder / "runs" / "twin-1" / "generations").exists,
        (folder / "examiner" / "all" / "exams").exists,
    )
    for there in points:
        with _started(file, folder) as engine:
            _wait_for(engine, there)
            engine.send_signal(signal.SIGKILL)
            engine.communicate(timeout=60)
        deadline = time.monotonic() + 300
        while _workers(folder) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not _workers(folder)  # no worker outlives the engine
    with _started(file, folder) as engine:
        told, _ = engine.communicate()
    assert engine.returncode == 0, told
    for arm in ("sis", "twin"):
        mine = read_result(folder / "results" / "tiny" / "runs" / f"{arm}-1.json")
        theirs = _result(compared, arm)
        assert (mine.evaluations, mine.by_purpose) == (theirs.evaluations, theirs.by_purpose)
        assert [e.lives for e in mine.exams] == [e.lives for e in theirs.exams]
        assert [e.test for e in mine.exams] == [e.test for e in theirs.exams]


def test_asked_to_stop_it_stops_its_workers_and_is_resumable(tmp_path):
    file = _written(tmp_path / "given", more="execution: {parallel: 2}\n")
    with _started(file, tmp_path / "run") as engine:
        _wait_for(engine, (tmp_path / "run" / "runs" / "sis-1").exists)
        engine.terminate()
        told, _ = engine.communicate()
    assert engine.returncode == 3, told
    assert "continue: sis compare" in told
    assert not _workers(tmp_path / "run")


def test_the_names_of_runs_are_those_of_their_files():
    assert str(RunName("", "sis-lean", 3)) == "sis-lean-3"
    assert str(RunName("liquid", "sis", 3)) == "liquid-sis-3"

"""kill -9 anywhere, torn files, two engines: a campaign goes on and comes to the same end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sis_engine.bookkeeping.states import State
from sis_engine.commands.reporting import write_report
from sis_engine.commands.status import status
from sis_engine.errors import CampaignHeld
from sis_engine.labelling.costs import evaluations_of
from sis_engine.storage.ownership import acquire
from tests.integration import killed_run
from tests.integration.forked import forked
from tests.integration.small_campaigns import (
    digest_of,
    events,
    paid,
    records,
    run,
    write_campaign,
)

TINY = {
    "initial.segment.length_fs": 40.0,
    "explore.replicas": 2,
    "explore.condition.duration_ps": 0.2,
    "sampler.min_survivors": 2,
    "sampler.segment.length_fs": 60.0,
    "sampler.audit": {"decorrelation_fs": 10.0, "burn_in_ps": 0.02},
    "audit.min_frames": 4,
    "test": {
        "segment": {"length_fs": 20.0, "timestep_fs": 2.0},
        "equilibration_fs": 10.0,
        "stride": 2,
    },
    "budget.generations": 3,
}
"""Every stage, suspects and audits, in a second or two."""

POINTS = (
    "create::2",
    "start:label:1",
    "unbanked::7",
    "banked::1",
    "banked::5",
    "counted::3",
    "unsaved:label:1",
    "saved:label:1",
    "done:label:1",
    "counted::2",
    "saved:test:1",
    "unsaved:merge:1",
    "saved:merge:1",
    "start:train-1:1",
    "unsaved:train-1:1",
    "saved:train-1:1",
    "done:train-1:1",
    "unsaved:admit-1:1",
    "saved:admit-1:1",
    "replica:before:1",
    "replica:after:1",
    "saved:explore:1",
    "saved:test-errors:1",
    "unsaved:decide:1",
    "saved:decide:1",
    "committing::1",
    "renamed::1",
    "committed::1",
    "extract:before:1",
    "extract:after:1",
    "banked::4",
    "replica:after:1",
    "start:decide:1",
    "renamed::1",
)
"""In the order a campaign meets them: each run dies at the next one."""


def killed(point: str, config: Path, folder: Path, log: Path) -> int:
    said = log.with_suffix(".said")
    given = (point, str(config), str(folder), str(log))
    code = forked(killed_run.main, *given, said=said, timeout_s=120.0)
    assert code in {-signal.SIGKILL, 0, 4}, said.read_text()
    return code


@pytest.fixture(scope="session")
def unkilled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny campaign, never disturbed."""
    place = tmp_path_factory.mktemp("unkilled")
    log = place / "evaluations"
    assert killed("", write_campaign(place / "given", TINY), place / "run", log) in {0, 4}
    return place


def test_the_tiny_campaign_meets_every_stage(unkilled: Path) -> None:
    found = records(unkilled / "run")
    assert len(found) >= 2
    assert any(item.audits for item in found)
    assert {name for item in found for name, _ in item.stage_seconds} == {
        "label",
        "test",
        "merge",
        "train-1",
        "admit-1",
        "explore",
        "test-errors",
        "decide",
    }


@pytest.mark.slow
def test_a_campaign_killed_in_every_stage_has_the_digest_of_one_that_was_not(
    unkilled: Path, tmp_path: Path
) -> None:
    config = write_campaign(tmp_path / "given", TINY)
    folder, log = tmp_path / "run", tmp_path / "evaluations"
    missed = [p for p in POINTS if killed(p, config, folder, log) != -signal.SIGKILL]
    assert not missed
    killed("", config, folder, log)
    assert digest_of(folder) == digest_of(unkilled / "run")
    assert paid(folder) == paid(unkilled / "run")
    done = log.read_text().split()
    once = (unkilled / "evaluations").read_text().split()
    in_progress = sum(point.startswith("unbanked") for point in POINTS)
    assert set(done) == set(once)
    assert len(done) <= len(once) + in_progress


@pytest.mark.slow
@pytest.mark.parametrize(
    "point", ["banked::6", "saved:train-1:1", "replica:after:2", "renamed::1", "extract:before:1"]
)
def test_a_kill_costs_nothing_but_the_step_in_hand(
    point: str, unkilled: Path, tmp_path: Path
) -> None:
    config = write_campaign(tmp_path / "given", TINY)
    folder, log = tmp_path / "run", tmp_path / "evaluations"
    if point.startswith("extract"):
        assert killed("committed::1", config, folder, log) == -signal.SIGKILL
    assert killed(point, config, folder, log) == -signal.SIGKILL
    run(folder)
    assert digest_of(folder) == digest_of(unkilled / "run")
    assert paid(folder) == paid(unkilled / "run")


@pytest.mark.slow
def test_a_kill_in_a_round_that_the_budget_just_allows_does_not_end_the_campaign(
    tmp_path: Path,
) -> None:
    changes = TINY | {"test": None}
    config = write_campaign(tmp_path / "given", changes | {"budget.generations": 1})
    run(tmp_path / "first", config)
    (plan,) = records(tmp_path / "first")[0].decision.plans  # type: ignore[union-attr]
    first = paid(tmp_path / "first")
    budget = first + evaluations_of(plan)[0]
    config = write_campaign(tmp_path / "given", changes | {"budget.evaluations": budget})
    folder = tmp_path / "run"
    assert killed(f"counted::{first + 20}", config, folder, tmp_path / "log") == -signal.SIGKILL
    run(folder)
    assert len(records(folder)) >= 2


@pytest.mark.slow
def test_a_replica_that_ended_before_a_kill_is_not_run_again(tmp_path: Path) -> None:
    config = write_campaign(tmp_path / "given", TINY)
    folder = tmp_path / "run"
    assert killed("replica:after:1", config, folder, tmp_path / "log") == -signal.SIGKILL
    kept = sorted((folder / "work" / "0000" / "explore" / "kept").glob("*.h5"))
    assert len(kept) == 1
    before = kept[0].stat().st_mtime_ns
    run(folder)
    assert kept[0].stat().st_mtime_ns == before


# --------------------------------------------------------------------------- torn files


def truncate(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def remove(path: Path) -> None:
    path.unlink()


DAMAGES = pytest.mark.parametrize("damage", [truncate, flip_a_bit, empty, remove])


@pytest.fixture
def tiny(unkilled: Path, tmp_path: Path) -> Path:
    """A copy of the undisturbed tiny campaign."""
    subprocess.run(["cp", "-r", unkilled / "run", tmp_path / "run"], check=True)
    return tmp_path / "run"


@pytest.mark.slow
@DAMAGES
@pytest.mark.parametrize("which", ["last", "first"])
def test_a_torn_generation_is_named_moved_aside_and_made_again(
    which: str, damage: object, tiny: Path, unkilled: Path
) -> None:
    files = sorted((tiny / "generations").glob("*.h5"))
    torn = files[-1] if which == "last" else files[0]
    damage(torn)  # type: ignore[operator]
    if damage is not flip_a_bit:  # one flipped bit is found where it is read
        seen = status(tiny).summary
        assert f"generation {int(torn.stem)}" in seen.warnings[-1]
        before = len(files) - 1 if which == "last" else 0
        assert {life.generation for life in seen.survival} == set(range(before))
    page, _ = write_report(tiny, tiny.parent / "page")
    assert f"generation {int(torn.stem)}: " in page.read_text()
    ended = run(tiny)
    assert ended.state in {State.STABLE, State.EXHAUSTED}
    assert digest_of(tiny) == digest_of(unkilled / "run")
    assert paid(tiny) == paid(unkilled / "run")
    told = events(tiny)
    assert f"generation {int(torn.stem)}" in told
    assert str(torn) in told
    if damage is not remove:
        assert list((tiny / "generations" / "aside").glob(f"{torn.name}.*"))


@pytest.mark.slow
@DAMAGES
@pytest.mark.parametrize("stage", ["label", "train-1", "explore"])
def test_a_torn_stage_result_is_made_again(
    stage: str, damage: object, tmp_path: Path, unkilled: Path
) -> None:
    config = write_campaign(tmp_path / "given", TINY)
    folder = tmp_path / "run"
    assert killed("done:explore:1", config, folder, tmp_path / "log") == -signal.SIGKILL
    damage(folder / "work" / "0000" / stage / "result-1.h5")  # type: ignore[operator]
    run(folder)
    assert digest_of(folder) == digest_of(unkilled / "run")
    assert paid(folder) == paid(unkilled / "run")
    assert "torn_result" in events(folder)


@pytest.mark.slow
def test_a_torn_kept_replica_is_run_again(tmp_path: Path, unkilled: Path) -> None:
    config = write_campaign(tmp_path / "given", TINY)
    folder = tmp_path / "run"
    assert killed("replica:after:1", config, folder, tmp_path / "log") == -signal.SIGKILL
    truncate(next((folder / "work" / "0000" / "explore" / "kept").glob("*.h5")))
    run(folder)
    assert digest_of(folder) == digest_of(unkilled / "run")
    assert "torn_piece" in events(folder)


@pytest.mark.slow
@pytest.mark.parametrize("copied", [False, True])
def test_a_torn_model_file_of_a_stage_in_hand_is_trained_again(
    copied: bool, tmp_path: Path, unkilled: Path
) -> None:
    config = write_campaign(tmp_path / "given", TINY)
    folder = tmp_path / "run"
    assert killed("done:train-1:1", config, folder, tmp_path / "log") == -signal.SIGKILL
    if copied:  # the files of the first one are whole, but not this one's
        folder = Path(shutil.copytree(folder, tmp_path / "copy"))
    truncate(folder / "work" / "0000" / "train-1" / "1" / "frozen.json")
    ended = run(folder)
    assert ended.state in {State.STABLE, State.EXHAUSTED}, ended
    assert digest_of(folder) == digest_of(unkilled / "run")
    assert "torn_result" in events(folder)


@pytest.mark.slow
def test_a_campaign_folder_may_be_moved_between_two_stages(tmp_path: Path, unkilled: Path) -> None:
    config = write_campaign(tmp_path / "given", TINY)
    folder = tmp_path / "run"
    assert killed("done:train-1:1", config, folder, tmp_path / "log") == -signal.SIGKILL
    folder = folder.rename(tmp_path / "moved")
    ended = run(folder)
    assert ended.state in {State.STABLE, State.EXHAUSTED}, ended
    assert digest_of(folder) == digest_of(unkilled / "run")


def test_a_torn_generation_does_not_end_a_campaign(tiny: Path, unkilled: Path) -> None:
    truncate(max((tiny / "generations").glob("*.h5")))
    run(tiny)
    assert digest_of(tiny) == digest_of(unkilled / "run")
    assert "torn_generation" in events(tiny)


# --------------------------------------------------------------------------- engines and signals


def test_a_second_engine_is_refused_and_told_who_holds_the_campaign(tiny: Path) -> None:
    with acquire(tiny), pytest.raises(CampaignHeld) as refused:
        run(tiny)
    assert f"process {os.getpid()}" in str(refused.value)
    assert refused.value.exit_code == 1


@pytest.mark.slow
def test_sigterm_stops_soon_with_exit_code_3_and_the_campaign_goes_on(
    tmp_path: Path, unkilled: Path
) -> None:
    config = write_campaign(tmp_path / "given", TINY | {"labeler.seconds_per_label": 0.02})
    folder = tmp_path / "run"
    engine = subprocess.Popen(
        [Path(sys.executable).parent / "sis", "run", config, folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while not (folder / "work" / "0000" / "label").exists():
        assert engine.poll() is None
        time.sleep(0.05)
    began = time.monotonic()
    engine.terminate()
    told, _ = engine.communicate(timeout=30)
    assert engine.returncode == 3, told
    assert time.monotonic() - began < 30
    assert "continue: sis run" in told
    run(folder)
    assert paid(folder) == paid(unkilled / "run")

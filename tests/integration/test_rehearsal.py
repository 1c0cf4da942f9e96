"""`sis rehearse`: a few of its trials, and a machine of random steps on one campaign."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from ruamel.yaml import YAML

from sis_engine.rehearsal.given import NOTHING, Ordeal, Undisturbed, prepare, undisturbed
from sis_engine.rehearsal.interposer import build
from sis_engine.rehearsal.life import ENDED
from sis_engine.rehearsal.order import Order
from sis_engine.rehearsal.programme import Compared
from sis_engine.rehearsal.remains import adopt_orphans
from sis_engine.rehearsal.surroundings import disturbed
from tests.integration.small_campaigns import ROOT

FILES = ("generations/*.h5", "work/*/*/result-*.h5", "work/*/explore/kept/*.h5", "inputs/*")


def ordered(folder: Path, **order: Any) -> dict[str, int]:
    """The tally of a rehearsal, led as ``sis rehearse`` does."""
    library = build(folder)
    done = subprocess.run(
        [sys.executable, "-m", "sis_engine.rehearsal", Order(str(folder), **order).as_text()],
        env={
            "PATH": "/usr/bin:/bin",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            **({} if library is None else {"LD_PRELOAD": str(library)}),
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_a_campaign_that_is_killed_and_failed_comes_to_the_same_end(tmp_path: Path) -> None:
    order = {"parts": ("operations", "kills"), "seed": 2, "kills": 3, "jobs": 1, "sample": 2}
    found = ordered(tmp_path, **order)
    assert found["kills"] == 3
    assert found["faults_injected"] >= (1 if build(tmp_path) else 0)
    wrong = {name: found[name] for name in ("differences", "labels_recomputed", "orphans")}
    assert not any(wrong.values()), (tmp_path / "trials.jsonl").read_text()
    again = ordered(tmp_path, **order | {"parts": ("kills",)})
    assert again == found  # enough are in the journal: nothing is led again


@pytest.mark.slow
def test_a_disk_that_fills_up_is_said_and_with_room_made_it_comes_to_the_same_end(
    tmp_path: Path,
) -> None:
    adopt_orphans()
    compared = Compared(undisturbed(tmp_path / "whole"), NOTHING, NOTHING, tmp_path)
    trial = disturbed(tmp_path / "disturbed", compared, "the disk fills up")
    if trial.injected == 0:
        pytest.skip(trial.outcome)
    assert (trial.differences, trial.recomputed, trial.orphans) == ((), 0, ())


# --------------------------------------------------------------------------- random steps


class Steps(RuleBasedStateMachine):
    """kill, pause, resume, corrupt and edit in any order; then the end is the same."""

    place: Path
    compared: Undisturbed

    @initialize()
    def begin(self) -> None:
        shutil.rmtree(self.place / "steps", ignore_errors=True)
        self.ordeal = Ordeal(prepare(self.place / "steps"), self.compared)
        self.ordeal.live(kill_after_s=0.3 * self.compared.cpu_s)

    def _tree(self) -> Any:
        return YAML(typ="rt", pure=True).load(self.ordeal.stage.config.read_text())

    @rule(part=st.floats(0.05, 0.6))
    def kill(self, part: float) -> None:
        self.ordeal.live(kill_after_s=part * self.compared.cpu_s)

    @rule(part=st.floats(0.05, 0.6))
    def pause(self, part: float) -> None:
        end = self.ordeal.live(stop_after_s=part * self.compared.cpu_s)
        assert end.code in {3, *ENDED}, end.said

    @rule()
    def resume(self) -> None:
        end = self.ordeal.live()
        assert end.code in ENDED, end.said

    @rule(which=st.sampled_from(FILES), where=st.floats(0.0, 1.0))
    def corrupt(self, which: str, where: float) -> None:
        for path in sorted(self.ordeal.stage.folder.glob(which))[:1]:
            if path.is_file():
                data = bytearray(path.read_bytes())
                data[min(int(where * len(data)), len(data) - 1)] ^= 0x10
                path.write_bytes(data)

    @rule(hours=st.integers(10, 20))
    def edit(self, hours: int) -> None:
        tree = self._tree()
        tree["budget"]["wall_hours"] = float(hours)
        with self.ordeal.stage.config.open("w") as file:
            YAML(typ="rt", pure=True).dump(tree, file)

    @invariant()
    def nothing_went_wrong_so_far(self) -> None:
        if hasattr(self, "ordeal"):
            self._look()

    def _look(self) -> None:
        ordeal = self.ordeal
        assert (ordeal.differences, ordeal.orphans, ordeal.recomputed) == ([], [], 0)

    def teardown(self) -> None:
        if hasattr(self, "ordeal"):
            self.ordeal.to_the_end()
            self._look()


@pytest.mark.slow
def test_any_order_of_steps_comes_to_the_same_end(tmp_path: Path) -> None:
    adopt_orphans()
    machine = type("TheseSteps", (Steps,), {"place": tmp_path})
    machine.compared = undisturbed(tmp_path / "undisturbed")  # type: ignore[attr-defined]
    machine.TestCase.settings = settings(  # type: ignore[attr-defined]
        max_examples=2,
        stateful_step_count=4,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    machine.TestCase("runTest").runTest()  # type: ignore[attr-defined]


@pytest.mark.slow
def test_sigterm_ends_a_rehearsal_whole(tmp_path: Path) -> None:
    """Its workers are processes of their own, and would go on for hours."""
    folder = tmp_path / "rehearsal"
    sis = Path(sys.executable).with_name("sis")
    command = [sis, "rehearse", folder, "--only", "kills"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as rehearsal:
        stderr = rehearsal.stderr
        assert stderr is not None
        assert "undisturbed" in stderr.readline()
        rehearsal.terminate()
        told = stderr.read()
    assert rehearsal.returncode == 3, told
    assert "stopped" in told
    left = [
        path.parent.name
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if str(folder).encode() in _read(path)
    ]
    assert left == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended meanwhile
        return b""

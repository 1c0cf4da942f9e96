"""Charges beside another labeler's energies, through a whole campaign on fakes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sis_engine.commands.exporting import export_campaign
from sis_engine.commands.fork import fork_campaign
from sis_engine.commands.lineage import lineage
from sis_engine.commands.validation import validate
from sis_engine.errors import ConfigurationError
from sis_engine.records import Labelled
from sis_engine.report.outcomes import all_outcomes
from sis_engine.setup.assembly import assemble
from sis_engine.storage.exchange import read_frames
from sis_engine.storage.generation import GenerationRecord
from tests.integration.small_campaigns import digest_of, records, run, write_campaign

LABELER = {
    "type": "with-charges",
    "base": {"type": "fake"},
    "charges": {"type": "fake", "depth_ev": 0.1, "unconverged_below_angstrom": 2.3},
}


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("charges")
    changes = {"labeler": LABELER, "budget.generations": 1}
    run(folder / "run", write_campaign(folder / "given", changes), report=True)
    return folder / "run"


@pytest.fixture(scope="module")
def committed(campaign: Path) -> list[GenerationRecord]:
    return records(campaign)


def _labels(committed: list[GenerationRecord]) -> list[Labelled]:
    return [item for r in committed for o in all_outcomes(r) for item in o.labelled]


def test_generation_files_keep_charges_their_level_and_what_is_missing(
    committed: list[GenerationRecord],
) -> None:
    labels = _labels(committed)
    have = [item for item in labels if item.label.charges is not None]
    assert len(labels) > len(have) > 0
    assert {item.level.settings for item in labels} == {(("charge", 0), ("depth_ev", 0.3))}
    asked = {item.charges_level.settings for item in labels if item.charges_level is not None}
    assert asked == {(("charge", 0), ("depth_ev", 0.1))}
    frames = [part.frames for record in committed for part in record.parts]
    known = sum(
        int((~np.isnan(f.charges).any(axis=1)).sum()) for f in frames if f.charges is not None
    )
    assert 0 < known < sum(f.n_frames for f in frames)


@pytest.mark.parametrize("form", ["deepmd", "extxyz", "h5md"])
def test_exports_carry_charges_and_leave_missing_ones_out(
    campaign: Path, committed: list[GenerationRecord], form: str, tmp_path: Path
) -> None:
    out = tmp_path / {"deepmd": "data", "extxyz": "data.extxyz", "h5md": "data.h5"}[form]
    export_campaign(campaign, out, form)
    blocks = list(read_frames(out))
    parts = [part.frames for record in committed for part in record.parts]
    assert sum(b.n_frames for b in blocks) == sum(f.n_frames for f in parts)
    assert _charged(blocks) == _charged(parts)


def _charged(sets: list) -> dict[float, tuple[float, ...]]:
    """Charges by energy, of the frames that have some."""
    return {
        float(one.energies[k]): tuple(one.charges[k].tolist())
        for one in sets
        if one.charges is not None
        for k in range(one.n_frames)
        if not np.isnan(one.charges[k]).any()
    }


def test_the_report_counts_them(campaign: Path, committed: list[GenerationRecord]) -> None:
    page = (campaign / "report.html").read_text(encoding="utf-8")
    labels = _labels(committed)
    lack = sum(item.label.charges is None for item in labels)
    assert "Partial charges" in page
    assert f"on {len(labels) - lack} labels, {lack} lack them" in page


def test_why_says_where_the_charges_of_a_frame_came_from(
    campaign: Path, committed: list[GenerationRecord]
) -> None:
    lacking = next(item for item in _labels(committed) if item.label.charges is None)
    assert any("no charges could be had" in step for step in lineage(campaign, lacking.key).steps)
    charged = next(item for item in _labels(committed) if item.label.charges is not None)
    assert any(step.startswith("charges: morse") for step in lineage(campaign, charged.key).steps)


def test_the_same_campaign_again_has_the_same_digest(campaign: Path, tmp_path: Path) -> None:
    changes = {"labeler": LABELER, "budget.generations": 1}
    run(tmp_path / "run", write_campaign(tmp_path / "given", changes))
    assert digest_of(tmp_path / "run") == digest_of(campaign)


def test_a_warm_start_of_either_labeler_is_refused_where_results_are_to_be_exact(
    tmp_path: Path,
) -> None:
    warm = {"type": "xtb", "warm_start": True}
    file = write_campaign(tmp_path, {"labeler": LABELER | {"charges": warm}})
    with pytest.raises(ConfigurationError, match=r"labeler\.charges\.warm_start"):
        validate(assemble(file))


def test_charges_of_two_levels_may_not_meet_in_a_fork(campaign: Path, tmp_path: Path) -> None:
    change = "labeler.charges.depth_ev=0.2"
    with pytest.raises(ConfigurationError, match="differ"):
        fork_campaign(campaign, tmp_path / "fork", at=None, changes=(change,))
    assert fork_campaign(campaign, tmp_path / "anew", at=-1, changes=(change,)).changes

"""A campaign file that was edited between two runs, as the person who edited it sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.command_line import sis

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ("seed: 3", "seed: 4", "seed"),
        ("depth_error: 0.1", "depth_error: 0.2", "trainer.depth_error"),
        ("name: cluster", "name: clusters", "systems"),
        ("length_fs: 60.0", "length_fs: 80.0", "initial.segment.length_fs"),
    ],
)
def test_an_edit_that_needs_a_fork_is_refused_by_key(
    before: str, after: str, key: str, copied: Path, capsys: Capture
) -> None:
    config = copied / "campaign.yaml"
    assert before in config.read_text()
    config.write_text(config.read_text().replace(before, after, 1))
    said = sis(capsys, "run", copied)
    assert said.code == 2, said
    assert f"{config}" in said.err
    assert key in said.err
    assert "only in a fork" in said.err
    assert "sis fork" in said.err


@pytest.mark.parametrize(
    ("added", "key", "when"),
    [
        ("execution: {cores: 1}", "execution.cores", "now"),
        ("pause_before: [label]", "pause_before", "now"),
    ],
)
def test_an_edit_that_is_safe_now_is_told_and_taken(
    added: str, key: str, when: str, copied: Path, capsys: Capture
) -> None:
    config = copied / "campaign.yaml"
    config.write_text(f"{config.read_text()}{added}\n")
    said = sis(capsys, "run", copied)
    assert said.code == 0, said
    assert f"configuration: {key}" in said.out
    assert f"({when})" in said.out


def test_a_wrong_edit_names_the_edited_file(copied: Path, capsys: Capture) -> None:
    config = copied / "campaign.yaml"
    text = config.read_text()
    config.write_text(text.replace("type: geometry", "type: geometri"))
    said = sis(capsys, "run", copied)
    assert said.code == 2
    assert f"{config}:" in said.err
    assert "did you mean 'geometry'" in said.err

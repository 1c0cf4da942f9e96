"""Pools in a campaign file: what the documentation shows is valid, what is wrong is said."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from sis_engine.commands.doctor import examine
from sis_engine.commands.validation import validate
from sis_engine.config.campaign import CampaignConfig
from sis_engine.config.changes import When, changes_between
from sis_engine.config.file import read_campaign_text
from sis_engine.errors import ConfigurationError
from sis_engine.execution.pools import LabelPool, LocalExecution, ParslExecution
from sis_engine.setup.assembly import assemble
from tests.integration.small_campaigns import ROOT, SMOKE, write_campaign

PAGE = (ROOT / "docs" / "clusters.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
LABEL = "execution: {type: parsl, pools: {label: {provider: %s}}}"


def read(execution: str) -> CampaignConfig:
    return read_campaign_text(f"{SMOKE.read_text()}\n{execution}\n", Path("campaign.yaml"))


@pytest.mark.parametrize("number", range(3))
def test_every_configuration_in_the_documentation_is_valid(number: int) -> None:
    execution = read(SNIPPETS[number]).execution
    assert isinstance(execution, ParslExecution)
    assert execution.pools.label is not None


def test_the_documentation_has_no_other_snippets() -> None:
    assert len(SNIPPETS) == 3


def test_without_a_word_all_is_done_here() -> None:
    assert read("").execution == LocalExecution()
    assert read("execution: {cores: 3}").execution == LocalExecution(cores=3)


@pytest.mark.parametrize(
    ("execution", "key", "told"),
    [
        ("execution: {type: parsll}", "execution.type", "did you mean 'parsl'?"),
        ("execution: {type: parsl}", "execution.pools", "required key is missing"),
        ("execution: {type: parsl, pools: {}}", "execution.pools", "at least one of label"),
        (
            "execution: {type: parsl, pools: {labels: {provider: {type: local}}}}",
            "execution.pools.labels",
            "did you mean 'label'?",
        ),
        (LABEL % "{type: slurmm}", "execution.pools.label.provider.type", "'slurm'"),
        (
            LABEL % "{type: slurm, partitoin: x}",
            "execution.pools.label.provider.partitoin",
            "did you mean 'partition'?",
        ),
        (LABEL % "{type: slurm}", "execution.pools.label", "give provider.cores_per_node"),
        (
            LABEL % "{type: slurm, nodes_per_block: 2}",
            "execution.pools.label.provider",
            "needs launcher",
        ),
        (
            LABEL % "{type: slurm, walltime_minutes: 10, drain_minutes: 10}",
            "execution.pools.label.provider",
            "leaves nothing of walltime_minutes 10",
        ),
        (
            LABEL % "{type: local, min_blocks: 3}",
            "execution.pools.label.provider",
            "min_blocks 3 is above max_blocks 1",
        ),
    ],
)
def test_what_is_wrong_with_a_pool_is_said_with_its_place(
    execution: str, key: str, told: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read(execution)
    assert raised.value.key == key
    assert told in str(raised.value)


def test_another_queue_is_a_change_for_now() -> None:
    old, new = (
        read(LABEL % "{type: slurm, partition: day, cores_per_node: 1}"),
        read(LABEL % "{type: local}"),
    )
    assert {change.when for change in changes_between(old, new)} == {When.NOW}


def campaign(folder: Path, provider: dict[str, Any]) -> Path:
    pools = {"label": {"provider": provider}}
    return write_campaign(folder, {"execution": {"type": "parsl", "pools": pools}})


def test_a_missing_parsl_is_found_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "parsl" else there(name)
    )
    parts = assemble(campaign(tmp_path, {"type": "local"}))
    with pytest.raises(ConfigurationError, match=r"pip install 'sis-engine\[parsl\]'") as raised:
        validate(parts)
    assert raised.value.key == "execution.type"
    (report,) = [item for item in examine(tmp_path, parts) if item.name == "Parsl"]
    assert report.problem == "Parsl is not installed"


def test_a_missing_scheduler_is_found_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    parts = assemble(campaign(tmp_path, {"type": "pbs"}))
    with pytest.raises(ConfigurationError, match="qsub is not on PATH") as raised:
        validate(parts)
    assert raised.value.key == "execution.pools.label.provider.type"


def test_slots_follow_from_nodes_cores_and_gpus() -> None:
    def slots(**given: Any) -> int:
        return LabelPool.model_validate(given).slots(cores_here=8)

    assert slots(provider={"type": "local"}) == 8
    assert slots(provider={"type": "local"}, cores_per_worker=3) == 2
    assert slots(provider={"type": "local"}, accelerators=2, workers_per_accelerator=2) == 4
    nodes = {"type": "slurm", "max_blocks": 5, "cores_per_node": 64}
    assert slots(provider=nodes, cores_per_worker=16) == 20
    assert slots(provider=nodes, workers_per_node=2) == 10


def test_the_snippets_are_yaml_that_the_schema_knows() -> None:
    import jsonschema

    from sis_engine.cli.json_schema import campaign_schema

    tree = YAML(typ="safe", pure=True).load(SMOKE.read_text() + "\n" + SNIPPETS[2])
    jsonschema.validate(tree, campaign_schema())

"""Small campaigns on the shipped fakes: their files, and runs of them in this process."""

from __future__ import annotations

import copy
import io
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from sis_engine.bookkeeping import backoff
from sis_engine.campaign import runner
from sis_engine.campaign.runner import Ended, run_in_folder
from sis_engine.records import Purpose
from sis_engine.storage.bank import LabelBank
from sis_engine.storage.generation import GenerationRecord, GenerationStore
from sis_engine.storage.ledger import Ledger

ROOT = Path(__file__).parents[2]
SMOKE = ROOT / "configs" / "smoke.yaml"
CLUSTER = ROOT / "configs" / "structures" / "fake-cluster.xyz"


def smoke(changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The smoke campaign as a mapping, with dotted keys changed (``None`` removes a key)."""
    tree: dict[str, Any] = YAML(typ="safe", pure=True).load(SMOKE.read_text())
    for key, value in (changes or {}).items():
        *parents, last = [int(part) if part.isdigit() else part for part in key.split(".")]
        node: Any = tree
        for part in parents:
            node = node.setdefault(part, {}) if isinstance(node, dict) else node[part]
        if value is None and isinstance(node, dict):
            node.pop(last, None)
        else:
            node[last] = copy.deepcopy(value)
    return tree


def write_campaign(folder: Path, changes: Mapping[str, Any] | None = None) -> Path:
    """``campaign.yaml`` with its structure, in a folder of its own."""
    (folder / "structures").mkdir(parents=True, exist_ok=True)
    shutil.copy(CLUSTER, folder / "structures")
    stream = io.StringIO()
    YAML(typ="safe", pure=True).dump(smoke(changes), stream)
    file = folder / "campaign.yaml"
    file.write_text(stream.getvalue())
    return file


def run(
    folder: Path,
    config: Path | None = None,
    *,
    approve: bool = False,
    report: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Ended:
    """``sis run`` in this process, without the report unless it is asked for."""
    with pytest.MonkeyPatch.context() as patch:
        if not report:
            patch.setattr(runner, "_reported", lambda _, ended: ended)
        patch.setattr(backoff, "RETRY_AFTER_S", ())
        return run_in_folder(folder, config, stop=stop, approve=approve, quiet=True)


def digest_of(folder: Path) -> str:
    with Ledger(folder, read_only=True) as ledger:
        return ledger.generations()[-1].digest


def paid(folder: Path, *, but: Purpose | None = None) -> int:
    """Evaluations that the ledger says were paid for, for any purpose but one."""
    with Ledger(folder, read_only=True) as ledger:
        return sum(item.paid for item in ledger.counts() if item.purpose is not but)


def banked(folder: Path) -> int:
    """Labels and recorded failures in the bank."""
    with LabelBank(folder / "labels") as bank:
        return len(bank.keys(good=None))


def records(folder: Path) -> list[GenerationRecord]:
    with Ledger(folder, read_only=True) as ledger:
        return list(GenerationStore(folder, ledger).load_all())


def events(folder: Path) -> str:
    with Ledger(folder, read_only=True) as ledger:
        return "\n".join(f"{row.kind}: {row.text}" for row in ledger.events())

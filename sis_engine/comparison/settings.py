"""All settings that a run's numbers depend on, key by key, and their hash.

A finished run may be used again only where they are the same; where not, the keys that differ are
named. What changes no number (cores, time limits, paths, names) is left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sis_engine.comparison.plan import Comparison, RunName
from sis_engine.config.changes import When, judge_key
from sis_engine.plugins import Kind, load
from sis_engine.setup.assembly import Parts

Settings = dict[str, Any]

BEFORE_EXPLORING = ("explore", "monitors", "sampler", "audit", "triage", "budget")
"""Keys that have no part in the first labels and the first model."""

COSTS = "examination.costs"
"""Which models of a run are examined; no number of an examination depends on it."""

_NO_PART = ("name", "label_bank", "known_labels", "pause_before", "seed")


def settings_of(comparison: Comparison, run: RunName) -> Settings:
    """Flat settings of a run: of each phase of its campaign, and of the examiner."""
    found: Settings = {"seed": run.seed}
    for number, text in enumerate(comparison.phases(run)):
        phase = campaign_settings(comparison.parts(run, text))
        head = "campaign" if number == 0 else f"then.{number}"
        found |= {f"{head}.{key}": value for key, value in phase.items()}
    return found | examiner_settings(comparison, run.case)


def examiner_settings(comparison: Comparison, case: str, *, grid: bool = True) -> Settings:
    """Flat settings of the examiner of one case; ``grid``: with the costs he looks at."""
    parts = comparison.examiner_parts(case, 0)
    found = {f"examiner.{key}": value for key, value in campaign_settings(parts).items()}
    own = comparison.config.examiner.model_dump(mode="json", exclude={"changes"})
    found |= {f"examination.{key}": value for key, value in _flat(own).items()}
    if grid:
        found[COSTS] = list(comparison.config.costs)
    return found


def start_settings(parts: Parts, seed: int) -> Settings:
    """Settings of the first labels and the first model: arms that share them share those."""
    kept = {
        key: value
        for key, value in campaign_settings(parts).items()
        if key.partition(".")[0] not in BEFORE_EXPLORING
    }
    return {"seed": seed, **kept}


def campaign_settings(parts: Parts) -> Settings:
    """Flat settings of one campaign, with every plugin's defaults and each structure's content."""
    config = parts.config
    tree = config.model_dump(mode="json")
    for kind, key in ((Kind.LABELER, "labeler"), (Kind.TRAINER, "trainer")):
        tree[key] = _plugin(kind, tree[key], parts)
    for kind, key in ((Kind.EXPLORER, "explorer"), (Kind.SAMPLER, "sampler")):
        tree[key] = _plugin(kind, tree[key], parts)
    tree["monitors"] = [_plugin(Kind.MONITOR, item, parts) for item in tree["monitors"]]
    for item in tree["systems"]:
        item["structure"] = parts.system(item["name"]).frame.key
    tree["initial"]["data"] = [_content(parts.path(path)) for path in config.initial.data]
    if config.initial.model is not None:
        tree["initial"]["model"] = _content(parts.path(config.initial.model))
    return {key: value for key, value in _flat(tree).items() if _matters(key)}


def digest(settings: Mapping[str, Any]) -> str:
    """SHA-256 of settings, whatever their order."""
    return hashlib.sha256(_written(settings).encode()).hexdigest()


def differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
    """Keys whose values differ, each with the old value and the new; none where digests agree."""
    return {
        key: f"{old.get(key, 'absent')!r} → {new.get(key, 'absent')!r}"
        for key in dict.fromkeys((*old, *new))
        if (key in old) != (key in new) or _written(old[key]) != _written(new[key])
    }


def _written(value: Any) -> str:
    """As in a file: read again, a tuple is a list."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def _matters(key: str) -> bool:
    if key.partition(".")[0] in _NO_PART:
        return False
    return key.startswith("budget") or judge_key(key) is not When.NOW


def _plugin(kind: Kind, given: dict[str, Any], parts: Parts) -> dict[str, Any]:
    """A plugin's settings with its defaults; files by what is in them."""
    config = load(kind, given["type"]).Config.model_validate(given)
    filled: dict[str, Any] = _without_paths(config.model_dump(), parts)
    return filled


def _without_paths(value: Any, parts: Parts) -> Any:
    if isinstance(value, dict):
        return {str(key): _without_paths(item, parts) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_paths(item, parts) for item in value]
    return _content(parts.path(value)) if isinstance(value, Path) else value


def _content(path: Path) -> str:
    """What a path holds: its name and a hash of its bytes; of a folder, of all its files'."""
    files = sorted(item for item in path.rglob("*") if item.is_file()) if path.is_dir() else [path]
    found = hashlib.sha256()
    for file in files:
        if file.is_file():
            found.update(file.read_bytes())
    return f"{path.name}:{found.hexdigest()[:16]}"


def _flat(value: Any, prefix: str = "") -> Settings:
    """Leaves of nested mappings, and of lists of mappings, by dotted key."""
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        value = {str(item.get("name", number)): item for number, item in enumerate(value)}
    if isinstance(value, dict) and value:
        found: Settings = {}
        for key, item in value.items():
            found |= _flat(item, f"{prefix}.{key}" if prefix else str(key))
        return found
    return {prefix: value}

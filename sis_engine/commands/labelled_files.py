"""Labelled structures as files, with where they came from and what kept the others out.

Beside the data stands ``….provenance.json`` (levels of theory, versions, costs, reasons) and, where
something was kept out, ``….rejected.extxyz``: nothing is dropped in silence.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sis_engine.commands.label_runs import JobResult
from sis_engine.records import FrameSet, LabelFailure, Labelled, LevelOfTheory
from sis_engine.report.jsonable import json_text
from sis_engine.setup.versions import machine
from sis_engine.storage.atomic import write_text
from sis_engine.storage.exchange import extxyz_text, write_deepmd
from sis_engine.storage.exchange_h5md import H5MD_SUFFIXES, write_h5md
from sis_engine.storage.splits import frame_set

Facts = Mapping[str, str | int | float]


class DataFormat(enum.StrEnum):
    """Formats of labelled structures."""

    EXTXYZ = "extxyz"
    DEEPMD = "deepmd"
    H5MD = "h5md"

    @classmethod
    def of(cls, path: Path) -> DataFormat:
        """By the name: .xyz and .extxyz, .h5 and .h5md; else a deepmd/npy folder."""
        if path.suffix in {".xyz", ".extxyz"}:
            return cls.EXTXYZ
        return cls.H5MD if path.suffix in H5MD_SUFFIXES else cls.DEEPMD


@dataclass(frozen=True)
class Written:
    """Where everything is. rejected: ``None`` when nothing was kept out."""

    out: Path
    provenance: Path
    rejected: Path | None


def write_result(
    result: JobResult, out: Path, form: DataFormat, extra: Mapping[str, Any] | None = None
) -> Written:
    """Data, provenance and what was kept out. extra: further keys of the provenance"""
    if form is DataFormat.EXTXYZ:
        lines = (extxyz_text(i.frame, i.label, facts_of(result, i)) for i in result.accepted)
        write_text(out, "".join(lines))
    elif form is DataFormat.H5MD:
        write_h5md([named for _, named in _sets(result)], out)
    else:
        elements = tuple(sorted({s for item in result.accepted for s in item.frame.species}))
        for split, frames in _by_split(result).items():
            write_deepmd(frames, out / split, elements)
    inside = form is DataFormat.DEEPMD
    place = out / "provenance.json" if inside else out.with_name(f"{out.stem}.provenance.json")
    rejected = _write_rejected(
        result, out / "rejected.extxyz" if inside else out.with_name(f"{out.stem}.rejected.extxyz")
    )
    write_text(place, json_text({**provenance(result), **(extra or {})}))
    return Written(out, place, rejected)


def provenance(result: JobResult) -> dict[str, Any]:
    """Levels of theory, versions, costs, and the reason of everything that was kept out."""
    labelled = [item for item in result.results if isinstance(item, Labelled)]
    levels = {item.level.fingerprint: item.level for item in result.results}
    return {
        "levels": [_level(level) for level in levels.values()],
        "programs": sorted({(i.level.program, i.program_version) for i in labelled}),
        "machine": machine(),
        "sources": sorted({item.source for item in result.job.given}),
        "systems": [
            {
                "name": system.name,
                "charge": system.charge,
                "multiplicity": system.multiplicity,
                "structures": result.job.of.count(number),
            }
            for number, system in enumerate(result.job.systems)
        ],
        "structures": len(result.results),
        "labelled": len(result.accepted),
        "rejected": [
            {
                "index": item.item.origin.index,
                "reason": item.reason,
                "value": item.value,
                "limit": item.limit,
            }
            for item in result.rejected
        ],
        "failed": [
            {
                "index": item.origin.index,
                "reason": item.reason.value,
                "message": item.message,
                "directory": item.directory,
                "handlers": item.handlers,
            }
            for item in result.failures
        ],
        "cost": {
            "evaluations": sum(not item.cached for item in result.results),
            "from_bank_of_others": sum(item.cached for item in result.results),
            "made_in_this_run": len(result.results) - result.known,
            "label_seconds": sum(item.seconds for item in result.results if not item.cached),
            "wall_seconds_of_this_run": result.wall_s,
        },
        "helped": {
            str(item.origin.index): list(item.handlers) for item in labelled if item.handlers
        },
    }


def facts_of(result: JobResult, item: Labelled | LabelFailure) -> Facts:
    """What an extxyz frame says of itself, beside label and structure."""
    given = result.job.given[item.origin.index]
    system = result.job.system(item.origin.index)
    history = given.history
    facts: dict[str, str | int | float | None] = {
        "system": system.name,
        "source": given.source,
        "source_index": given.index,
        "charge": system.charge,
        "multiplicity": system.multiplicity,
        "split": history.split,
        "purpose": history.purpose,
        "generation": history.generation,
        "plan": history.plan,
        "time_fs": history.time_fs,
        "previous_level": history.level,
        "previous_method": history.method,
        "level": item.level.fingerprint,
        "method": method_of(item.level),
        "seconds": item.seconds,
    }
    if isinstance(item, Labelled):
        facts["program_version"] = item.program_version
        facts["handlers"] = "; ".join(item.handlers) or None
    return {key: value for key, value in facts.items() if value is not None}


def method_of(level: LevelOfTheory) -> str:
    """The level in words."""
    return f"{level.method} ({level.program} {level.version_class})"


def _level(level: LevelOfTheory) -> dict[str, Any]:
    return {
        "fingerprint": level.fingerprint,
        "program": level.program,
        "version_class": level.version_class,
        "method": level.method,
        "settings": dict(level.settings),
    }


def _write_rejected(result: JobResult, path: Path) -> Path | None:
    """What was kept out, each with its reason, labelled or not; ``None`` when nothing was."""
    texts = [
        extxyz_text(
            found.item.frame,
            found.item.label,
            {**facts_of(result, found.item), "reason": found.reason},
        )
        for found in result.rejected
    ]
    texts += [
        extxyz_text(
            item.frame,
            None,
            {**facts_of(result, item), "reason": item.reason.value, "message": item.message},
        )
        for item in result.failures
    ]
    if not texts:
        path.unlink(missing_ok=True)  # of an earlier try at the same request
        return None
    write_text(path, "".join(texts))
    return path


def _sets(result: JobResult) -> Iterator[tuple[str, FrameSet]]:
    """Frame sets by split (empty: none is known) and system, named by both, in the given order."""
    groups: dict[tuple[str, str], list[Labelled]] = {}
    for item in result.accepted:
        split = result.job.given[item.origin.index].history.split or ""
        groups.setdefault((split, result.job.system(item.origin.index).name), []).append(item)
    systems = {system.name: system for system in result.job.systems}
    for split, name in sorted(groups):
        frames = frame_set(groups[split, name], systems[name])
        yield split, replace(frames, system=f"{split}.{name}" if split else name)


def _by_split(result: JobResult) -> dict[str, list[FrameSet]]:
    found: dict[str, list[FrameSet]] = {}
    for split, frames in _sets(result):
        found.setdefault(split, []).append(frames)
    return found

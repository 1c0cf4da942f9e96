"""``sis relabel``: a data set with what is known of its past, and its difference to a new level."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sis_engine.analysis.level_shift import LevelShift, Pair, level_shift
from sis_engine.bookkeeping import folder as campaign_folder
from sis_engine.commands.label_jobs import Job
from sis_engine.commands.label_runs import JobResult
from sis_engine.commands.labelled_files import method_of
from sis_engine.commands.status import open_ledger
from sis_engine.errors import ConfigurationError
from sis_engine.records import Labelled, Purpose
from sis_engine.report.level_page import level_page
from sis_engine.storage.generation import GenerationRecord, GenerationStore
from sis_engine.storage.splits import frame_at, label_at
from sis_engine.storage.structure_files import Given, History, read_given

FIELDS = ("number", "parts", "outcomes", "test_outcomes", "audits", "suspects")


def read_labelled(source: Path, form: str | None, purposes: Sequence[str]) -> tuple[Given, ...]:
    """Labelled structures of a campaign folder, or of data in any format.

    purposes: of a campaign, only frames labelled for these; empty: the data set and the test frames
    Raises ConfigurationError when a structure has no label to compare with, or nothing is left.
    """
    known = {item.value for item in Purpose}
    for purpose in purposes:
        if purpose not in known:
            close = difflib.get_close_matches(purpose, known, n=1)
            raise ConfigurationError(
                f"no frame is labelled for {purpose!r}",
                key="--purpose",
                allowed=", ".join(sorted(known)),
                hint=f"did you mean {close[0]!r}?" if close else None,
            )
    if source.is_dir() and campaign_folder.exists(source):
        found = campaign_frames(source)
    else:
        found = read_given(source, form)
    bare = next((item for item in found if item.label is None), None)
    if bare is not None:
        raise ConfigurationError(
            f"structure {bare.index} of {bare.source} has no energy and forces to compare with",
            file=source,
            hint="`sis label` labels structures that have none",
        )
    kept = tuple(item for item in found if _wanted(item, purposes))
    if not kept:
        there = sorted({item.history.purpose or "not known" for item in found})
        raise ConfigurationError(
            f"no frame of {source} is labelled for {', '.join(purposes) or 'its data set'}",
            key="--purpose",
            allowed=", ".join(there),
        )
    return kept


def _wanted(item: Given, purposes: Sequence[str]) -> bool:
    """Without a wish: what is trained on, validated with or tested with, and foreign data."""
    if purposes:
        return item.history.purpose in purposes
    return item.history.split is not None or item.history.purpose is None


# --------------------------------------------------------------------------- the difference


def refuse_same_level(job: Job) -> None:
    """ConfigurationError where a structure is at the asked level already."""
    levels = [job.labeler.level_of_theory(system).fingerprint for system in job.systems]
    same = [g for g, k in zip(job.given, job.of, strict=True) if g.history.level == levels[k]]
    if same:
        raise ConfigurationError(
            f"{len(same)} of {len(job.given)} structures are at this level of theory already "
            f"({same[0].history.method})",
            key="--with",
            allowed="another labeler, or other settings of it that change its labels",
        )


@dataclass(frozen=True, eq=False)
class Comparison:
    """The old labels beside the new ones. old, new: the levels in words"""

    pairs: tuple[Pair, ...]
    shift: LevelShift
    old: str
    new: str

    def page(self, title: str) -> str:
        """One offline HTML page."""
        return level_page(self.pairs, self.shift, old=self.old, new=self.new, title=title)


def compare(result: JobResult) -> Comparison | None:
    """The difference on all frames that the gate let through; ``None`` where there are none."""
    given = [result.job.given[item.origin.index] for item in result.accepted]
    pairs = tuple(
        Pair(item.frame, old.label, item.label)
        for item, old in zip(result.accepted, given, strict=True)
        if old.label is not None
    )
    if not pairs:
        return None
    before = sorted({item.history.method or "as given" for item in given})
    after = sorted({method_of(item.level) for item in result.accepted})
    return Comparison(pairs, level_shift(pairs), ", ".join(before), ", ".join(after))


# --------------------------------------------------------------------------- campaigns


def campaign_frames(folder: Path) -> tuple[Given, ...]:
    """Every labelled frame of a campaign's committed generations, each once, the data set first."""
    with open_ledger(folder) as ledger:
        if not ledger.generations():
            raise ConfigurationError(
                f"{folder} has no committed generation yet", hint=f"sis status {folder}"
            )
        systems = {item.name: item for item in campaign_folder.parts_of(folder, ledger).systems}
        records = tuple(GenerationStore(folder, ledger).load_all(only=FIELDS))
    found: dict[str, Given] = {}
    for given in (*_data_set(records), *_others(records)):
        found.setdefault(given.frame.key, given)
    numbered = []
    for index, given in enumerate(found.values()):
        system = systems.get(given.system or "")
        charge = None if system is None else system.charge
        spin = None if system is None else system.multiplicity
        numbered.append(
            replace(given, source=folder.name, index=index, charge=charge, multiplicity=spin)
        )
    return tuple(numbered)


def _data_set(records: Sequence[GenerationRecord]) -> Iterator[Given]:
    known = {item.frame.key: item for record in records for item in _labels(record)}
    for record in records:
        for part in record.parts:
            for number in range(part.frames.n_frames):
                frame = frame_at(part.frames, number)
                item = known.get(frame.key)
                if item is not None:
                    yield _given(item, part.split.value)
                else:  # imported data
                    yield Given(
                        frame,
                        source="",
                        index=0,
                        system=part.frames.system,
                        label=label_at(part.frames, number),
                        history=History(split=part.split.value, generation=part.generation),
                    )


def _others(records: Sequence[GenerationRecord]) -> Iterator[Given]:
    """Test trajectories; then frames that were labelled and are not (yet) in the data set."""
    for record in records:
        for outcome in record.test_outcomes:
            yield from (_given(item, "test") for item in outcome.labelled)
    for record in records:
        yield from (_given(item, None) for item in _labels(record))


def _labels(record: GenerationRecord) -> Iterator[Labelled]:
    audits = [outcome for audit in record.audits for outcome in audit.outcomes]
    for outcome in (*record.outcomes, *record.test_outcomes, *audits):
        yield from outcome.labelled
    for suspect in record.suspects:
        if isinstance(suspect.outcome, Labelled):
            yield suspect.outcome


def _given(item: Labelled, split: str | None) -> Given:
    origin = item.origin
    history = History(
        split=split,
        purpose=origin.purpose.value,
        generation=origin.generation,
        plan=origin.plan,
        time_fs=origin.time_fs,
        level=item.level.fingerprint,
        method=method_of(item.level),
    )
    return Given(item.frame, "", 0, system=origin.system, label=item.label, history=history)

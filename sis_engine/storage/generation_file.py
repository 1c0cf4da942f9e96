"""The generation file: everything about one turn of the loop, immutable once committed."""

from __future__ import annotations

import dataclasses
import hashlib
import typing
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py

from sis_engine import __version__
from sis_engine.errors import NewerFormat, TornFile
from sis_engine.records import (
    AuditRound,
    Challenger,
    DatasetPart,
    Decision,
    Exploration,
    Foreseen,
    LabelPlan,
    Life,
    MdRules,
    Model,
    ModelForm,
    PlanOutcome,
    RejectedFrame,
    Support,
    SuspectOutcome,
    TestResult,
    Triage,
    Verdict,
)
from sis_engine.storage import h5md
from sis_engine.storage.atomic import DISK, Disk, DurableFile, sha256_of, write_bytes
from sis_engine.storage.codec import (
    READ_ERRORS,
    open_store,
    read_items,
    read_value,
    unreadable,
    verify_file,
    write_items,
    write_value,
)
from sis_engine.storage.seal import check_seal, check_seal_size, write_sealed
from sis_engine.storage.stored_frames import stored_part

FORMAT_VERSION = 2
"""2: a few records without arrays are one text; files of format 1 are read as ever."""


@dataclass(frozen=True)
class ModelImage:
    """One file of a model, as bytes. name: its base name;  sha256: of ``data``"""

    form: ModelForm
    name: str
    sha256: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, eq=False)
class MemberRecord:
    """A member of the committee that only watches: how it was made, and its files as bytes.

    challengers: empty where there was no new data, and the member stayed
    """

    seat: int
    model: Model
    images: tuple[ModelImage, ...] = ()
    challengers: tuple[Challenger, ...] = ()


@dataclass(frozen=True, eq=False)
class GenerationRecord:
    """What one generation was given, did, paid for and decided.

    parent_sha256: of the file of the generation before;  created: ISO 8601, UTC
    config_text: ``campaign.yaml`` as given;  config_json: as resolved, with every default
    versions: (name, version) of engine, programs and packages
    plans, outcomes: label requests and what LABEL made of them (new labels with their origin)
    test_outcomes: of the independent test trajectory, where it was labelled in this generation
    rejected: labels that the gate kept out;  parts: data that is new in this generation
    challengers: attempts at a model;  model: the one in use, its bytes in ``model_images``
    members: the committee that watched, without the driver; empty without one
    foreseen: what the committee of the generation before had said of frames labelled in this one
    stage_seconds: (stage, wall time)
    window_k: temperature window of this generation, (lower, upper), either may be missing
    rules: of all monitors as MD began; empty: of an older engine
    reference_ps: reference MD labelled in this generation;  md_ps: MD of all its replicas
    """

    number: int
    parent_sha256: str | None = None
    created: str = ""
    engine_version: str = __version__
    config_text: str = ""
    config_json: str = ""
    versions: tuple[tuple[str, str], ...] = ()
    seed: int = 0
    plans: tuple[LabelPlan, ...] = ()
    outcomes: tuple[PlanOutcome, ...] = ()
    test_outcomes: tuple[PlanOutcome, ...] = ()
    rejected: tuple[RejectedFrame, ...] = ()
    parts: tuple[DatasetPart, ...] = ()
    support: tuple[Support, ...] = ()
    challengers: tuple[Challenger, ...] = ()
    model: Model | None = None
    model_images: tuple[ModelImage, ...] = ()
    explorations: tuple[Exploration, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    suspects: tuple[SuspectOutcome, ...] = ()
    triages: tuple[Triage, ...] = ()
    lives: tuple[Life, ...] = ()
    audits: tuple[AuditRound, ...] = ()
    test: TestResult | None = None
    decision: Decision | None = None
    stage_seconds: tuple[tuple[str, float], ...] = ()
    window_k: tuple[float | None, float | None] | None = None
    reference_ps: float | None = None
    md_ps: float | None = None
    members: tuple[MemberRecord, ...] = ()
    foreseen: tuple[Foreseen, ...] = ()
    rules: tuple[MdRules, ...] = ()

    @property
    def generation(self) -> int:
        return self.number

    @property
    def model_id(self) -> str:
        """Id of the model in use, or empty."""
        return "" if self.model is None else self.model.id


_ITEMISED: dict[str, type[Any]] = {
    "outcomes": PlanOutcome,
    "test_outcomes": PlanOutcome,
    "parts": DatasetPart,
    "explorations": Exploration,
}
"""One group an item: each has shapes of its own, and H5MD links to it."""

CHEAP_FIELDS = frozenset(
    {
        "number",
        "created",
        "lives",
        "audits",
        "test",
        "decision",
        "support",
        "stage_seconds",
        "window_k",
        "rules",
        "reference_ps",
        "md_ps",
    }
)
"""What `status` needs; no trajectories, frames of labels only inside audits."""


# --------------------------------------------------------------------------- models


def images_of(model: Model) -> tuple[ModelImage, ...]:
    """The files of a model as bytes; TornFile if one is not the file that was recorded."""
    return tuple(
        ModelImage(item.form, item.path.name, item.sha256, _proved(item.path, item.sha256))
        for item in model.files
    )


def extract_model(path: Path, folder: Path, *, disk: Disk = DISK) -> Model:
    """The model of a generation file, its files written to ``folder`` and proved by hash."""
    record = load_generation(path, only=("number", "model", "model_images"))
    if record.model is None:
        raise TornFile(f"{path} holds no model", path=path)
    return extract_from(record.model, record.model_images, folder, disk=disk)


def extract_from(
    model: Model, images: tuple[ModelImage, ...], folder: Path, *, disk: Disk = DISK
) -> Model:
    """``model`` with its files in ``folder``; a file already there with the right hash stays."""
    files = []
    for item in model.files:
        image = next((found for found in images if found.form is item.form), None)
        if image is None or Path(image.name).name != image.name:
            raise TornFile(f"model {model.id} has no {item.form.value} file", path=folder)
        if hashlib.sha256(image.data).hexdigest() != item.sha256:
            raise TornFile(f"the {item.form.value} file of {model.id} is torn", path=folder)
        target = folder / image.name
        if not (target.is_file() and sha256_of(target) == item.sha256):
            write_bytes(target, image.data, disk=disk)
        files.append(dataclasses.replace(item, path=target))
    return dataclasses.replace(model, files=tuple(files))


def _proved(path: Path, sha256: str) -> bytes:
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise TornFile(f"{path} is not the model file that was recorded", path=path)
    return data


# --------------------------------------------------------------------------- files


def save_generation(path: Path, record: GenerationRecord, *, disk: Disk = DISK) -> str:
    """Write the whole file durably, read it back dataset by dataset; its SHA-256."""

    def fill(file: DurableFile) -> None:
        with h5py.File(file, "w") as store:
            _write(store, record)

    write_sealed(path, fill, verify=verify_file, disk=disk)
    return check_seal(path)


def load_generation(
    path: Path,
    *,
    expected_sha256: str | None = None,
    only: Collection[str] | None = None,
    lazy_parts: bool = False,
) -> GenerationRecord:
    """The record of a generation file; TornFile if a byte is not as written.

    expected_sha256: from the ledger
    only: fields to read; the others keep their defaults, and the hash of the body is not taken
        (size, seal and the checksums of what is read are): cheap, for status
    lazy_parts: frames of ``parts`` are read, and proved by their own hash, when first used; the
        hash of the body is not taken
    """
    if only is None and not lazy_parts:
        found = check_seal(path)
        if expected_sha256 not in {None, found}:
            raise TornFile(
                f"{path} is whole but not the file that was committed: SHA-256 {found}, "
                f"recorded {expected_sha256}",
                path=path,
            )
    else:
        check_seal_size(path)
    try:
        with open_store(path) as store:
            return _read(store, path, only, lazy_parts=lazy_parts)
    except READ_ERRORS as error:
        raise unreadable(path, error) from error


def _write(store: h5py.File, record: GenerationRecord) -> None:
    store.attrs["sis_format"] = FORMAT_VERSION
    h5md.write_root(store, version=record.engine_version)
    hints = typing.get_type_hints(GenerationRecord)
    body = store.create_group("generation")
    for name, hint in hints.items():
        if name in _ITEMISED:
            write_items(body, name, getattr(record, name))
        else:
            write_value(body, name, hint, getattr(record, name))
    for number, outcome in enumerate(record.outcomes):
        h5md.link_outcome(store, outcome.system, outcome, body[f"outcomes/{number:04d}"])
    for number, part in enumerate(record.parts):
        h5md.link_part(store, part, body[f"parts/{number:04d}"])
    for number, run in enumerate(record.explorations):
        h5md.link_exploration(store, run, body[f"explorations/{number:04d}"])


def _read(
    store: h5py.File, path: Path, only: Collection[str] | None, *, lazy_parts: bool
) -> GenerationRecord:
    version = int(store.attrs["sis_format"])
    if version > FORMAT_VERSION:
        raise NewerFormat(
            f"{path} has format {version}, this engine knows {FORMAT_VERSION}",
            path=path,
            hint="upgrade: pip install --upgrade sis-engine",
        )
    hints = typing.get_type_hints(GenerationRecord)
    body = store["generation"]
    found: dict[str, Any] = {}
    for name in hints if only is None else {"number", *only}:
        if name not in body:
            continue  # written by an older engine: the default holds
        if name == "parts" and lazy_parts:
            groups = body["parts"]
            numbers = range(int(groups.attrs["n_items"]))
            found[name] = tuple(stored_part(path, groups[f"{k:04d}"]) for k in numbers)
        elif name in _ITEMISED:
            found[name] = read_items(body, name, _ITEMISED[name])
        else:
            found[name] = read_value(body, name, hints[name])
    return GenerationRecord(**found)

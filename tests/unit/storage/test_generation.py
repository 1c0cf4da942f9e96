from __future__ import annotations

import dataclasses
import hashlib
import io
import shutil
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sis_engine.errors import InfrastructureError, NewerFormat, TornFile
from sis_engine.records import ModelForm, Requests
from sis_engine.records.later import LATER
from sis_engine.storage.atomic import Disk, sha256_of
from sis_engine.storage.digest import digest
from sis_engine.storage.generation import (
    CHEAP_FIELDS,
    GenerationRecord,
    GenerationRow,
    GenerationStore,
    MemberRecord,
    ModelImage,
    commit_generation,
    extract_model,
    load_generation,
)
from sis_engine.storage.ledger import Ledger
from tests.unit.storage.storage_samples import SPECIES, make_generation, make_model


def commit(folder: Path, n: int = 1) -> list[GenerationRow]:
    rows: list[GenerationRow] = []
    with Ledger(folder) as ledger:
        for number in range(n):
            parent = rows[-1].sha256 if rows else None
            record = make_generation(folder / "model", number, parent=parent)
            rows.append(commit_generation(record, ledger))
    return rows


def test_everything_of_a_generation_comes_back(tmp_path: Path) -> None:
    (row,) = commit(tmp_path)
    given = make_generation(tmp_path / "model")
    found = load_generation(tmp_path / row.file, expected_sha256=row.sha256)
    assert digest([found], exact=True) == digest([given], exact=True)
    for name in ("config_text", "versions", "stage_seconds", "model", "created", "support", "test"):
        assert getattr(found, name) == getattr(given, name)
    assert isinstance(found.decision, Requests)
    assert (
        found.decision.plans[0].starts[0].frame.key == given.decision.plans[0].starts[0].frame.key
    )
    assert found.model_images == given.model_images
    assert np.isnan(found.verdicts[0].value)
    assert (found.generation, found.model_id) == (0, "m0")


def test_a_model_is_taken_out_with_the_recorded_hash_or_not_at_all(tmp_path: Path) -> None:
    (row,) = commit(tmp_path)
    shutil.rmtree(tmp_path / "model")
    for _ in range(2):  # the second time it is there already
        model = extract_model(tmp_path / row.file, tmp_path / "out")
    assert model.deployed_file.path == tmp_path / "out" / "frozen.pth"
    assert sha256_of(model.deployed_file.path) == model.deployed_file.sha256
    model.deployed_file.path.write_bytes(b"evil")
    again = extract_model(tmp_path / row.file, tmp_path / "out")
    assert sha256_of(again.deployed_file.path) == model.deployed_file.sha256
    assert again.file(ModelForm.EAGER) is not None


def test_a_model_file_that_changed_since_training_is_not_committed(tmp_path: Path) -> None:
    record = make_generation(tmp_path / "model")
    image = dataclasses.replace(record.model_images[0], name="../../evil")
    bad = dataclasses.replace(record, model_images=(image, record.model_images[1]))
    with Ledger(tmp_path) as ledger:
        row = commit_generation(bad, ledger)
    with pytest.raises(TornFile):
        extract_model(tmp_path / row.file, tmp_path / "out")


def test_every_truncation_and_flipped_bit_of_a_generation_is_detected(tmp_path: Path) -> None:
    (row,) = commit(tmp_path)
    path = tmp_path / row.file
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    with Ledger(tmp_path) as ledger:
        store = GenerationStore(tmp_path, ledger)
        for size in {0, 1, len(whole) - 1, *rng.integers(0, len(whole), 50).tolist()}:
            path.write_bytes(whole[:size])
            assert store.check().last_whole is None  # the cheap check is enough
            with pytest.raises(TornFile, match="0000"):
                store.load(row)
            with pytest.raises(TornFile, match="0000"):
                store.load(row, only=CHEAP_FIELDS)
        for place in rng.integers(0, len(whole), 50).tolist():
            garbled = bytearray(whole)
            garbled[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(garbled)
            with pytest.raises(TornFile, match="0000"):
                store.load(row)
            assert store.check(thorough=True).last_whole is None
        path.write_bytes(whole)
        assert store.check(thorough=True).torn == ()


def test_a_whole_file_that_is_not_the_committed_one_is_torn_too(tmp_path: Path) -> None:
    first, second = commit(tmp_path, 2)
    with pytest.raises(TornFile, match="not the file that was committed"):
        load_generation(tmp_path / first.file, expected_sha256=second.sha256)


@pytest.mark.parametrize(("torn", "last_whole"), [(2, 1), (1, 0), (0, None)])
def test_a_torn_generation_is_named_and_moved_aside(tmp_path, torn, last_whole) -> None:
    rows = commit(tmp_path, 3)
    path = tmp_path / rows[torn].file
    path.write_bytes(path.read_bytes()[:-100])
    stray = path.with_name(".0003.h5.123-aa.partial")
    stray.write_bytes(b"half")
    with Ledger(tmp_path) as ledger:
        store = GenerationStore(tmp_path, ledger)
        check = store.mend(store.check())
        assert [item.row.number for item in check.torn] == [torn]
        assert path.name in check.torn[0].message
        assert check.torn[0].moved_to is not None
        assert check.torn[0].moved_to.is_file()
        assert not path.exists()
        assert not stray.exists()
        assert (None if check.last_whole is None else check.last_whole.number) == last_whole
        assert {event.kind for event in ledger.events()} == {"torn_generation", "unknown_file"}
        ledger.abandon(torn, check.torn[0].message)
        if torn:
            again = make_generation(tmp_path / "model", torn, parent=rows[torn - 1].sha256)
            redone = commit_generation(again, ledger)
            assert redone.digest == rows[torn].digest


def test_a_generation_exists_only_with_its_ledger_row(tmp_path, failing_disk) -> None:
    """Whichever call fails, the ledger and the folder agree and a second try succeeds."""
    record = make_generation(tmp_path / "model")
    counting = failing_disk(10**9)
    with Ledger(tmp_path / "counted") as ledger:
        commit_generation(record, ledger, disk=counting)
    calls = 10**9 - counting.left
    with Ledger(tmp_path) as ledger:
        for k in range(1, calls + 1):
            with pytest.raises(InfrastructureError):
                commit_generation(record, ledger, disk=failing_disk(k))
            assert ledger.generations() == ()
        row = commit_generation(record, ledger)
        assert GenerationStore(tmp_path, ledger).check(thorough=True).torn == ()
        with pytest.raises(ValueError, match="committed already"):
            commit_generation(record, ledger)
        assert load_generation(tmp_path / row.file, expected_sha256=row.sha256).number == 0


def test_what_the_disk_garbles_while_writing_is_found_before_the_commit(tmp_path: Path) -> None:
    class GarblingDisk(Disk):
        def write(self, descriptor: int, data: memoryview, offset: int) -> int:
            if len(data) > 3000:
                data = memoryview(bytes([data[0] ^ 1]) + bytes(data[1:]))
            return super().write(descriptor, data, offset)

    with Ledger(tmp_path) as ledger:
        with pytest.raises(TornFile, match="recorded SHA-256"):
            commit_generation(make_generation(tmp_path / "model"), ledger, disk=GarblingDisk())
        assert ledger.generations() == ()


def test_parts_can_stay_on_disk_until_they_are_used(tmp_path: Path) -> None:
    (row,) = commit(tmp_path)
    path = tmp_path / row.file
    found = load_generation(path, lazy_parts=True)
    given = make_generation(tmp_path / "model")
    frames = found.parts[0].frames
    assert (frames.n_frames, frames.n_atoms, frames.species) == (30, 6, SPECIES)
    assert "positions" not in vars(frames)
    np.testing.assert_array_equal(frames.positions, given.parts[0].frames.positions)
    assert frames.cells is None
    assert not frames.forces.flags.writeable
    assert digest([found], exact=False) == row.digest
    assert dataclasses.replace(frames, system="other").system == "other"
    assert dataclasses.replace(frames, system="other").n_frames == 30


def test_lazily_read_frames_are_proved_when_they_are_read(tmp_path: Path) -> None:
    (row,) = commit(tmp_path)
    path = tmp_path / row.file
    with h5py.File(path) as store:
        dataset = store["generation/parts/0000/frames/forces"]
        offset = dataset.id.get_chunk_info(0).byte_offset
    garbled = bytearray(path.read_bytes())
    garbled[offset + 100] ^= 1
    path.write_bytes(garbled)
    frames = load_generation(path, lazy_parts=True).parts[0].frames
    assert len(frames.energies) == 30
    with pytest.raises(TornFile, match="0000"):
        _ = frames.forces


def test_a_generation_file_of_a_newer_engine_is_refused(tmp_path: Path, monkeypatch) -> None:
    (row,) = commit(tmp_path)
    monkeypatch.setattr("sis_engine.storage.generation_file.FORMAT_VERSION", 0)
    with pytest.raises(NewerFormat):
        load_generation(tmp_path / row.file)


def test_the_digest_ignores_clocks_and_places_but_not_data(tmp_path: Path) -> None:
    record = make_generation(tmp_path / "a")
    outcome = record.outcomes[0]
    slower = dataclasses.replace(
        record,
        created="later",
        stage_seconds=(("train", 99.0),),
        model=make_generation(tmp_path / "b").model,
        outcomes=(
            dataclasses.replace(
                outcome,
                labelled=tuple(
                    dataclasses.replace(i, seconds=9.0, cached=True) for i in outcome.labelled
                ),
            ),
        ),
    )
    shorter = dataclasses.replace(
        record, lives=(dataclasses.replace(record.lives[0], time_ps=1.0),)
    )
    fewer = dataclasses.replace(
        record, outcomes=(dataclasses.replace(outcome, labelled=outcome.labelled[1:]),)
    )

    def both(item: GenerationRecord) -> tuple[str, str]:
        return digest([item], exact=True), digest([item], exact=False)

    assert both(slower) == both(record)
    assert both(shorter)[0] != both(record)[0]
    assert both(shorter)[1] == both(record)[1]  # production: MD is only statistically equal
    assert both(fewer)[1] != both(record)[1]
    assert digest([record, record], exact=True) != digest([record], exact=True)


def test_a_model_counts_in_the_digest_by_what_it_computes(tmp_path: Path) -> None:
    """TorchScript writes absolute source paths, and an id over them, into every frozen file."""
    here = scripted("x + 1", sources="/here/.venv/x.py")
    moved = scripted("x + 1", sources="/there/.venv/x.py")

    def of(data: bytes, form: ModelForm = ModelForm.FROZEN) -> str:
        image = ModelImage(form, "frozen.pth", hashlib.sha256(data).hexdigest(), data)
        member = MemberRecord(1, make_model(tmp_path), (image,))
        driven = digest([GenerationRecord(0, model_images=(image,))], exact=True)
        return driven + digest([GenerationRecord(0, members=(member,))], exact=True)

    assert here != moved
    assert of(here) == of(moved)
    assert of(here) != of(scripted("x + 2", sources="/here/.venv/x.py"))
    assert of(here) != of(here, ModelForm.COMPRESSED)
    assert of(here[:-40]) != of(moved[:-40])  # no whole archive: every byte counts
    assert of(b"weights") != of(b"other weights")


def scripted(code: str, *, sources: str) -> bytes:
    """An archive laid out as TorchScript's."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("frozen/data/0", bytes(8))
        archive.writestr("frozen/code/x.py", code)
        archive.writestr("frozen/code/x.py.debug_pkl", sources)
        archive.writestr("frozen/.data/serialization_id", str(hash(sources)))
    return file.getvalue()


def test_a_later_field_counts_in_the_digest_only_where_it_is_used() -> None:
    """A record that does not use a field added after digest 1 has the digest it always had."""

    later = dataclasses.field(default=False, metadata=LATER)
    before = dataclasses.make_dataclass("Plan", [("id", str)])
    after = dataclasses.make_dataclass("Plan", [("id", str), ("continues", bool, later)])

    def of(decision: Any) -> str:
        return digest([GenerationRecord(0, decision=decision)], exact=True)

    assert of(after("p")) == of(before("p"))
    assert of(after("p", continues=True)) != of(before("p"))


def test_frames_are_an_h5md_file_without_being_stored_twice(tmp_path: Path) -> None:
    """Checked against the elements that H5MD 1.1 demands."""
    (row,) = commit(tmp_path)
    given = make_generation(tmp_path / "model")
    with h5py.File(tmp_path / row.file) as store:
        assert store["h5md"].attrs["version"].tolist() == [1, 1]
        assert store["h5md/author"].attrs["name"]
        assert store["h5md/creator"].attrs["name"] == "sis-engine"
        assert sorted(store["particles"]) == ["0.p0.training", "cluster", "r_0"]
        for name, n in (("cluster", 30), ("r_0", 12)):
            group = store[f"particles/{name}"]
            assert group["box"].attrs["dimension"] == 3
            assert group["box"].attrs["boundary"].tolist() == ["none"] * 3
            assert group["species/value"][n - 1].tolist() == [3, 9, 16, 8, 8, 1]
            assert group["box/edges/value"].shape == (n, 3, 3)
            position = group["position"]
            assert position["value"].shape == (n, 6, 3)
            assert len(position["step"]) == len(position["time"]) == n
            assert position["value"].attrs["unit"] == "Angstrom"
            assert position["time"].attrs["unit"] == "fs"
            assert store[f"observables/{name}/energy/value"].shape == (n,)
        np.testing.assert_array_equal(
            store["particles/cluster/forces/value"][3], given.outcomes[0].labelled[3].label.forces
        )
        stored = store["generation/outcomes/0000/labelled/items/frame/positions"]
        assert stored == store["particles/cluster/position/value"]  # one object, two names

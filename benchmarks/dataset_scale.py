"""51,500 frames of 207 atoms from deepmd/npy through gate, hashes and commit; then a resume.

    python benchmarks/dataset_scale.py [--frames 51500] [--repeats 3] [--folder DIR]

The frames are those of the authors' bulk set in number and size: MD-like, periodic, float32 on
disk as dpdata writes them. Each size runs in a process of its own, so that its peak memory is its
own. The last line is JSON; exit code 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from sis_engine.records import Dataset, LevelOfTheory
from sis_engine.storage.gate import GateConfig
from sis_engine.storage.generation import (
    CHEAP_FIELDS,
    GenerationRecord,
    GenerationStore,
    commit_generation,
)
from sis_engine.storage.importing import Source, import_data
from sis_engine.storage.ledger import Ledger
from sis_engine.storage.ownership import acquire
from sis_engine.storage.splits import SplitConfig, support_of

N_ATOMS, BOX_ANGSTROM, SET_FRAMES = 207, 13.0, 5000
ELEMENTS = ("Li", "F", "S", "N", "O", "C", "H")
COUNTS = (1, 2, 2, 1, 38, 51, 112)
GOAL_FRAMES = 51_500
GOAL_SECONDS, GOAL_BYTES, GOAL_STATUS_SECONDS, GOAL_EXPONENT = 60.0, 1 << 30, 1.0, 1.1


def write_data(folder: Path, n_frames: int) -> None:
    """A jittered lattice, so that no atoms overlap, in sets of SET_FRAMES as dpdata writes them."""
    rng = np.random.default_rng(1)
    side = 6
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    sites = (grid[:N_ATOMS] + 0.5) * BOX_ANGSTROM / side
    types = np.repeat(np.arange(len(ELEMENTS)), COUNTS)
    folder.mkdir(parents=True)
    np.savetxt(folder / "type.raw", types, fmt="%d")
    (folder / "type_map.raw").write_text("\n".join(ELEMENTS) + "\n")
    for number, start in enumerate(range(0, n_frames, SET_FRAMES)):
        n = min(SET_FRAMES, n_frames - start)
        block = folder / f"set.{number:03d}"
        block.mkdir()
        jitter = rng.normal(scale=0.15, size=(n, N_ATOMS, 3))
        save(block / "coord.npy", (sites + jitter).reshape(n, -1))
        forces = rng.normal(size=(n, N_ATOMS, 3))
        forces -= forces.mean(axis=1, keepdims=True)  # the gate refuses a net force
        save(block / "force.npy", forces.reshape(n, -1))
        save(block / "energy.npy", -30000.0 + rng.normal(size=n))
        save(block / "box.npy", np.tile(np.eye(3).ravel() * BOX_ANGSTROM, (n, 1)))


def save(path: Path, array: np.ndarray) -> None:
    np.save(path, array.astype(np.float32))


def run_import(folder: Path) -> dict[str, float]:
    """One import to its commit; wall and CPU seconds, and peak memory of this process."""
    source = Source(LevelOfTheory("cp2k", "7", "PBE-D3"))
    begin, cpu = time.perf_counter(), time.process_time()
    found = import_data([folder / "data"], [], source, GateConfig(), SplitConfig(), seed=1)
    read_s = time.perf_counter() - begin
    assert len(found.rejected) < 0.01 * found.n_read, "what the gate rejects is not measured"
    system = found.parts[0].frames.system
    support = support_of(Dataset(found.parts), system)
    support_s = time.perf_counter() - begin - read_s
    with Ledger(folder / "campaign") as ledger:
        record = GenerationRecord(
            0, parts=found.parts, rejected=found.rejected, support=(support,) if support else ()
        )
        commit_generation(record, ledger)
    return {
        "frames": found.n_read,
        "rejected": len(found.rejected),
        "seconds": time.perf_counter() - begin,
        "read_gate_hash_seconds": read_s,
        "support_seconds": support_s,
        "cpu_seconds": time.process_time() - cpu,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def run_status(folder: Path) -> dict[str, float]:
    """What `status` reads, and what the start of a resume reads, seconds."""
    campaign = folder / "campaign"
    begin = time.perf_counter()
    with Ledger(campaign, read_only=True) as ledger:
        store = GenerationStore(campaign, ledger)
        for row in store.committed():
            store.load(row, only=CHEAP_FIELDS)
        ledger.counts()
    status_s = time.perf_counter() - begin
    begin = time.perf_counter()
    with acquire(campaign), Ledger(campaign) as ledger:
        store = GenerationStore(campaign, ledger)
        check = store.check()
        records = list(store.load_all(lazy_parts=True))
        n_frames = sum(part.frames.n_frames for record in records for part in record.parts)
    resume_s = time.perf_counter() - begin
    assert check.last_whole is not None
    assert n_frames > 0
    return {"status_seconds": status_s, "resume_seconds": resume_s}


def measure(root: Path, n_frames: int) -> dict[str, float]:
    folder = root / str(n_frames)
    write_data(folder / "data", n_frames)
    result: dict[str, float] = {}
    for part in ("import", "status"):
        command = [sys.executable, __file__, "--child", part, "--folder", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        result |= json.loads(done.stdout.splitlines()[-1])
    shutil.rmtree(folder)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=51_500)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--child", choices=("import", "status"))
    given = parser.parse_args()
    if given.child:
        run = run_import if given.child == "import" else run_status
        print(json.dumps(run(given.folder)))
        return 0
    root = Path(tempfile.mkdtemp(prefix="dataset_scale.", dir=given.folder))
    sizes = [given.frames // 10, given.frames // 3, *[given.frames] * given.repeats]
    results = []
    for n_frames in sizes:
        results.append(measure(root, n_frames))
        print(json.dumps(results[-1]), flush=True)
    shutil.rmtree(root)
    return report(results)


def report(results: list[dict[str, float]]) -> int:
    """Goals and how time grows: the exponent of seconds over frames, 1 is linear.

    Of more than 51,500 frames, time and memory may grow as their number does.
    """
    full = [r for r in results if r["frames"] == results[-1]["frames"]]
    last = {key: max(r[key] for r in full) for key in full[0]}  # the worst of each
    times = sorted(r["seconds"] for r in full)
    frames = np.log([r["frames"] for r in results])
    slope = float(np.polyfit(frames, np.log([r["seconds"] for r in results]), 1)[0])
    more = max(1.0, last["frames"] / GOAL_FRAMES)
    met = {
        "seconds": last["seconds"] <= GOAL_SECONDS * more,
        "peak_bytes": last["peak_bytes"] <= GOAL_BYTES * more,
        "status_seconds": last["status_seconds"] <= GOAL_STATUS_SECONDS,
        "resume_seconds": last["resume_seconds"] <= GOAL_STATUS_SECONDS,
        "exponent": slope <= GOAL_EXPONENT,
    }
    summary = {
        "name": "dataset_scale",
        "value": round(float(np.median(times)), 2),
        "interval": [round(times[0], 2), round(times[-1], 2)],
        "goal": round(GOAL_SECONDS * more, 1),
        "unit": "s",
        "cpu_seconds": round(last["cpu_seconds"], 2),
        "peak_gib": round(last["peak_bytes"] / (1 << 30), 3),
        "status_seconds": round(last["status_seconds"], 3),
        "resume_seconds": round(last["resume_seconds"], 3),
        "exponent": round(slope, 3),
        "met": met,
    }
    print(json.dumps(summary))
    return 0 if all(met.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

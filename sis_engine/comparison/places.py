"""Where the things of a comparison are.

comparison.yaml    as given;  owner.lock: one engine at a time
labels/            the bank that all arms share (each is still charged)
starts/<case-seed-hash>/   first labels and first model, made once for all arms that share them
runs/<case-arm-seed>/      one campaign a run, which `sis status` and `sis report` read
examiner/<case>/   reference trajectory and labels of the examiner, in a bank of its own
examiner/<case>/exams/<seed-model-hash>/   one examination
results/           finished runs as small files, and the report (or where ``results`` says)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sis_engine.comparison.plan import RunName

CONFIG_FILE = "comparison.yaml"


@dataclass(frozen=True)
class Places:
    """Paths below a comparison folder, and in the folder for results."""

    folder: Path
    results: Path
    name: str

    @property
    def known_labels(self) -> Path:
        return (self.folder / "labels").absolute()

    def start(self, case: str, seed: int, digest: str) -> Path:
        name = "-".join(part for part in (case, str(seed), digest[:8]) if part)
        return self.folder / "starts" / name

    def run(self, run: RunName) -> Path:
        return self.folder / "runs" / str(run)

    def examiner(self, case: str) -> Path:
        return self.folder / "examiner" / (case or "all")

    def exam(self, run: RunName, model_id: str, digest: str) -> Path:
        """Of a model, whichever arms have it: the first is the same for all of a seed."""
        name = f"{run.seed}-{model_id}-{digest[:8]}"
        return self.examiner(run.case) / "exams" / name

    def result(self, run: RunName) -> Path:
        """``<results>/<comparison>/runs/<case-arm-seed>.json``"""
        return self.results / self.name / "runs" / f"{run}.json"

"""From a comparison file to its runs: each a campaign, known to the last key before any starts."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML

from sis_engine.commands.validation import GoodTogether, validate
from sis_engine.comparison.config import Changes, ComparisonConfig
from sis_engine.comparison.reserved import refuse_reserved
from sis_engine.config.campaign import FORMAT
from sis_engine.config.faults import explain
from sis_engine.config.file import parse_yaml, plain, read_text, with_line
from sis_engine.errors import ConfigurationError
from sis_engine.seeds import derive_seed
from sis_engine.setup.assembly import Parts, assemble


@dataclass(frozen=True)
class RunName:
    """One campaign of a comparison. case: "" where there is one only"""

    case: str
    arm: str
    seed: int

    def __str__(self) -> str:
        return "-".join(part for part in (self.case, self.arm, str(self.seed)) if part)


@dataclass(frozen=True)
class Comparison:
    """A comparison file with its base campaign, both as text and as trees.

    file: the comparison file, for messages;  base: the campaign file that its paths start from
    """

    config: ComparisonConfig
    text: str
    file: Path
    base: Path
    campaign: Mapping[str, Any]

    def runs(self) -> Iterator[RunName]:
        """Seed by seed, so that an interrupted comparison has the same seeds of every arm."""
        for seed in self.config.seeds:
            for case in self.config.case_names:
                for arm in self.config.arms:
                    yield RunName(case, arm, seed)

    def results_folder(self, folder: Path) -> Path:
        """Where finished runs and reports go."""
        given = self.config.results
        if given is None:
            return folder / "results"
        return given if given.is_absolute() else (self.file.parent / given).resolve()

    # ------------------------------------------------------------------ campaign texts

    def phases(self, run: RunName, known: Path | None = None) -> tuple[str, ...]:
        """Campaign files of a run, as text: the first, and one for each ``then`` of its arm.

        known: the bank that the runs of this comparison share
        """
        own = self.config.of_case(run.case).arms.get(run.arm, {})
        arm = merged(self.config.arms[run.arm], own)
        later = arm.pop("then", [])
        if not isinstance(later, list) or not all(isinstance(item, dict) for item in later):
            raise self._fault(run.arm, "then must be a list of changes", "then")
        trees = [merged(self._case(run.case), arm)]
        for changes in later:
            trees.append(merged(trees[-1], changes))
        return tuple(_text(self._finished(tree, run, known)) for tree in trees)

    def start_text(self, run: RunName, known: Path) -> str:
        """The campaign that makes a run's first labels and first model, and waits there."""
        tree = yaml_tree(self.phases(run, known)[0])
        return _text(tree | {"pause_before": ["explore"]})

    def parts(self, run: RunName, text: str | None = None) -> Parts:
        """The parts of a run's (first) campaign. Raises ConfigurationError naming the arm."""
        text = self.phases(run)[0] if text is None else text
        return self._assembled(text, f"arms.{run.arm}")

    def examiner_parts(self, case: str, seed: int) -> Parts:
        """The examiner's own campaign: the base, with its MD, audit and seed."""
        tree = merged(self._case(case), self.config.examiner.changes)
        own = self.config.of_case(case).examiner
        tree = merged(tree, own)
        tree = merged(tree, _examiner_changes(self.config))
        tree["name"] = "-".join(p for p in (self.config.name, case, "examiner") if p)
        tree["seed"] = derive_seed(seed, "examiner")
        tree["budget"] = {}  # the arms', not the examiner's
        tree["explore"].pop("round_ps", None)  # how long each replica lives is what is asked
        self._keep_examined(tree)
        place = f"examiner, or cases.{case}.examiner" if own else "examiner"
        return self._assembled(_text(tree), place)

    def _case(self, case: str) -> dict[str, Any]:
        tree = merged(self.campaign, self.config.changes)
        return merged(tree, self.config.of_case(case).campaign)

    def _finished(self, tree: dict[str, Any], run: RunName, known: Path | None) -> dict[str, Any]:
        finished = merged(tree, {"execution": {"cores": self.config.execution.cores}})
        finished |= {"name": f"{self.config.name}-{run}", "seed": run.seed, "pause_before": []}
        finished.pop("label_bank", None)
        if known is not None:
            finished["known_labels"] = str(known)
        return finished

    def _keep_examined(self, tree: dict[str, Any]) -> None:
        wanted = self.config.examiner.systems
        if wanted is None:
            return
        names = [item["name"] for item in tree["systems"]]
        lost = [name for name in wanted if name not in names]
        if lost:
            raise self._fault(None, f"there is no system {lost[0]!r}", "examiner.systems", names)
        tree["systems"] = [item for item in tree["systems"] if item["name"] in wanted]
        tree["initial"] = {**(tree.get("initial") or {}), "lengths_fs": {}}

    def validated(
        self, parts: Parts, place: str, known: GoodTogether | None = None
    ) -> tuple[str, ...]:
        """Notes on parts of ours; a fault names its place in the comparison file."""
        with _placed(place):
            return validate(parts, known=known)

    def _assembled(self, text: str, place: str) -> Parts:
        with _placed(place):
            return assemble(self.file, text, base=self.base)

    def _fault(
        self, arm: str | None, message: str, key: str, allowed: Sequence[str] | None = None
    ) -> ConfigurationError:
        place = key if arm is None else f"arms.{arm}.{key}"
        told = None if allowed is None else ", ".join(allowed)
        return ConfigurationError(message, file=self.file, key=place, allowed=told)


@contextmanager
def _placed(place: str) -> Iterator[None]:
    """Faults in a text that we made are told by the arm, not by a line that no person has seen."""
    try:
        yield
    except ConfigurationError as error:
        error.key = f"{place}: {error.key}" if error.key else place
        error.line = None
        raise


def read_comparison(file: Path, text: str | None = None, origin: Path | None = None) -> Comparison:
    """A checked comparison from its file, or from its text where that was kept.

    origin: the file that paths start from; ``None``: ``file``
    """
    text = read_text(file) if text is None else text
    tree = parse_yaml(text, file)
    given = plain(tree)
    version = given.get("format", FORMAT)
    if isinstance(version, int) and version > FORMAT:
        raise ConfigurationError(
            f"written for format {version}; this engine reads up to {FORMAT}",
            file=file,
            key="format",
            hint="upgrade sis-engine",
        )
    try:
        config = ComparisonConfig.model_validate(given)
    except ValidationError as error:
        raise with_line(explain(error, ComparisonConfig, file=file), tree) from error
    try:
        refuse_reserved(config, file)
    except ConfigurationError as error:
        with_line(error, tree)
        raise
    place = (origin or file).absolute()
    base = config.campaign if config.campaign.is_absolute() else place.parent / config.campaign
    campaign = plain(parse_yaml(read_text(base), base))
    return Comparison(config, text, place, base, campaign)


def is_comparison(file: Path) -> bool:
    """Does this file describe a comparison rather than a campaign?"""
    return "arms" in parse_yaml(read_text(file), file)


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``changes`` laid over it, neither touched.

    Mappings are merged key by key, everything else is replaced; so is a mapping whose ``type``
    changes, for the settings of one plugin mean nothing to another.
    """
    result = copy.deepcopy(dict(base))
    for key, value in changes.items():
        old = result.get(key)
        if (
            isinstance(old, Mapping)
            and isinstance(value, Mapping)
            and value.get("type", old.get("type")) == old.get("type")
        ):
            result[key] = merged(old, value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def _examiner_changes(config: ComparisonConfig) -> Changes:
    """What makes a campaign the examiner's. Its sampler only names the conditions."""
    examiner = config.examiner
    explore: Changes = {
        "replicas": examiner.replicas,
        "starts": "labelled",
        "max_suspects": examiner.max_suspects,
    }
    if examiner.duration_ps is not None:
        explore["condition"] = {"duration_ps": examiner.duration_ps}
    return {
        "explore": explore,
        "sampler": {"type": "sis-paper"},  # every replica's end counts, and it audits nothing
        "triage": {"rerun": False},
        "execution": {"cores": config.execution.cores},
        "test": None,
        "pause_before": [],
    }


def yaml_tree(text: str) -> dict[str, Any]:
    """A text of ours as a tree."""
    tree: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    return tree


def _text(tree: Mapping[str, Any]) -> str:
    stream = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.dump(dict(tree), stream)
    return stream.getvalue()

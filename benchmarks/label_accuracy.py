"""How exact the labels are, in one table: the figures of the tests that compare them.

    python benchmarks/label_accuracy.py [--only cp2k] [--quick]

Runs, with the real programs, the tests that keep figures: forces and virials against differences
of energies; numbers that a program prints, turned into eV and Å by hand; labels against ASE's own
calculator for the same input. Each cell is the largest deviation that was seen. ``--only``: tests
whose name has the word; ``--quick``: those of tblite. The last line is JSON. Exit code 0: all of
them passed; 1: some did not, or were skipped because a program is missing.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sis_engine.setup.versions import machine

ROOT = Path(__file__).parents[1]
TESTS = ("tests/contract/test_labelers.py", "tests/external")
CHECKS = (
    "check_forces_are_minus_the_energy_gradient",
    "check_the_virial_is_minus_the_energy_derivative_by_strain",
)
"""Of the labelers' contract, those with figures."""
COLUMNS = (
    "forces against energy differences",
    "virial against energy differences",
    "energy by hand",
    "energy against ASE",
    "forces against ASE",
    "virial against ASE",
)
"""What else was compared stands below the table."""


@dataclass(eq=False)
class Collector:
    """A plugin of pytest: only tests with figures run, and what they keep is gathered.

    found: deviation and unit, by program and what was compared
    """

    only: str
    found: dict[str, dict[str, tuple[float, str]]] = field(default_factory=dict)
    passed: int = 0
    skipped: int = 0

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        kept = [item for item in items if self._wanted(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept

    def _wanted(self, item: pytest.Item) -> bool:
        if not isinstance(item, pytest.Function) or "figure" not in item.fixturenames:
            return False
        check = item.callspec.params.get("check") if hasattr(item, "callspec") else None
        return self.only in item.nodeid and (check is None or check.__name__ in CHECKS)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.skipped += report.skipped
        if report.when != "call":
            return
        self.passed += report.passed
        for name, value in report.user_properties:
            if name == "figure":
                program, what, deviation, unit = value
                row = self.found.setdefault(program, {})
                before, _ = row.get(what, (0.0, unit))
                row[what] = (max(before, abs(deviation)), unit)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="tests whose name has this word")
    parser.add_argument("--quick", action="store_true", help="those of tblite")
    asked = parser.parse_args()
    collector = Collector("xtb" if asked.quick else asked.only)
    files = [str(ROOT / name) for name in TESTS]
    code = pytest.main(
        ["-q", "--no-header", "-p", "no:cacheprovider", f"--rootdir={ROOT}", *files],
        plugins=[collector],
    )
    print(f"\nmachine: {machine()}\n\n{table(collector.found)}")
    figures = {
        name: {what: one[0] for what, one in row.items()} for name, row in collector.found.items()
    }
    told = {"value": collector.passed, "skipped": collector.skipped, "figures": figures}
    print(json.dumps({"name": "label_accuracy", **told}))
    return 0 if code == 0 and collector.passed and not collector.skipped else 1


def table(found: dict[str, dict[str, tuple[float, str]]]) -> str:
    """As docs/labelers/accuracy.md shows it."""
    lines = ["| | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for program in sorted(found):
        cells = [_cell(found[program].get(what)) for what in COLUMNS]
        lines.append(f"| {program} | " + " | ".join(cells) + " |")
    lines.append("")
    for program in sorted(found):
        lines += [
            f"* {program}, {what}: {_cell(one)}"
            for what, one in sorted(found[program].items())
            if what not in COLUMNS
        ]
    return "\n".join(lines)


def _cell(one: tuple[float, str] | None) -> str:
    if one is None:
        return "–"
    return f"{one[0]:.1e}" if one[1] == "relative" else f"{one[0]:.1e} {one[1]}"


if __name__ == "__main__":
    sys.exit(main())

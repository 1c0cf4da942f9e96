"""Writes the documentation's pictures from figures that were measured.

    python docs/make_figures.py [FOLDER]

quickstart.svg, the README's, from docs/results/quickstart/report.json; scaling.svg from
docs/results/scaling.json, which benchmarks/scaling.py writes. The same figures give the same bytes.
A test compares the pictures with what this writes.
"""

from __future__ import annotations

import json
import math
import re
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

from sis_engine.report.lives import generation_axis
from sis_engine.report.marks import tag
from sis_engine.report.scale import Axis
from sis_engine.report.svg import Panel
from sis_engine.storage.atomic import write_text

DOCS = Path(__file__).parent
REPORT = DOCS / "results" / "quickstart" / "report.json"
SCALING = DOCS / "results" / "scaling.json"
COSTS_S = (1.0, 10.0, 60.0, 600.0)
MOST_WORKERS = 4000
"""Of 1,000 nodes, four labels at a time on each."""

WIDTH, HEIGHT, MARGIN = 430.0, 270.0, 14.0
LIFE_MARKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
RULES = re.compile(
    r"^(?::root|@media \(prefers-color-scheme: dark\)) \{.*?^\}", re.MULTILINE | re.DOTALL
)
CLASSES = re.compile(r"^\.(?:panel|c\d|ink|warn)\b[^{]*\{.*$", re.MULTILINE)


def main(arguments: list[str]) -> None:
    folder = Path(arguments[0]) if arguments else DOCS / "img"
    report = json.loads(REPORT.read_text(encoding="utf-8"))
    name = report["summary"]["name"]
    title = f"{name}: lives and errors of the model by generation"
    pictures = {"quickstart.svg": (title, (lives(report), errors(report)))}
    if SCALING.exists():  # nothing is drawn where nothing was measured
        scale = json.loads(SCALING.read_text(encoding="utf-8"))
        title = "labels a second by number of workers"
        pictures["scaling.svg"] = (title, (efficiency(scale),))
    for file, (title, panels) in pictures.items():
        write_text(folder / file, picture(title, panels))
        sys.stdout.write(f"{folder / file}\n")


def picture(title: str, panels: tuple[str, ...]) -> str:
    """Panels side by side, on a ground of their own, readable on light and on dark pages."""
    width = len(panels) * (WIDTH + MARGIN) + MARGIN
    height = max(_height(panel) for panel in panels) + 2 * MARGIN
    placed = [
        panel.replace("<svg ", f'<svg x="{MARGIN + k * (WIDTH + MARGIN):g}" y="{MARGIN:g}" ', 1)
        for k, panel in enumerate(panels)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img">'
        f"<title>{title}</title><style>{styles()}</style>"
        + tag("rect", class_="ground", width=width, height=height)
        + "".join(placed)
        + "</svg>\n"
    )


def styles() -> str:
    """The report's colours and marks, for light and dark."""
    sheet = files("sis_engine.report").joinpath("report.css").read_text(encoding="utf-8")
    ground = (".ground { fill: var(--paper); }", "text { font-family: var(--sans); }")
    return "\n".join((*RULES.findall(sheet), *CLASSES.findall(sheet), *ground))


def lives(report: dict[str, Any]) -> str:
    """How long each replica of the model's MD lived."""
    found = report["summary"]["survival"]
    generations = [item["generation"] for item in found]
    end = max(item["time_ps"] for item in found)
    least = min(item["time_ps"] for item in found) / 1.3
    marks = tuple((value, f"{value:g}") for value in LIFE_MARKS if value > least)
    axis = Axis("life / ps", least, end * 1.9, log=True, marks=marks)
    panel = Panel(
        "How long the model’s MD lives", generation_axis(generations), axis, width=WIDTH,
        height=HEIGHT,
    )  # fmt: skip
    panel.level(end, "ink")
    panel.note(panel.inner_width - 3.0, panel.py(end) - 9.0, "end of the run", "end")
    for generation in sorted(set(generations)):
        own = [item for item in found if item["generation"] == generation]
        for index, item in enumerate(own):
            shift = 0.5 * (index / max(1, len(own) - 1) - 0.5)
            lived = item["censored"]
            panel.dot(
                generation + shift, item["time_ps"], "c1" if lived else "c2", hollow=lived, size=5.0
            )
    panel.legend("died: a monitor fired", "c2", "circle")
    panel.legend("lived to the end", "c1", "-circle")
    return panel.svg()


def errors(report: dict[str, Any]) -> str:
    """Force RMSE over RMS force: on the data, and on frames of the survivors' MD."""
    generations = report["generations"]
    numbers = [item["generation"] for item in generations]
    bound = report["summary"]["audit"]["relative_limit"]
    audits = [audit for item in generations for audit in item["audits"]]
    worst = [max(e["relative_force_rmse"] for e in a["per_element"].values()) for a in audits]
    axis = Axis("relative force error", 0.0, 1.1 * max(worst))
    panel = Panel(
        "How wrong its forces are (RMSE / RMS force)", generation_axis(numbers), axis, width=WIDTH,
        height=HEIGHT,
    )  # fmt: skip
    panel.level(bound, "warn", "bound")
    for key, css in (("training", "c3"), ("validation", "c3 dashed")):
        known = [item for item in generations if key in item["errors"]]
        values = [item["errors"][key]["relative_force_rmse"] for item in known]
        panel.curve([item["generation"] for item in known], values, css)
        panel.legend(key, css)
    for audit, element in zip(audits, worst, strict=True):
        at, value = audit["generation"], audit["relative_force_rmse"]
        panel.whisker(at, value, audit["relative_upper"], "c1")
        panel.dot(at, value, "c1", hollow=not audit["passed"], size=5.0)
        panel.dot(at, element, "c2", shape="diamond", hollow=element > bound)
    panel.legend("audit passed", "c1", "circle")
    panel.legend("not", "c1", "-circle")
    panel.legend("its worst element", "c2", "diamond")
    return panel.svg()


def efficiency(scale: dict[str, Any]) -> str:
    """Which part of the workers' time is in labels: measured, and by docs/scaling.md's model."""
    law = scale["law"]
    marks = tuple((float(n), f"{n:,}") for n in (1, 10, 100, 1000, MOST_WORKERS))
    panel = Panel(
        "How much of the workers’ time is in labels",
        Axis("workers", 0.9, 1.1 * MOST_WORKERS, log=True, marks=marks),
        Axis("efficiency / %", 0.0, 105.0),
        width=WIDTH,
        height=HEIGHT,
    )
    workers = [10.0 ** (k * math.log10(MOST_WORKERS) / 60.0) for k in range(61)]
    for number, cost in enumerate(COSTS_S, start=1):
        beside = cost + law["overhead_s"]
        found = [100.0 * cost / (beside + n * law["serial_s"]) for n in workers]
        panel.curve(workers, found, f"c{number}")
        panel.legend(f"labels of {cost:g} s", f"c{number}")
    for item in scale["points"]:
        ideal = item["workers"] / scale["label_s"]
        panel.dot(item["workers"], 100.0 * item["labels"] / item["wall_s"] / ideal, "ink", size=5.0)
    panel.legend(f"measured, {scale['label_s']:g} s", "ink", "circle")
    return panel.svg()


def _height(panel: str) -> float:
    found = re.search(r' height="([\d.]+)"', panel)
    return float(found[1]) if found else HEIGHT


if __name__ == "__main__":
    main(sys.argv[1:])

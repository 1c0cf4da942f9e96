"""A comparison's folder: made once, opened again, also by the processes that do its work."""

from __future__ import annotations

import json
from pathlib import Path

from sis_engine.comparison.places import CONFIG_FILE, Places
from sis_engine.comparison.plan import Comparison, read_comparison
from sis_engine.errors import ConfigurationError
from sis_engine.storage.atomic import write_text

ORIGIN_FILE = "origin.json"


def exists(folder: Path) -> bool:
    """Was a comparison begun in this folder?"""
    return (folder / ORIGIN_FILE).is_file()


def keep(folder: Path, comparison: Comparison, results: Path | None) -> Places:
    """Write down what the folder's work goes by, and where its results are kept.

    results: given on the command line; ``None``: as the file says
    """
    place = (results or comparison.results_folder(folder)).absolute()
    write_text(folder / CONFIG_FILE, comparison.text)
    origin = {"file": str(comparison.file), "results": str(place)}
    write_text(folder / ORIGIN_FILE, json.dumps(origin, indent=1) + "\n")
    return Places(folder.absolute(), place, comparison.config.name)


def reopen(folder: Path) -> tuple[Comparison, Places]:
    """The comparison as it was last begun. Raises ConfigurationError where there is none."""
    if not exists(folder):
        raise ConfigurationError(
            f"{folder} holds no comparison",
            allowed="a comparison file, or the folder of one that was begun",
            hint="sis compare configs/compare-smoke.yaml",
        )
    origin = json.loads((folder / ORIGIN_FILE).read_text(encoding="utf-8"))
    text = (folder / CONFIG_FILE).read_text(encoding="utf-8")
    comparison = read_comparison(folder / CONFIG_FILE, text, Path(origin["file"]))
    return comparison, Places(folder.absolute(), Path(origin["results"]), comparison.config.name)

"""Single points: one run a frame, cold, so that a label is a function of the frame."""

from __future__ import annotations

import copy
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labelers.cp2k.handlers import Tree, Way, ways
from labelers.cp2k.input import Box, Job, structure
from labelers.cp2k.launch import Launcher
from labelers.cp2k.run import Run, to_the_end
from labelers.cp2k.steps import label_of
from labelers.endings import CURABLE, PASSING, Ending
from sis_engine.interfaces import Context
from sis_engine.records import Failure, Frame, Label, LabelFailure, Labelled, LevelOfTheory, Origin


@dataclass(frozen=True, eq=False)
class Point:
    """One frame to label. folder: for its runs; removed when it has its label"""

    frame: Frame
    origin: Origin
    level: LevelOfTheory
    box: Box
    folder: Path


def label_point(
    launcher: Launcher, force_eval: Tree, point: Point, context: Context
) -> Labelled | LabelFailure:
    """The label, by the first way of solving the SCF that leads to one, or why there is none."""
    begun = time.perf_counter()
    tried: list[str] = []
    ending = Ending(Failure.PROGRAM, "there is no way to solve the SCF")
    here = point.folder
    for number, way in enumerate(ways(force_eval["dft"]["scf"])):
        here = point.folder / str(number)
        tried += [change for change in way.changes if change not in tried]
        outcome = _attempt(launcher, _with(force_eval, way), point, here, context)
        if isinstance(outcome, Label):
            shutil.rmtree(point.folder, ignore_errors=True)
            return Labelled(
                point.frame,
                outcome,
                point.level,
                point.origin,
                launcher.build.exact,
                time.perf_counter() - begun,
                handlers=way.changes,
            )
        ending = outcome
        if ending.reason not in CURABLE:
            break
    return LabelFailure(
        point.frame,
        point.level,
        point.origin,
        ending.reason,
        ending.message,
        retry_can_help=ending.reason in PASSING,
        directory=here,
        seconds=time.perf_counter() - begun,
        handlers=tuple(tried),
    )


def _attempt(
    launcher: Launcher, force_eval: Tree, point: Point, folder: Path, context: Context
) -> Label | Ending:
    text = Job("ENERGY_FORCE", force_eval).text(_structure(point))
    run = Run.of(launcher, folder, context, text)
    ending = to_the_end(run)
    if ending is not None:
        return ending
    evaluation = run.output.last_evaluation()
    if evaluation is None:
        return Ending(Failure.PROGRAM, "it ended without an energy")
    if not evaluation.converged:
        return Ending(Failure.NOT_CONVERGED, "SCF run NOT converged")
    if run.output.at_edge:
        return density_at_the_edge()
    try:
        return label_of(evaluation, point.frame)
    except ValueError as error:
        return Ending(Failure.PROGRAM, str(error))


def density_at_the_edge() -> Ending:
    """CP2K's words: wrong results in the WAVELET solver."""
    return Ending(
        Failure.BAD_GEOMETRY,
        "the density reaches the faces of the box: raise labeler.vacuum_angstrom",
    )


def _structure(point: Point) -> Sequence[str]:
    return structure(point.box, point.frame.species, point.frame.positions)


def _with(force_eval: Tree, way: Way) -> Tree:
    """A cold start by one way: no wavefunction is looked for, and none is written."""
    found = copy.deepcopy(force_eval)
    found["dft"]["scf"] = copy.deepcopy(way.scf) | {
        "scf_guess": "ATOMIC",
        "print": {"restart": {"_": "OFF"}, "restart_history": {"_": "OFF"}},
    }
    return found

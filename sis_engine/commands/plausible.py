"""Settings that parts accept one by one and that cannot work together, found before any label."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile

from sis_engine.errors import ConfigurationError
from sis_engine.interfaces import SeesNeighbours
from sis_engine.setup.assembly import Parts
from sis_engine.stages.label import initial_plans

FEWEST_FRAMES = 3
"""Of a first segment: some to train on, one to validate on, and a gap between them."""
HYDROGEN_NOTE_FS, HYDROGEN_LIMIT_FS = 1.5, 5.0
"""Bonds to hydrogen vibrate within 9 to 11 fs. Velocity Verlet wants ten steps of it to conserve
energy, and leaves every bound at 1 / pi of it, 3 fs; nothing that is meant goes beyond 5."""


def check_plausible(parts: Parts) -> tuple[str, ...]:
    """Notes worth knowing; raises ConfigurationError, with its key, for the first fault."""
    _check_first_segments(parts)
    _check_label_bank(parts)
    if isinstance(parts.trainer, SeesNeighbours):
        parts.trainer.check_neighbours([one.frame for one in parts.systems], parts.elements)
    return tuple(_timestep_notes(parts))


def _check_first_segments(parts: Parts) -> None:
    """A segment of one or two frames is no data to begin with."""
    initial = parts.config.initial
    for plan in initial_plans(parts):
        segment = plan.segment
        if segment is None or segment.n_steps // segment.stride >= FEWEST_FRAMES:
            continue
        own = plan.system in initial.lengths_fs
        least = FEWEST_FRAMES * segment.stride * segment.timestep_fs
        raise ConfigurationError(
            f"{segment.n_steps * segment.timestep_fs:g} fs in steps of {segment.timestep_fs:g} fs, "
            f"{segment.stride} a frame, give {segment.n_steps // segment.stride} frames: too few "
            f"to learn {plan.system} from",
            key=f"initial.lengths_fs.{plan.system}" if own else "initial.segment.length_fs",
            allowed=f"{least:g} or more; 50 to 250 fs are usual",
        )


def _check_label_bank(parts: Parts) -> None:
    """The folder is made at the start; its parents are not: a slip would make a tree of them."""
    given = parts.config.label_bank
    if given is None:
        return
    place = parts.path(given)
    problem = _problem_of_folder(place)
    if problem is not None:
        raise ConfigurationError(
            f"the label bank {str(place)!r} cannot be used: {problem}",
            key="label_bank",
            allowed="a folder that can be written to, or a new one in such a folder",
            hint=f"mkdir -p {place.parent}, if it is meant",
        )


def _problem_of_folder(place: Path) -> str | None:
    if place.exists() and not place.is_dir():
        return "it is a file"
    there = place if place.is_dir() else place.parent
    if not there.is_dir():
        return f"there is no folder {there}"
    try:
        with TemporaryFile(dir=there):  # rights alone do not say it: a disk may be read-only
            return None
    except OSError as error:
        return f"nothing can be written to {there} ({error.strerror})"


def _timestep_notes(parts: Parts) -> Iterator[str]:
    """Steps that hydrogen does not bear."""
    if "H" not in parts.elements:
        return
    for key, timestep_fs in _timesteps(parts):
        if timestep_fs > HYDROGEN_LIMIT_FS:
            raise ConfigurationError(
                f"{timestep_fs:g} fs is too long for hydrogen, whose bonds vibrate in 9 to 11 fs",
                key=key,
                allowed=f"{HYDROGEN_LIMIT_FS:g} or less with H; 0.5 to 1 fs are usual",
            )
        if timestep_fs > HYDROGEN_NOTE_FS:
            yield (
                f"{key} is {timestep_fs:g} fs: bonds to hydrogen vibrate in 9 to 11 fs and want "
                "steps of 0.5 to 1 fs"
            )


def _timesteps(parts: Parts) -> Iterator[tuple[str, float]]:
    """(key, fs) of the model's MD and of every reference MD."""
    config = parts.config
    yield "explore.condition.timestep_fs", config.explore.condition.timestep_fs
    if config.initial.segment is not None:
        yield "initial.segment.timestep_fs", config.initial.segment.timestep_fs
    if config.test is not None:
        yield "test.segment.timestep_fs", config.test.segment.timestep_fs
    answer = getattr(getattr(parts.sampler, "config", None), "segment", None)
    own = getattr(answer, "timestep_fs", None)
    if isinstance(own, float):
        yield "sampler.segment.timestep_fs", own

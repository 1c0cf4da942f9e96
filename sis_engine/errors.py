"""Every exception of the engine, classed by what to do next.

    SisError                         anything the engine raises on purpose
    ├── ConfigurationError           mend the input; nothing was started          exit 2
    │   └── PluginNotFound           no such labeler, trainer, monitor, …         exit 2
    ├── ProgramError                 an external program let us down
    │   ├── ProgramMissing           install it                                   exit 2
    │   ├── ProgramUnsuitable        wrong version, wrong MPI, missing feature    exit 2
    │   ├── ProgramFailed            it ran and failed: look in its directory
    │   └── ProgramHung              no output for too long; it was stopped
    ├── InfrastructureError          disk full, node lost: retry, then pause      exit 3
    ├── StorageError                 what is on disk is not what we wrote
    │   ├── TornFile                 truncated, garbled, or of the wrong hash
    │   └── NewerFormat              written by a newer engine: upgrade           exit 2
    ├── NothingLabelled              not one frame got a label: see the reasons
    ├── NothingKept                  the gate kept every label out: see the limits
    ├── CampaignHeld                 another engine owns this campaign            exit 1
    ├── TrainingDiverged             the loss is not finite, or exploded
    ├── ModelRefused                 the deployed model is not the trained one
    └── StopRequested                SIGTERM, SIGINT, walltime: resumable         exit 3

A failed label is not here: it is a value (:class:`sis_engine.records.LabelFailure`).
"""

from __future__ import annotations

from pathlib import Path


class SisError(Exception):
    """Anything the engine raises on purpose. ``exit_code`` is what the CLI returns."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n  → {self.hint}"


class ConfigurationError(SisError):
    """The input is wrong. Says where, what was seen, what is allowed, and what to do.

    Parameters
    ----------
    message: what is wrong, one line, with the value seen.
    file, key, line: where it is; each may be unknown (``None``).
    allowed: what would be accepted.
    hint: what to do.
    """

    exit_code = 2

    def __init__(
        self,
        message: str,
        *,
        file: Path | str | None = None,
        key: str | None = None,
        line: int | None = None,
        allowed: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.file = None if file is None else str(file)
        self.key = key
        self.line = line
        self.allowed = allowed

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        head = " ".join(part for part in (place, self.key) if part)
        text = f"{head}: {self.message}" if head else self.message
        if self.allowed is not None:
            text += f"\n  allowed: {self.allowed}"
        if self.hint is not None:
            text += f"\n  → {self.hint}"
        return text


class PluginNotFound(ConfigurationError):
    """No plugin of this kind and name; the message suggests the nearest name."""


class ProgramError(SisError):
    """An external program let us down; ``directory`` holds what it left behind."""

    def __init__(
        self, message: str, *, directory: Path | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.directory = directory

    def __str__(self) -> str:
        text = super().__str__()
        return text if self.directory is None else f"{text}\n  files: {self.directory}"


class ProgramMissing(ProgramError):
    """The program was not found; the message says where we looked and how to install it."""

    exit_code = 2


class ProgramUnsuitable(ProgramError):
    """The program is there but of a wrong version, MPI or build."""

    exit_code = 2


class ProgramFailed(ProgramError):
    """The program ran and failed."""


class ProgramHung(ProgramError):
    """The program was silent for longer than its limit and was stopped."""


class InfrastructureError(SisError):
    """The surroundings failed (disk, node, scheduler): retry with back-off, then pause."""

    exit_code = 3


class StorageError(SisError):
    """What is on disk is not what the engine wrote."""

    def __init__(self, message: str, *, path: Path, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.path = path


class TornFile(StorageError):
    """A file is truncated, garbled, or does not have the recorded hash."""


class NewerFormat(StorageError):
    """Written by a newer version of the engine than this one."""

    exit_code = 2


class NothingLabelled(SisError):
    """Not one of the frames that everything else needs could be labelled; says why."""


class NothingKept(SisError):
    """The gate kept every label out that there is; says by which limits."""


class CampaignHeld(SisError):
    """Another engine holds this campaign; the message says who."""


class TrainingDiverged(SisError):
    """The training loss is not finite or exploded; the old model stays."""


class ModelRefused(SisError):
    """The deployed model does not reproduce the trained one, or forgot old data."""


class StopRequested(SisError):
    """A stop was asked for; the campaign is consistent and resumable."""

    exit_code = 3

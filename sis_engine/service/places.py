"""Where a service keeps its things: ``ROOT/.service`` beside the campaigns ``ROOT/NAME``."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sis_engine.bookkeeping import folder as campaign_folder
from sis_engine.errors import ConfigurationError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Names of campaigns in a service: they are folders, and stand in addresses."""


@dataclass(frozen=True)
class Places:
    """Paths of one service. root: the folder that holds the campaigns."""

    root: Path

    @property
    def own(self) -> Path:
        """``ROOT/.service``, readable by its owner alone."""
        return self.root / ".service"

    @property
    def settings(self) -> Path:
        return self.root / "service.yaml"

    @property
    def queue(self) -> Path:
        return self.own / "queue.sqlite"

    @property
    def socket(self) -> Path:
        return self.own / "control.sock"

    @property
    def gpu_turns(self) -> Path:
        """Locks of the GPUs that campaigns take turns on."""
        return self.own / "gpus"

    @property
    def token(self) -> Path:
        return self.own / "token"

    def said(self, name: str) -> Path:
        """What the engine of a campaign printed since it was started last."""
        return self.own / "said" / f"{name}.txt"

    def campaign(self, name: str) -> Path:
        """The folder of a campaign. Raises ConfigurationError for a name that is none."""
        if NAME.fullmatch(name) is None:
            raise ConfigurationError(
                f"{name!r} cannot be the name of a campaign",
                allowed="letters, digits, dot, underscore and hyphen; at most 64; no dot in front",
            )
        return self.root / name

    def make(self) -> None:
        """Make the folders that are not there."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.own.mkdir(mode=0o700, exist_ok=True)
        self.own.chmod(0o700)
        self.said("").parent.mkdir(exist_ok=True)

    def campaigns(self) -> tuple[str, ...]:
        """Names of all campaigns in the root, queued or not."""
        try:
            found = sorted(entry.name for entry in os.scandir(self.root) if entry.is_dir())
        except FileNotFoundError:
            return ()
        return tuple(
            name
            for name in found
            if NAME.fullmatch(name) and campaign_folder.exists(self.root / name)
        )


@contextlib.contextmanager
def short_path(path: Path) -> Iterator[str]:
    """A name for a socket however deep it lies: the kernel takes only 107 bytes."""
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)

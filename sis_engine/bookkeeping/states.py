"""What a campaign is doing."""

from __future__ import annotations

import enum


class State(enum.Enum):
    """Where a campaign stands."""

    RUNNING = "running"
    PAUSED = "paused"
    """stopped and resumable: by a person, a fault, or for approval; the reason says which"""
    STABLE = "stable"
    """stable, and right as far as the audit says"""
    EXHAUSTED = "exhausted"
    """no more can be done within the rules"""
    FAILED = "failed"
    """the engine met something it does not understand"""

    @property
    def exit_code(self) -> int:
        """What ``sis run`` returns: 0 done, 1 failed, 3 stopped and resumable, 4 exhausted."""
        return {"stable": 0, "failed": 1, "exhausted": 4}.get(self.value, 3)

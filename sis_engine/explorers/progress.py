"""Live progress of several replicas at once, summed."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from sis_engine.interfaces import Progress
from sis_engine.records import Replica

_EVERY_S = 1.0
_FS_PER_PS = 1000.0


class ReplicaProgress:
    """Sums the MD time of all replicas; safe to call from their threads."""

    def __init__(self, say: Progress, replicas: Sequence[Replica]) -> None:
        self._say = say
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._last_said = 0.0
        self._offset_ps = {r.id: r.time_offset_fs / _FS_PER_PS for r in replicas}
        self._done_ps = dict.fromkeys(self._offset_ps, 0.0)
        self._expected_ps = {
            r.id: max(0.0, r.condition.duration_ps - self._offset_ps[r.id]) for r in replicas
        }

    def due(self) -> bool:
        """True at most once a second: it is time to say something."""
        with self._lock:
            if time.monotonic() - self._last_said < _EVERY_S:
                return False
            self._last_said = time.monotonic()
            return True

    def reached(
        self, replica: Replica, new_ps: float, temperature_k: float, potential_energy: float
    ) -> None:
        """Note that it has done ``new_ps`` of MD by now. potential_energy: eV."""
        with self._lock:
            self._done_ps[replica.id] = new_ps
            self._tell(replica, temperature_k, potential_energy)

    def ended(self, replica: Replica, md_ps: float) -> None:
        """Note that it is over: what it did not do will not be done."""
        with self._lock:
            done = md_ps - self._offset_ps[replica.id]
            self._done_ps[replica.id] = self._expected_ps[replica.id] = done
            self._tell(replica, None)

    def _tell(
        self,
        replica: Replica,
        temperature_k: float | None,
        potential_energy: float | None = None,
    ) -> None:
        done, total = sum(self._done_ps.values()), sum(self._expected_ps.values())
        elapsed = time.monotonic() - self._began
        facts: dict[str, float | str] = {
            "replica": replica.id,
            "time_ps": self._offset_ps[replica.id] + self._done_ps[replica.id],
        }
        if temperature_k is not None:
            facts["temperature_k"] = temperature_k
        if potential_energy is not None:
            facts["potential_energy"] = potential_energy
        if done > 0.0:
            facts["eta_s"] = elapsed * (total - done) / done
        self._say(done, total, f"MD {replica.id}", **facts)

"""A week of service compressed: fast campaigns one after the other, a page that is read throughout.

    python benchmarks/soak.py --minutes 30

The daemon and its web server run as a user runs them; campaigns are the shipped smoke campaign,
submitted anew as soon as one ends, paused, resumed and cancelled now and then. Sampled: resident
memory, descriptors, threads and zombies of both processes. Prints one JSON object; exit code 1 when
memory grows by 5 % or more after the warm-up (the first third), or a zombie or descriptor is left.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

from sis_engine.errors import SisError
from sis_engine.execution.program import find_program
from sis_engine.service.client import ask
from sis_engine.service.places import Places
from sis_engine.service.submitting import set_up

SMOKE = Path(__file__).parents[1] / "configs" / "smoke.yaml"
SAMPLE_EVERY_S = 5.0
MOST_GROWTH = 0.05
ENDED = {"stable", "exhausted", "failed", "stopped"}


@dataclass(frozen=True)
class Sample:
    """One process at one time. rss_kib: resident memory."""

    at_s: float
    rss_kib: int
    descriptors: int
    threads: int


@dataclass(frozen=True)
class Growth:
    """A process over the soak: medians of the second and of the last third."""

    rss_kib_before: float
    rss_kib_after: float
    growth: float
    descriptors_before: float
    descriptors_after: float
    threads_after: float
    samples: int


def sample(pid: int, at_s: float) -> Sample:
    status = Path(f"/proc/{pid}/status").read_text()
    values = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    rss = int(values["VmRSS"].split()[0])
    return Sample(at_s, rss, descriptors, int(values["Threads"]))


def children(pid: int) -> list[tuple[int, str]]:
    """(pid, state) of all children."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                columns = (entry / "stat").read_bytes().rpartition(b")")[2].split()
                if int(columns[1]) == pid:
                    found.append((int(entry.name), columns[0].decode()))
    return found


def growth(samples: list[Sample]) -> Growth:
    third = len(samples) // 3
    before, after = samples[third : 2 * third], samples[2 * third :]
    rss = [statistics.median(s.rss_kib for s in part) for part in (before, after)]
    files = [statistics.median(s.descriptors for s in part) for part in (before, after)]
    threads = statistics.median(s.threads for s in after)
    change = rss[1] / rss[0] - 1.0
    return Growth(rss[0], rss[1], change, files[0], files[1], threads, len(samples))


class Load:
    """Keeps campaigns coming and the page read."""

    def __init__(self, places: Places, token: str, address: str) -> None:
        self.places, self.token, self.address = places, token, address
        self.numbers = itertools.count()
        self.submitted = 0
        self.ended = 0
        self.read = 0
        self.stop = threading.Event()

    def feed(self) -> None:
        """One more when one has ended; old ones are cancelled so that the list stays short."""
        jobs = ask(self.places, "list")["jobs"]
        going = [job for job in jobs if job["state"] not in ENDED]
        for job in jobs:
            if job["state"] in ENDED:
                self.ended += 1
                ask(self.places, "cancel", name=job["name"])
            if job["state"] == "paused":
                ask(self.places, "resume", name=job["name"])
        if len(going) < 2:
            name, _ = set_up(self.places, SMOKE, f"soak-{next(self.numbers)}")
            ask(self.places, "submit", name=name, cores=1)
            self.submitted += 1
        elif self.submitted % 3 == 1 and going[0]["state"] == "running":
            with contextlib.suppress(SisError):  # it may have ended meanwhile
                ask(self.places, "pause", name=going[0]["name"])

    def read_pages(self) -> None:
        """A reader that looks at everything, again and again."""
        while not self.stop.is_set():
            for path in ("/api/campaigns", "/metrics", *self._details()):
                request = urllib.request.Request(  # noqa: S310 - our own server
                    self.address + path, headers={"Authorization": f"Bearer {self.token}"}
                )
                with (
                    contextlib.suppress(OSError),
                    urllib.request.urlopen(request, timeout=60) as answer,  # noqa: S310
                ):
                    answer.read()
                    self.read += 1
            self.stop.wait(2.0)

    def _details(self) -> list[str]:
        names = self.places.campaigns()[-2:]
        parts = ("", "/figures", "/scenes", "/log", "/events")
        return [f"/api/campaigns/{name}{part}" for name in names for part in parts]


def soak(minutes: float, root: Path) -> dict[str, object]:
    places = Places(root)
    daemon = subprocess.Popen(
        [str(find_program("sis")), "serve", str(root), "--port", "0"],
        stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not (places.socket.exists() and (places.own / "address").exists()):
            if daemon.poll() is not None:
                sys.exit("the daemon did not start")
            time.sleep(0.2)
        address = (places.own / "address").read_text().strip()
        load = Load(places, places.token.read_text().strip(), address)
        reader = threading.Thread(target=load.read_pages)
        reader.start()
        samples, zombies = watch(daemon.pid, load, 60.0 * minutes)
        load.stop.set()
        reader.join()
    finally:
        began = time.monotonic()
        daemon.terminate()
        code = daemon.wait()
    found = {name: asdict(growth(items)) for name, items in samples.items()}
    return {
        "minutes": minutes,
        "processes": found,
        "zombies_most": zombies,
        "campaigns_submitted": load.submitted,
        "campaigns_ended": load.ended,
        "pages_read": load.read,
        "stop_s": time.monotonic() - began,
        "exit_code": code,
    }


def watch(pid: int, load: Load, seconds: float) -> tuple[dict[str, list[Sample]], int]:
    """Samples by process, and the most zombies that two looks in a row saw."""
    samples: dict[str, list[Sample]] = {"daemon": [], "web": []}
    began, most = time.monotonic(), 0
    before: set[int] = set()
    while (at := time.monotonic() - began) < seconds:
        load.feed()
        samples["daemon"].append(sample(pid, at))
        now = children(pid)
        dead = {child for child, state in now if state == "Z"}
        most, before = max(most, len(dead & before)), dead
        for child, _ in now:
            with contextlib.suppress(OSError, KeyError):
                if b"sis_engine.service.web" in Path(f"/proc/{child}/cmdline").read_bytes():
                    samples["web"].append(sample(child, at))
        time.sleep(SAMPLE_EVERY_S)
    return samples, most


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = soak(given.minutes, Path(folder) / "root")
    print(json.dumps(found, indent=1))
    processes = found["processes"]
    assert isinstance(processes, dict)
    grown = [
        item["growth"] >= MOST_GROWTH or item["descriptors_after"] > item["descriptors_before"] + 2
        for item in processes.values()
    ]
    return int(any(grown) or found["zombies_most"] != 0 or found["exit_code"] != 3)


if __name__ == "__main__":
    sys.exit(main())

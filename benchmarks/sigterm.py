"""How long a stop takes: SIGTERM to an engine and to a daemon, in every stage of a real campaign.

    python benchmarks/sigterm.py [--config configs/quickstart-short.yaml] [FOLDER] [--quick]

The campaign is led once undisturbed, so that its stages and their lengths are known. Then it is led
again, once by `sis run` and once under `sis serve`: in the middle of each stage SIGTERM comes, and
what is measured is the time until the process has ended; then it goes on. Prints a table and, as a
last line, JSON. Exit code 1 when a stop took more than 30 s, ended with another code than 3, left a
process or lock behind, or the campaign came to another digest. `--quick`: the first turn of the
loop only. FOLDER keeps the undisturbed campaign for the next time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from sis_engine.execution.program import find_program
from sis_engine.rehearsal.course import Course, Moment, attempts, reach
from sis_engine.rehearsal.life import ENDED, adopt_orphans
from sis_engine.rehearsal.remains import look, orphans
from sis_engine.service.client import ask
from sis_engine.service.jobs import JobState
from sis_engine.service.places import Places
from sis_engine.service.queue import Queue
from sis_engine.service.submitting import set_up

SHORT = Path(__file__).parents[1] / "configs" / "quickstart-short.yaml"
LIMIT_S = 30.0
STOPPED = 3
SIS = str(find_program("sis"))
NAME = "stopped"


@dataclass(frozen=True)
class Stop:
    """One SIGTERM. in_hand: the stage begun last before it;  left: processes and locks"""

    who: str
    generation: int
    stage: str
    in_hand: str
    seconds: float
    exit_code: int
    left: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        return self.seconds <= LIMIT_S and self.exit_code == STOPPED and not self.left


def start(*arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [SIS, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def ends_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
        return True
    return False


def to_the_end(*campaign: Path) -> None:
    """campaign: its file and folder, or the folder of one that was begun."""
    code = start("run", *campaign, "--quiet").wait()
    if code not in ENDED:
        folder = campaign[-1]
        sys.exit(f"{folder} ended with exit code {code}: sis status {folder}")


def moments(course: Course, *, quick: bool) -> Iterator[Moment]:
    """The middle of every stage."""
    for generation, stage, seconds in course.stages:
        if generation == 0 or not quick:
            yield Moment(generation, stage, seconds / 2)


def stopped(who: str, moment: Moment, folder: Path, process: subprocess.Popen[bytes]) -> Stop:
    """SIGTERM to it, now."""
    _, in_hand, _ = attempts(folder)[-1]
    begun = time.monotonic()
    process.terminate()
    code = process.wait()
    seconds = time.monotonic() - begun
    left = orphans(folder)
    return Stop(who, moment.generation, moment.stage, in_hand, seconds, code, left)


def stop_engines(config: Path, folder: Path, course: Course, wanted: list[Moment]) -> list[Stop]:
    found = []
    for moment in wanted:
        engine = start("run", config, folder, "--quiet")
        if not reach(folder, moment, course, lambda s, e=engine: ends_within(e, s)):
            break
        found.append(tell(stopped("sis run", moment, folder, engine)))
    to_the_end(config, folder)
    return found


def stop_daemons(config: Path, root: Path, course: Course, wanted: list[Moment]) -> list[Stop]:
    places, found = Places(root), []
    folder = places.campaign(NAME)
    for moment in wanted:
        daemon = start("serve", root)
        wait_for(places, daemon)
        if not found:
            set_up(places, config, NAME)
            ask(places, "submit", name=NAME)
        if not reach(folder, moment, course, under(places, daemon)):
            break
        found.append(tell(stopped("sis serve", moment, folder, daemon)))
    if daemon.poll() is None:
        daemon.terminate()
        daemon.wait()
    to_the_end(folder)
    return found


def wait_for(places: Places, daemon: subprocess.Popen[bytes]) -> None:
    while not places.socket.exists():
        if daemon.poll() is not None:
            sys.exit("the daemon did not start")
        time.sleep(0.05)


def under(places: Places, daemon: subprocess.Popen[bytes]) -> Callable[[float], bool]:
    """Whether the daemon or its campaign ends within so many seconds."""
    going = {JobState.QUEUED, JobState.RUNNING}

    def ended(seconds: float) -> bool:
        if ends_within(daemon, seconds):
            return True
        with Queue(places.queue, read_only=True) as queue:
            job = queue.job(NAME)
        return job is not None and job.state not in going

    return ended


def tell(stop: Stop) -> Stop:
    sys.stderr.write(f"{stop}\n")
    return stop


def table(stops: list[Stop]) -> str:
    lines = [
        "| stopped | generation | stage | exit code | seconds | left |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| `{s.who}` | {s.generation} | {s.stage} | {s.exit_code} | {s.seconds:.1f} "
        f"| {', '.join(s.left) or 'nothing'} |"
        for s in stops
    ]
    return "\n".join(lines)


def measure(config: Path, folder: Path, *, quick: bool) -> int:
    adopt_orphans()
    whole = folder / "undisturbed"
    to_the_end(config, whole)
    course = Course.of(whole)
    wanted = list(moments(course, quick=quick))
    stops = stop_engines(config, folder / "engine", course, wanted)
    stops += stop_daemons(config, folder / "root", course, wanted)
    ends = [folder / "engine", Places(folder / "root").campaign(NAME)]
    same = all(look(end).digest == look(whole).digest for end in ends)
    print(table(stops))
    found = {
        "stops": [asdict(stop) for stop in stops],
        "longest_s": max(stop.seconds for stop in stops),
        "same_digest": same,
    }
    print(json.dumps(found))
    return int(not same or not all(stop.is_good for stop in stops))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--config", type=Path, default=SHORT)
    parser.add_argument("--quick", action="store_true", help="the first turn of the loop only")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as passing:
        folder = (given.folder or Path(passing)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        return measure(given.config.absolute(), folder, quick=given.quick)


if __name__ == "__main__":
    sys.exit(main())

"""What readers of the page cost a running campaign.

    python benchmarks/dashboard_load.py [--readers 100] [--pairs 5] [--quick]

Campaigns are run in turn without and with readers of the event stream of one web server (the
server's process runs in both, so that the ratio is of the readers alone); the pairs are interleaved
and alternate in order, so that drifts of the machine fall on both. Prints, for each pair:

- `wall`: the ratio of the campaigns' wall times. On a machine that does other things its spread is
  far above 1 %, so it cannot show 1 %;
- `cpu`: the ratio of their CPU seconds (the same work each time: caches and locks that the readers
  disturb would show here);
- `server`: CPU seconds of the web server beside the campaign over those of the campaign, less the
  same without readers. The server runs at the lowest priority, so this is what readers take where
  no core is free. Opening the pages is not in it: they are kept open.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sis_engine.execution.program import find_program
from sis_engine.service.places import Places

SETTLE_S = 3.0
"""Between connecting and measuring: a page is opened once, and kept open."""

SMOKE = Path(__file__).parents[1] / "configs" / "smoke.yaml"


@contextlib.contextmanager
def web_server(places: Places) -> Iterator[tuple[int, int, str]]:
    """Process number, port and token."""
    places.make()
    command = [sys.executable, "-m", "sis_engine.service.web", str(places.root), "--port", "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        address = places.own / "address"
        while not address.exists():
            time.sleep(0.1)
        time.sleep(0.5)
        port = int(address.read_text().rpartition(":")[2])
        yield process.pid, port, places.token.read_text().strip()
        process.terminate()


class Readers:
    """Connections to the stream, read by one thread; what they got is counted."""

    def __init__(self, port: int, token: str, name: str, count: int) -> None:
        self.received = 0
        self._ended = threading.Event()
        self._lines = []
        question = (
            f"GET /api/stream?campaign={name} HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {token}\r\n\r\n"
        ).encode()
        for _ in range(count):
            line = socket.create_connection(("127.0.0.1", port))
            line.sendall(question)
            line.setblocking(False)
            self._lines.append(line)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        while not self._ended.wait(0.25):
            for line in self._lines:
                with contextlib.suppress(BlockingIOError):
                    self.received += len(line.recv(1 << 20))

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        for line in self._lines:
            line.close()


@dataclass(frozen=True)
class Run:
    """One campaign. server_cpu_s: of the web server meanwhile"""

    wall_s: float
    cpu_s: float
    server_cpu_s: float


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    columns = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return (int(columns[11]) + int(columns[12])) / os.sysconf("SC_CLK_TCK")


def one_run(folder: Path, server: int) -> Run:
    before, began = cpu_seconds(server), time.monotonic()
    sis = str(find_program("sis"))
    process = subprocess.Popen([sis, "run", str(SMOKE), str(folder), "--quiet"],
                               stdout=subprocess.DEVNULL)  # fmt: skip
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"the campaign ended with exit code {process.returncode}")
    wall_s = time.monotonic() - began
    return Run(wall_s, used.ru_utime + used.ru_stime, cpu_seconds(server) - before)


def measure(readers: int, pairs: int) -> dict[str, object]:
    found: dict[str, list[float]] = {"wall": [], "cpu": [], "server": []}
    received = 0
    with tempfile.TemporaryDirectory() as place:
        places = Places(Path(place) / "root")
        with web_server(places) as (server, port, token):
            one_run(places.campaign("campaign"), server)  # warms the disk's cache
            for pair in range(pairs):
                runs = {}
                for watched in (pair % 2 == 0, pair % 2 == 1):
                    shutil.rmtree(places.campaign("campaign"))
                    many = Readers(port, token, "campaign", readers if watched else 0)
                    time.sleep(SETTLE_S)
                    runs[watched] = one_run(places.campaign("campaign"), server)
                    many.close()
                    received += many.received
                sys.stderr.write(f"with: {runs[True]}  without: {runs[False]}\n")
                found["wall"].append(runs[True].wall_s / runs[False].wall_s)
                found["cpu"].append(runs[True].cpu_s / runs[False].cpu_s)
                extra_s = runs[True].server_cpu_s - runs[False].server_cpu_s
                found["server"].append(extra_s / runs[True].cpu_s)
    return {
        "readers": readers,
        "pairs": pairs,
        **found,
        "median": {name: statistics.median(values) for name, values in found.items()},
        "spread": {name: [min(values), max(values)] for name, values in found.items()},
        "bytes_received": received,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--readers", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one pair")
    given = parser.parse_args()
    print(json.dumps(measure(given.readers, 1 if given.quick else given.pairs), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())

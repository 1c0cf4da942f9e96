"""What readers of the page cost a running campaign.

    python benchmarks/dashboard_load.py [--readers 100] [--pairs 5] [--quick]

Campaigns are run in turn without and with readers of the event stream of one web server (the
server's process runs in both, so that the ratio is of the readers alone); the pairs are interleaved
and alternate in order, so that drifts of the machine fall on both. Prints the ratio of the wall
times of each pair, their median and their spread.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from sis_engine.execution.program import find_program
from sis_engine.service.places import Places

SMOKE = Path(__file__).parents[1] / "configs" / "smoke.yaml"


@contextlib.contextmanager
def web_server(places: Places) -> Iterator[tuple[int, str]]:
    """Port and token."""
    places.make()
    command = [sys.executable, "-m", "sis_engine.service.web", str(places.root), "--port", "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        address = places.own / "address"
        while not address.exists():
            time.sleep(0.1)
        time.sleep(0.5)
        yield int(address.read_text().rpartition(":")[2]), places.token.read_text().strip()
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


def one_run(folder: Path) -> float:
    """Seconds of one campaign."""
    began = time.monotonic()
    sis = str(find_program("sis"))
    subprocess.run([sis, "run", str(SMOKE), str(folder), "--quiet"], check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    return time.monotonic() - began


def measure(readers: int, pairs: int) -> dict[str, object]:
    ratios, received = [], 0
    with tempfile.TemporaryDirectory() as place:
        places = Places(Path(place) / "root")
        with web_server(places) as (port, token):
            one_run(places.campaign("campaign"))  # warms the disk's cache
            for pair in range(pairs):
                seconds = {}
                for watched in (pair % 2 == 0, pair % 2 == 1):
                    shutil.rmtree(places.campaign("campaign"))
                    many = Readers(port, token, "campaign", readers if watched else 0)
                    seconds[watched] = one_run(places.campaign("campaign"))
                    many.close()
                    received += many.received
                ratios.append(seconds[True] / seconds[False])
    return {
        "readers": readers,
        "pairs": pairs,
        "ratios": ratios,
        "median_ratio": statistics.median(ratios),
        "spread": [min(ratios), max(ratios)],
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

"""The process in which a slow-starting program answers requests, one after another.

Usage: ``python serve.py OPERATIONS READY LOG``. It imports only the standard library, so that the
interpreter of another environment can run it. OPERATIONS is a script that defines ``start()`` (slow
imports) and ``OPERATIONS`` (functions of a request and a :class:`Stopwatch`, by name); READY is
touched when ``start`` has returned. Requests come as lines on standard input, each the path of a
folder with ``request.json``; the answer is ``answer.json`` there, written under another name and
renamed. Output of a request goes to LOG in its folder. When standard input ends, the engine is gone
and so is this process. An exception's class names its kind, unless it has an attribute ``kind``.
"""

import importlib.util
import json
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from queue import SimpleQueue
from typing import Any


class Stopwatch:
    """Seconds by name of the sub-step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now


def load(script: Path) -> Any:
    """The module of a script, by its path: nothing beside it is on the module path."""
    spec = importlib.util.spec_from_file_location(script.stem, script)
    if spec is None or spec.loader is None:
        raise ImportError(str(script))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def serve(operations: dict[str, Any], folder: Path, log_name: str) -> None:
    """Answer one request; whatever goes wrong is an answer too."""
    os.chdir(folder)  # programs write their files into the working directory
    log = os.open(log_name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    watch = Stopwatch()
    answer: dict[str, Any]
    try:
        request = json.loads(Path("request.json").read_text())
        result = operations[request["operation"]](request, watch)
        answer = {"ok": True, "seconds": watch.seconds, "result": result}
    except BaseException as error:  # noqa: BLE001  the border of this process
        traceback.print_exc()
        kind = getattr(error, "kind", type(error).__name__)
        answer = {"ok": False, "seconds": watch.seconds, "kind": kind, "error": str(error)}
    sys.stdout.flush()
    sys.stderr.flush()
    Path("answer.json.part").write_text(json.dumps(answer))
    Path("answer.json.part").replace("answer.json")


def _listen(source: int, requests: "SimpleQueue[str]") -> None:
    """Lines from the engine; its end is ours, in the middle of a request too."""
    buffer = b""
    while chunk := os.read(source, 65536):
        *lines, buffer = (buffer + chunk).split(b"\n")
        for line in lines:
            requests.put(line.decode())
    os.killpg(0, signal.SIGKILL)  # this process leads its own group


def main(script: Path, ready: Path, log_name: str) -> None:
    """Start once, then serve requests until the engine goes away."""
    sys.path[:] = [entry for entry in sys.path if Path(entry) != Path(__file__).parent]
    # forked data loaders close sys.stdin: the pipe is kept apart from it
    source = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    requests: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_listen, args=(source, requests), daemon=True).start()
    module = load(script)
    module.start()
    ready.touch()
    while True:
        serve(module.OPERATIONS, Path(requests.get()), log_name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])

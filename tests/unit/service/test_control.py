"""The control socket: who may open it, and that nonsense harms nobody."""

from __future__ import annotations

import json
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sis_engine.errors import SisError
from sis_engine.service.client import NoDaemon, ask
from sis_engine.service.commands import Commands
from sis_engine.service.control import MOST_BYTES, ControlSocket
from sis_engine.service.jobs import Job, JobState, Wanted
from sis_engine.service.places import Places, short_path
from sis_engine.service.queue import Queue
from sis_engine.service.slots import Slots

SLOTS = Slots((0, 1), ("0",))


@contextmanager
def answered(places: Places, answer: Any) -> Iterator[None]:
    """A daemon that only answers."""
    ended = threading.Event()
    with ControlSocket(places.socket) as control:

        def work() -> None:
            while not ended.is_set():
                control.answer_all(answer, 0.05)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


@pytest.fixture
def places(tmp_path: Path) -> Places:
    made = Places(tmp_path / ("deep" * 20) / ("deep" * 20))  # longer than a socket's name may be
    made.make()
    return made


def said_raw(places: Places, data: bytes) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        with short_path(places.socket) as name:
            line.connect(name)
        line.sendall(data)
        line.shutdown(socket.SHUT_WR)
        with line.makefile("rb") as stream:
            answer: dict[str, Any] = json.loads(stream.readline())
    return answer


def test_only_its_owner_can_open_the_socket_and_the_folder(places: Places) -> None:
    with answered(places, lambda _: {}):
        assert stat.S_IMODE(places.socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(places.own.stat().st_mode) == 0o700
    assert not places.socket.exists()


def test_nonsense_is_answered_and_the_next_caller_is_served(places: Places) -> None:
    with answered(places, lambda asked: {"echo": asked["command"]}):
        assert "not a line of JSON" in said_raw(places, b"\xff\xfe\n")["error"]
        assert "expected an object" in said_raw(places, b"[1]\n")["error"]
        assert "at most" in said_raw(places, b"x" * (MOST_BYTES + 1))["error"]
        assert ask(places, "hello") == {"echo": "hello"}


def test_no_daemon_is_said_with_what_to_do(places: Places) -> None:
    with pytest.raises(NoDaemon, match="sis serve"):
        ask(places, "list")


@pytest.fixture
def commands(places: Places) -> Iterator[tuple[Commands, Queue]]:
    with Queue(places.queue) as queue:
        yield Commands(places, queue, lambda: (SLOTS, SLOTS)), queue


def campaign(places: Places, name: str) -> None:
    folder = places.campaign(name)
    folder.mkdir()
    (folder / "ledger.sqlite").touch()


def test_submit_pause_resume_stop_cancel(places: Places, commands: tuple[Commands, Queue]) -> None:
    answer, queue = commands
    campaign(places, "a")
    assert answer({"command": "submit", "name": "a", "priority": 3})["job"]["cores"] == 2
    assert "queued already" in answer({"command": "submit", "name": "a"})["error"]
    answer({"command": "pause", "name": "a"})
    assert queue.jobs()[0].wanted is Wanted.PAUSE
    queue.change(queue.jobs()[0], state=JobState.PAUSED, faults=2)
    answer({"command": "resume", "name": "a", "approve": True})
    job = queue.job("a")
    assert job is not None
    assert (job.state, job.wanted, job.faults, job.approve) == (
        JobState.QUEUED, Wanted.RUN, 0, True,
    )  # fmt: skip
    queue.change(job, state=JobState.PAUSED)
    assert answer({"command": "stop", "name": "a"})["job"]["state"] == "stopped"
    answer({"command": "cancel", "name": "a"})
    assert queue.jobs()[0].wanted is Wanted.CANCEL


def test_what_is_not_there_or_does_not_fit_is_refused(
    places: Places, commands: tuple[Commands, Queue]
) -> None:
    answer, queue = commands
    campaign(places, "a")
    assert "no campaign" in answer({"command": "submit", "name": "b"})["error"]
    assert "no campaign" in answer({"command": "submit", "name": "../a"})["error"]
    assert "GPUs" in answer({"command": "submit", "name": "a", "gpus": 2})["error"]
    assert "not in the queue" in answer({"command": "pause", "name": "a"})["error"]
    assert "no command" in answer({"command": "rm"})["error"]
    assert "KeyError" in answer({"command": "pause"})["error"]
    assert queue.jobs() == ()


def test_the_list_has_those_that_are_not_queued_too(
    places: Places, commands: tuple[Commands, Queue]
) -> None:
    answer, queue = commands
    campaign(places, "a")
    campaign(places, "b")
    queue.put(Job("a"))
    found = answer({"command": "list"})
    assert [job["name"] for job in found["jobs"]] == ["a"]
    assert found["others"] == ["b"]


def test_a_refusal_reaches_the_caller_as_an_error(places: Places) -> None:
    with (
        answered(places, lambda _: {"error": "no", "hint": "do that"}),
        pytest.raises(SisError, match="do that"),
    ):
        ask(places, "pause", name="a")

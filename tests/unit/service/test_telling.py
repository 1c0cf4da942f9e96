"""Hooks, the event log they listen to, and systemd's socket."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from sis_engine.bookkeeping import log as campaign_log
from sis_engine.bookkeeping.log import CampaignLog
from sis_engine.service.settings import CommandHook, WebHook
from sis_engine.service.telling import Happening, Teller, post, read_told, run_command
from sis_engine.service.watchdog import Systemd

HAPPENING = Happening("a", "stable", "3 replicas lived", "/runs/a")


def test_catastrophes_are_read_once_and_a_half_line_waits(tmp_path: Path) -> None:
    log = CampaignLog(tmp_path)
    log.write("stage", "explore")
    log.write("catastrophe", "r1: too hot")
    first = read_told(tmp_path, 0)
    assert first.catastrophes == ("r1: too hot",)
    with (tmp_path / "log" / "events.jsonl").open("a") as stream:
        stream.write('{"kind": "catastrophe", "te')
    assert read_told(tmp_path, first.until) == type(first)(first.until)
    with (tmp_path / "log" / "events.jsonl").open("a") as stream:
        stream.write('xt": "r2"}\nnot json\n')
    assert read_told(tmp_path, first.until).catastrophes == ("r2",)


def test_a_log_that_is_full_makes_room_and_is_read_from_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = CampaignLog(tmp_path)
    log.write("catastrophe", "old " * 100)
    until = read_told(tmp_path, 0).until
    with monkeypatch.context() as patch:
        patch.setattr(campaign_log, "MOST_BYTES", 100)
        for number in range(8):
            log.write("stage", f"{number}" * 100)
    files = sorted(path.name for path in (tmp_path / "log").glob("events*"))
    assert files == [f"events.jsonl.{k}" for k in (1, 2, 3, 4)]
    log.write("catastrophe", "new")
    assert read_told(tmp_path, until).catastrophes == ("new",)


def test_a_command_gets_the_happening_on_its_standard_input(tmp_path: Path) -> None:
    out = tmp_path / "got.json"
    code = f"import sys; open({str(out)!r}, 'w').write(sys.stdin.read())"
    assert run_command(CommandHook(command=(sys.executable, "-c", code)), HAPPENING) is None
    assert json.loads(out.read_text())["occasion"] == "stable"


def test_a_command_that_fails_is_said(tmp_path: Path) -> None:
    missing = run_command(CommandHook(command=(str(tmp_path / "none"),)), HAPPENING)
    assert missing is not None
    assert "none failed" in missing


@contextmanager
def listener(refusals: int) -> Iterator[tuple[str, list[bytes]]]:
    """An address that refuses so many times; what it was sent."""
    got: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(500 if len(got) <= refusals else 204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook", got
        finally:
            server.shutdown()
            thread.join()


def test_a_webhook_is_tried_again_until_it_is_taken() -> None:
    waits: list[float] = []
    with listener(refusals=2) as (address, got):
        hook = WebHook(webhook=address, retry_after_s=(1.0, 2.0))
        assert post(hook, HAPPENING, waits.append) is None
    assert waits == [1.0, 2.0]
    assert json.loads(got[-1])["text"] == "3 replicas lived"


def test_a_webhook_that_never_answers_well_is_given_up_and_said() -> None:
    with listener(refusals=9) as (address, got):
        trouble = post(WebHook(webhook=address, retry_after_s=(1.0,)), HAPPENING, lambda _: None)
    assert trouble is not None
    assert "failed 2 times" in trouble
    assert len(got) == 2


def test_hooks_are_told_only_what_they_asked_for(tmp_path: Path) -> None:
    def hook(name: str, on: str) -> CommandHook:
        code = f"open({str(tmp_path / name)!r}, 'w')"
        return CommandHook(command=(sys.executable, "-c", code), on=(on,))  # type: ignore[arg-type]

    said: list[str] = []
    teller = Teller((hook("wanted", "stable"), hook("other", "failed")), said.append)
    teller(HAPPENING)
    teller.close(60.0)
    assert (tmp_path / "wanted").exists()
    assert not (tmp_path / "other").exists()
    assert said == ["a: stable: 3 replicas lived"]


def test_systemd_hears_of_start_and_progress_and_stop(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        systemd = Systemd({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        systemd.ready("ready")
        systemd.progress("1 running")
        systemd.stopping()
        heard = [ear.recv(200) for _ in range(3)]
    assert heard == [b"READY=1\nSTATUS=ready", b"WATCHDOG=1\nSTATUS=1 running", b"STOPPING=1"]


def test_without_systemd_nothing_is_said() -> None:
    Systemd({}).ready("ready")

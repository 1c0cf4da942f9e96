"""The web server over real campaigns: what it shows, and what it refuses."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from sis_engine.service.jobs import Job, JobState
from sis_engine.service.places import Places
from sis_engine.service.queue import Queue
from sis_engine.service.web.server import TimedProtocol
from tests.unit.service.web_server import TOKEN, Site, served


@pytest.fixture(scope="module")
def site(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A root with a finished campaign, a queued copy of it, and one that cannot be read."""
    places = Places(tmp_path_factory.mktemp("root"))
    places.make()
    shutil.copytree(finished, places.campaign("done"))
    shutil.copytree(finished, places.campaign("waits"))
    places.campaign("torn").mkdir()
    (places.campaign("torn") / "ledger.sqlite").write_bytes(b"no database at all" * 100)
    (places.root / "secret.txt").write_text("secret")
    with Queue(places.queue) as queue:
        queue.put(Job("waits", state=JobState.QUEUED, cores=2))
        queue.beat("daemon", 1.0)
    with served(places) as found:
        yield found


def test_every_campaign_is_listed_the_torn_one_with_its_reason(site: Site) -> None:
    status, text = site.get("/api/campaigns")
    found = {line["name"]: line for line in json.loads(text)["campaigns"]}
    assert status == 200
    assert {name: line["state"] for name, line in found.items()} == {
        "done": "stable", "waits": "queued", "torn": "failed",
    }  # fmt: skip
    assert "damaged" in found["torn"]["reason"]
    assert json.loads(text)["daemon_beat"] == 1.0


def test_one_campaign_says_what_it_cost_what_it_waits_for_and_what_to_try(site: Site) -> None:
    done = json.loads(site.get("/api/campaigns/done")[1])
    assert done["summary"]["evaluations_total"] > 100
    assert done["summary"]["audit"]["passed"] is True
    assert any("sis export" in line for line in done["try_next"])
    assert done["log"]
    waits = json.loads(site.get("/api/campaigns/waits")[1])
    assert waits["waits_for"] == ["its turn, with 2 cores free"]


def test_figures_and_dying_frames_are_there(site: Site) -> None:
    figures = json.loads(site.get("/api/campaigns/done/figures")[1])
    assert [item["id"] for item in figures][:3] == ["live", "lives", "survival"]
    assert any(item["id"].startswith("traces-") for item in figures)
    assert all(svg.startswith("<svg") for item in figures for svg in item["panels"])
    scenes = json.loads(site.get("/api/campaigns/done/scenes")[1])
    assert scenes[0]["species"]


def test_the_stream_begins_with_all_there_is(site: Site) -> None:
    with site.open() as line:
        line.sendall(
            b"GET /api/stream?campaign=done HTTP/1.1\r\nHost: localhost\r\n"
            b"Authorization: Bearer " + TOKEN.encode() + b"\r\n\r\n"
        )
        with line.makefile("rb") as stream:
            kinds = []
            while len(kinds) < 2:
                text = stream.readline()
                assert text, "the stream ended"
                if text.startswith(b"event: "):
                    kinds.append(text[7:].strip().decode())
    assert kinds == ["board", "campaign"]


def test_prometheus_reads_the_metrics(site: Site) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    text = site.get("/metrics")[1]
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["sis_campaign_state", "done", "stable"] == 1.0
    assert found["sis_queue", "queued"] == 1.0
    assert found["sis_labels", "done", "good"] > 100
    assert found["sis_stage_seconds", "done", "explore"] > 0.0
    assert found["sis_acceleration_ratio", "done"] > 0.0
    assert found["sis_disk_free_bytes",] > 0


def test_the_page_has_nothing_from_elsewhere(site: Site) -> None:
    page = site.get("/")[1]
    assert "http" not in page
    for name in ("report.css", "viewer.js", "dashboard.css", "dashboard.js"):
        status, text = site.get(f"/assets/{name}")
        assert status == 200
        assert "://" not in text.replace("http://www.w3.org", "")


@pytest.mark.parametrize(
    "path",
    [
        "/api/campaigns/..%2fsecret.txt", "/api/campaigns/../secret.txt", "/assets/..%2fapp.py",
        "/api/campaigns/%2e%2e/log", "/..%2f..%2fetc/passwd",
    ],
)  # fmt: skip
def test_a_path_from_outside_is_refused(site: Site, path: str) -> None:
    assert site.get(path)[0] == 400
    assert site.get("/api/campaigns")[0] == 200


def test_an_unknown_name_is_only_unknown(site: Site) -> None:
    for name in ("nobody", ".service", "secret.txt"):
        assert site.get(f"/api/campaigns/{name}")[0] in {404, 422}
        assert site.get(f"/api/campaigns/{name}/log")[0] in {404, 422}
    assert site.get("/assets/app.py")[0] == 404


def test_without_token_or_with_a_foreign_host_nothing_is_told(site: Site) -> None:
    assert site.get("/api/campaigns", token=False)[0] == 401
    assert site.get("/", token=False)[0] == 401
    assert site.get("/api/campaigns", {"Host": "evil.org"})[0] == 403


def test_ten_kilobytes_of_headers_are_refused_whole_or_in_pieces(site: Site) -> None:
    assert site.get("/api/campaigns", {"X-Long": "a" * 10_000})[0] in {400, 431}
    with site.open() as line:
        answer = b""
        with suppress(ConnectionError):  # it may hang up while we still talk
            line.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: ")
            for _ in range(10):
                line.sendall(b"a" * 1024)
            with line.makefile("rb") as stream:
                answer = stream.readline()
        assert answer.split()[1:2] in ([], [b"400"], [b"431"])
    assert site.get("/api/campaigns")[0] == 200


def test_a_slow_loris_is_hung_up_on_and_nobody_else(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TimedProtocol, "question_within_s", 0.3)
    with site.open() as silent, site.open() as trickling:
        trickling.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        assert _closed(silent)
        assert _closed(trickling)
    monkeypatch.undo()
    assert site.get("/api/campaigns")[0] == 200


def test_nonsense_instead_of_http_is_refused(site: Site) -> None:
    with site.open() as line:
        line.sendall(b"\x16\x03\x01\x02\x00 not http\r\n\r\n")
        with line.makefile("rb") as stream:
            assert b"400" in stream.readline()
    assert site.get("/api/campaigns")[0] == 200


def _closed(line: socket.socket) -> bool:
    """Has the other side hung up? Waits for it."""
    try:
        return line.recv(1) == b""
    except ConnectionResetError:
        return True

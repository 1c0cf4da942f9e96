"""The systemd unit and the Slurm job script."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from sis_engine.errors import ConfigurationError
from sis_engine.service.templates import rendered

FAKE_SIS = """#!/bin/bash
trap 'exit {code}' TERM
echo "$@" > "{place}/asked"
while :; do sleep 0.05; done
"""


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_a_path_that_a_shell_would_misread_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="misread"):
        rendered("slurm", tmp_path / "a b", Path("/bin/sis"))
    with pytest.raises(ConfigurationError, match="no template"):
        rendered("cron", tmp_path, Path("/bin/sis"))


def test_the_unit_is_fed_and_leaves_campaigns_of_a_crashed_daemon_alone(tmp_path: Path) -> None:
    text = rendered("systemd", tmp_path, Path("/opt/sis"), "--port 8765")
    for line in (
        "Type=notify", "WatchdogSec=120", "KillMode=process", "SuccessExitStatus=3",
        "Restart=on-failure", f"ExecStart=/opt/sis serve {tmp_path} --port 8765",
    ):  # fmt: skip
        assert line in text.splitlines()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_finds_nothing_to_complain_of(tmp_path: Path) -> None:
    sis = script(tmp_path / "sis", "#!/bin/sh\n")
    unit = tmp_path / "sis-serve.service"
    unit.write_text(rendered("systemd", tmp_path, sis))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    complaints = [line for line in done.stderr.splitlines() if "sis-serve" in line]
    assert complaints == []


@pytest.mark.parametrize(
    ("code", "stays", "handed_over"), [(3, False, True), (1, False, False), (3, True, False)]
)
def test_the_job_hands_over_to_its_successor_when_it_was_stopped_in_time(
    tmp_path: Path, code: int, stays: bool, handed_over: bool
) -> None:
    sis = script(tmp_path / "sis", FAKE_SIS.format(code=code, place=tmp_path))
    script(tmp_path / "sbatch", f'#!/bin/sh\necho "$@" > {tmp_path}/submitted\n')
    job = script(tmp_path / "job.sh", rendered("slurm", tmp_path, sis, "--port 0"))
    if stays:
        (tmp_path / ".no-successor").touch()
    environment = {
        **os.environ, "SLURM_JOB_ID": "42", "PATH": f"{tmp_path}:{os.environ['PATH']}",
    }  # fmt: skip
    with subprocess.Popen(["/bin/bash", str(job)], env=environment) as process:
        while not (tmp_path / "asked").exists():
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == code
    assert (tmp_path / "asked").read_text().split() == ["serve", str(tmp_path), "--port", "0"]
    submitted = tmp_path / "submitted"
    assert submitted.exists() == handed_over
    if handed_over:
        expected = f"--dependency=afterany:42 {tmp_path}/sis-serve.sh"
        assert submitted.read_text().strip() == expected


def test_the_job_script_is_sound_bash(tmp_path: Path) -> None:
    job = script(tmp_path / "job.sh", rendered("slurm", tmp_path, Path("/opt/sis")))
    subprocess.run(["/bin/bash", "-n", str(job)], check=True)

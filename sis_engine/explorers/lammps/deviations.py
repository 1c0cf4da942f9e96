"""How far a committee was apart, as DeePMD-kit's pair style writes it to ``md.out``.

Columns: step, then max, min and avg of the virial's and of the force's standard deviation over
members (``max_devi_v min_devi_v avg_devi_v max_devi_f min_devi_f avg_devi_f``); forces in eV/Å
over atoms, the virial in eV/atom over components. The energy's is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from sis_engine.errors import ProgramFailed
from sis_engine.explorers.quantities import look_of
from sis_engine.records import Deviation, MdFrame, Quantity, Trace

_N_COLUMNS = 7


def read_deviations(path: Path, *, periodic: bool) -> dict[int, Deviation]:
    """Deviations by step of the dynamics; without the virial's unless all is periodic.

    The minimisation and the look at the start write rows too: the dynamics begin with the last row
    of step 0. A last line that is torn (the program was killed) is left out.
    """
    if not path.exists():
        return {}
    found: dict[int, Deviation] = {}
    for line in path.read_text(errors="replace").split("\n")[:-1]:
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != _N_COLUMNS:
            raise ProgramFailed(
                f"{path.name} has a row of {len(words)} columns, not {_N_COLUMNS}: {line.strip()}",
                directory=path.parent,
                hint="use a DeePMD-kit that sis doctor approves",
            )
        step, virial, force = int(words[0]), float(words[1]), float(words[4])
        if step == 0:
            found = {}
        found[step] = Deviation(force, virial if periodic else None)
    return found


def with_deviations(trace: Trace, steps: list[int], found: Mapping[int, Deviation]) -> Trace:
    """The trace with columns for the deviations (see :func:`look_of`).

    steps: of the trace's rows
    """
    rows = [found.get(step) for step in steps]
    forces = [look_of(None if r is None else r.force) for r in rows]
    columns = [(Quantity.MODEL_DEVIATION, forces)]
    if any(item.virial is not None for item in found.values()):
        virials = [look_of(None if r is None else r.virial) for r in rows]
        columns.append((Quantity.VIRIAL_DEVIATION, virials))
    return replace(
        trace,
        quantities=(*trace.quantities, *(quantity for quantity, _ in columns)),
        values=np.column_stack([trace.values, *(np.array(values) for _, values in columns)]),
    )


def watched(item: MdFrame, step: int, found: Mapping[int, Deviation]) -> MdFrame:
    """The frame with the deviation on it, where one was taken."""
    deviation = found.get(step)
    return item if deviation is None else replace(item, deviation=deviation)

import struct

import numpy as np
import pytest

from sis_engine.errors import InfrastructureError
from sis_engine.explorers.lammps.snapshots import Ring, snapshots


def packed(step, table, revision=2, tilts=None):
    """A binary dump as LAMMPS's dump_custom.cpp writes it."""
    head = struct.pack("=q10sii", -10, b"DUMPCUSTOM", 1, revision)
    box = struct.pack("=qqi6i6d", step, len(table), int(tilts is not None), *[0] * 6, *range(6))
    if tilts is not None:
        box += struct.pack("=3d", *tilts)
    columns = b"id x"
    middle = struct.pack("=ii", table.shape[1], 0) + b"\0" + struct.pack("=i", len(columns))
    body = struct.pack("=ii", 1, table.size) + table.tobytes()
    return head + box + middle + columns + body


TABLE = np.array([[1.0, 0.1], [2.0, 1 / 3]])


def test_a_snapshot_comes_back_bit_by_bit():
    data = packed(20, TABLE) + packed(40, TABLE + 1, tilts=(0.1, 0.2, 0.3))
    first, second = (item for item, _ in snapshots(data))
    assert (first.step, second.step) == (20, 40)
    assert np.array_equal(first.table, TABLE)
    assert np.array_equal(first.bounds, [[0, 1], [2, 3], [4, 5]])
    assert second.tilts == (0.1, 0.2, 0.3)


def test_a_torn_snapshot_is_left_out_wherever_it_is_torn():
    whole = packed(20, TABLE)
    for length in range(len(whole)):
        found = list(snapshots(whole + packed(40, TABLE)[:length]))
        assert [item.step for item, _ in found] == [20]


def test_another_format_is_refused_and_not_misread():
    with pytest.raises(InfrastructureError, match="revision 2"):
        list(snapshots(packed(20, TABLE, revision=3)))
    with pytest.raises(InfrastructureError, match="DUMPCUSTOM"):
        list(snapshots(b"ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n3\n"))


def test_a_ring_keeps_the_last_snapshots_and_leaves_no_pipe(tmp_path):
    pipe, kept = tmp_path / "pipe", tmp_path / "kept"
    with Ring(pipe, kept, size=3), pipe.open("wb") as writer:
        for step in range(500):
            writer.write(packed(step, TABLE))
    assert [item.step for item, _ in snapshots(kept.read_bytes())] == [497, 498, 499]
    assert not pipe.exists()


def test_a_ring_nobody_writes_to_ends(tmp_path):
    with Ring(tmp_path / "pipe", tmp_path / "kept", size=3):
        pass
    assert (tmp_path / "kept").read_bytes() == b""

"""md.out as DeePMD-kit 3.2 writes it (recorded), and what is made of it."""

import numpy as np
import pytest

from sis_engine.errors import ProgramFailed
from sis_engine.explorers.lammps.deviations import read_deviations, with_deviations
from sis_engine.records import Deviation, Quantity, Trace

HEAD = (
    "#       step         max_devi_v         min_devi_v         avg_devi_v"
    "         max_devi_f         min_devi_f         avg_devi_f\n"
)


def row(step, virial, force):
    values = [virial, 0.5 * virial, 0.7 * virial, force, 0.5 * force, 0.7 * force]
    return f"{step:12d}" + "".join(f"{value:19.6e}" for value in values) + "\n"


def test_the_dynamics_begin_with_the_last_row_of_step_0(tmp_path):
    path = tmp_path / "md.out"
    minimised = row(0, 9.0, 9.0) + row(10, 9.0, 9.0) + row(20, 9.0, 9.0)
    path.write_text(HEAD + minimised + row(0, 8.0, 8.0) + row(0, 0.1, 1.0) + row(10, 0.2, 2.0))
    found = read_deviations(path, periodic=True)
    assert found == {0: Deviation(1.0, 0.1), 10: Deviation(2.0, 0.2)}


def test_a_cluster_has_no_virial(tmp_path):
    path = tmp_path / "md.out"
    path.write_text(HEAD + row(0, 0.1, 1.0))
    assert read_deviations(path, periodic=False) == {0: Deviation(1.0, None)}


def test_a_torn_last_row_is_left_out_and_a_torn_middle_one_is_told(tmp_path):
    path = tmp_path / "md.out"
    path.write_text(HEAD + row(0, 0.1, 1.0) + row(10, 0.2, 2.0)[:40])
    assert list(read_deviations(path, periodic=True)) == [0]
    path.write_text(HEAD + "0 1.0 2.0\n" + row(10, 0.2, 2.0))
    with pytest.raises(ProgramFailed, match="3 columns, not 7"):
        read_deviations(path, periodic=True)


def test_without_a_file_nobody_watched(tmp_path):
    assert read_deviations(tmp_path / "md.out", periodic=True) == {}


def test_what_is_not_finite_stays_so(tmp_path):
    path = tmp_path / "md.out"
    path.write_text(HEAD + "0 nan nan nan -nan nan nan\n")
    assert np.isnan(read_deviations(path, periodic=True)[0].force)


def test_trace_rows_without_a_look_are_nan():
    trace = Trace("r", np.array([0.0, 5.0, 7.0]), (Quantity.TEMPERATURE,), np.full((3, 1), 300.0))
    found = {0: Deviation(0.1, 0.01), 10: Deviation(0.2, 0.02), 20: Deviation(9.0, 9.0)}
    watched = with_deviations(trace, [0, 10, 14], found)
    np.testing.assert_array_equal(watched.series(Quantity.MODEL_DEVIATION), [0.1, 0.2, np.nan])
    np.testing.assert_array_equal(watched.series(Quantity.VIRIAL_DEVIATION), [0.01, 0.02, np.nan])
    assert watched.series(Quantity.TEMPERATURE).tolist() == [300.0] * 3
    alone = with_deviations(trace, [0, 10, 14], {0: Deviation(0.1)})
    assert alone.series(Quantity.VIRIAL_DEVIATION) is None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_look_that_is_not_finite_is_told_apart_from_none(value):
    trace = Trace("r", np.array([0.0, 5.0, 10.0]), (Quantity.TEMPERATURE,), np.full((3, 1), 300.0))
    found = {0: Deviation(0.1, 0.01), 10: Deviation(value, value)}
    watched = with_deviations(trace, [0, 5, 10], found)
    for quantity, first in ((Quantity.MODEL_DEVIATION, 0.1), (Quantity.VIRIAL_DEVIATION, 0.01)):
        np.testing.assert_array_equal(watched.series(quantity), [first, np.nan, np.inf])

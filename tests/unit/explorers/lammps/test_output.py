import math

import numpy as np

from sis_engine.explorers.lammps.output import fired_rules, last_row, read_log

HEAD = """LAMMPS (22 Jul 2025)
SIS start
   Step          Temp          PotEng     v_sis_h0
         0   600   -1.5   {start}
Loop time of 1e-06 on 1 procs for 0 steps with 2 atoms
"""
DYNAMICS = """
SIS dynamics
   Step          Temp          PotEng
         0   600           -1.5
WARNING: something
        20   {temp}       -1.25
"""
HALTED = """Fix halt condition for fix-id sis_halt20 met on step 20 with value 0
Loop time of 1 on 1 procs for 20 steps with 2 atoms
SIS rule sis_h0 {value}
SIS rule sis_h1 -1.0000000000000001e+300
SIS end 20
"""


def test_rows_of_the_dynamics_are_read_and_nan_is_a_number():
    log = read_log(HEAD.format(start="-1e+300") + DYNAMICS.format(temp="-nan"), 3)
    assert log.began
    assert np.array_equal(log.rows[:, 0], [0, 20])
    assert math.isnan(log.rows[1, 1])
    assert log.end_step is None


def test_the_rule_that_fired_is_found_among_those_that_did_not():
    for value, check in (("812.5", lambda v: v == 812.5), ("nan", math.isnan)):
        log = read_log(
            HEAD.format(start="-1e+300") + DYNAMICS.format(temp=812.5) + HALTED.format(value=value),
            3,
        )
        assert log.halted_at == 20
        assert log.end_step == 20
        ((name, seen),) = fired_rules(log, ["sis_h0", "sis_h1"])
        assert name == "sis_h0"
        assert check(seen)


def test_a_start_that_was_refused_names_its_rule():
    log = read_log(HEAD.format(start="600") + "SIS refused 0\nTotal wall time: 0:00:00\n", 3)
    assert log.refused
    assert log.end_step == 0
    assert fired_rules(log, ["sis_h0"]) == [("sis_h0", 600.0)]


def test_the_words_of_an_error_are_kept():
    log = read_log(
        HEAD.format(start="-1e+300")
        + DYNAMICS.format(temp=1)
        + "ERROR on proc 0: Non-numeric atom coords - simulation unstable (src/domain.cpp:586)\n",
        3,
    )
    assert log.error == "Non-numeric atom coords - simulation unstable (src/domain.cpp:586)"
    assert log.end_step is None


MINIMISATION = """LAMMPS (22 Jul 2025)
   Step         PotEng          Fnorm           Fmax
         0  -2.75           0.5             0.25
SIS minimise
   Step         PotEng          Fnorm           Fmax
         0  -2.75           0.5             0.25
"""


def test_the_minimisation_has_begun_when_its_start_was_evaluated():
    words = "Non-numeric atom coords - simulation unstable"
    log = read_log(f"{MINIMISATION}ERROR on proc 0: {words} (src/domain.cpp:586)\n", 3)
    assert log.began
    assert log.error.startswith(words)
    assert log.end_step is None
    assert not len(log.rows)
    assert log.start == {}
    before = MINIMISATION.partition("SIS minimise")[0]
    assert not read_log(f"{before}ERROR: no such pair style\n", 3).began
    # its tables are not the start's
    whole = read_log(MINIMISATION + HEAD.format(start="812.5") + DYNAMICS.format(temp=1), 3)
    assert whole.start["v_sis_h0"] == 812.5
    assert whole.rows[:, 0].tolist() == [0, 20]


def test_a_half_written_last_line_is_not_a_row():
    assert last_row("        20  300.0 -1.25\n        40  29", 3) == [20.0, 300.0, -1.25]
    assert last_row("SIS dynamics\n", 3) is None


def test_a_later_round_begins_with_the_row_that_the_last_one_ended_with():
    table = "Step Temp PotEng\n{rows}\nLoop time of 1\n"
    rounds = ("0 1 5\n20 2 5", "20 2.0000001 5\n40 3 5")
    text = HEAD.format(start="-1e+300") + "SIS dynamics\n"
    log = read_log(text + "".join(table.format(rows=rows) for rows in rounds), 3)
    assert log.rows[:, 0].tolist() == [0, 20, 40]
    assert log.rows[1, 1] == 2.0

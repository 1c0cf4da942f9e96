"""The labeler's border: levels of theory, checks, input, the socket."""

from __future__ import annotations

import socket
import stat
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from labelers.espresso.channel import Channel, ChannelClosed, Conversation
from labelers.espresso.input import n_k_points, pw_input
from labelers.espresso.labeler import EspressoLabeler
from labelers.espresso.launch import Launcher
from labelers.espresso.pseudopotentials import pseudopotential
from sis_engine.errors import ConfigurationError, ProgramMissing, ProgramUnsuitable
from sis_engine.interfaces import Capability
from sis_engine.plugins import validated
from sis_engine.records import Frame, System
from tests.unit.labelers.espresso.recordings import FRAME, SYSTEM, playing


def labeler(folder: Path, **settings: object) -> EspressoLabeler:
    return playing(folder, ("good", 0, 1), **settings)


def fingerprint(given: EspressoLabeler, system: System = SYSTEM, **settings: object) -> str:
    changed = given.config.model_validate(given.config.model_dump() | settings)
    return EspressoLabeler(changed).level_of_theory(system).fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"cutoff_rydberg": 20.0, "density_cutoff_rydberg": 80.0},
        {"density_cutoff_rydberg": 80.0},
        {"k_spacing_per_angstrom": 0.2},
        {"smearing": {"width_ev": 0.2}},
        {"smearing": {"width_ev": 0.3, "kind": "cold"}},
        {"smearing": None},
        {"functional": "PBE"},
        {"scf": {"threshold_rydberg": 1e-6}},
        {"pseudopotentials": {"Al": "Al.upf", "Si": "Si.other.UPF"}},
    ],
)
def test_what_changes_a_label_is_in_the_level_of_theory(
    change: dict[str, object], tmp_path: Path
) -> None:
    given = labeler(tmp_path)
    assert fingerprint(given, **change) != fingerprint(given)


@pytest.mark.parametrize(
    "change",
    [
        {"ranks": 8, "threads_per_rank": 2, "pools": 2},
        {"scf": {"mixing_beta": 0.1, "diagonalisation": "cg", "max_iterations": 9}},
        {"silent_timeout_s": 9.0, "frame_timeout_s": 1.0},
        {"warm_start": False, "virial": False, "side_by_side": False},
        {"pseudopotentials": {"Al": "Al.upf", "Si": "Si.UPF", "Li": "Li.UPF"}},
        {"k_spacing_per_angstrom": 10.0},
    ],
)
def test_what_does_not_change_a_label_is_not(change: dict[str, object], tmp_path: Path) -> None:
    given = labeler(tmp_path)
    assert fingerprint(given, **change) == fingerprint(given)


def test_charge_spin_and_the_bytes_of_a_pseudopotential_are_part_of_the_level(
    tmp_path: Path,
) -> None:
    given = labeler(tmp_path)
    one = fingerprint(given)
    assert fingerprint(given, replace(SYSTEM, charge=1)) != one
    assert fingerprint(given, replace(SYSTEM, multiplicity=3)) != one
    other = tmp_path / "other"
    (tmp_path / "pseudo").rename(other)
    assert fingerprint(given, pseudo_dir=other) == one
    (other / "Al.upf").rename(other / "Al.old")
    (other / "Al.upf").write_text((other / "Al.old").read_text() + "\n")
    moved = tmp_path / "moved"
    other.rename(moved)
    assert fingerprint(given, pseudo_dir=moved) != one


def test_exactness_is_promised_only_where_it_is_kept(tmp_path: Path) -> None:
    given = labeler(tmp_path)
    assert "cold" in str(given.not_exact_because)
    cold = given.config.model_copy(update={"warm_start": False})
    assert EspressoLabeler(cold).not_exact_because is None
    many = cold.model_copy(update={"ranks": 2})
    assert "ranks" in str(EspressoLabeler(many).not_exact_because)


def test_capabilities_follow_from_the_settings(tmp_path: Path) -> None:
    given = labeler(tmp_path)
    assert given.capabilities == set(Capability) - {Capability.CHARGES}
    plain = given.config.model_copy(update={"virial": False, "side_by_side": False})
    left = EspressoLabeler(plain).capabilities
    assert left == {Capability.SINGLE_POINT, Capability.SEGMENT, Capability.OPTIMISE}


# --------------------------------------------------------------------------- checks


def test_a_good_system_passes(tmp_path: Path) -> None:
    labeler(tmp_path).check(SYSTEM)


@pytest.mark.parametrize(
    ("system", "settings", "words"),
    [
        (System("s", Frame(("Al",), np.zeros((1, 3)))), {}, "need a cell"),
        (replace(SYSTEM, charge=7), {}, "0 electrons are left"),
        (SYSTEM, {"smearing": None}, "7 electrons in fixed occupations"),
        (SYSTEM, {"pseudopotentials": {"Al": "Al.upf"}}, "no pseudopotential is named for Si"),
        (SYSTEM, {"pseudopotentials": {"Al": "Al.gone", "Si": "Si.UPF"}}, "Al.gone is missing"),
        (SYSTEM, {"pseudopotentials": {"Al": "Si.UPF", "Si": "Si.UPF"}}, "of Si, not of Al"),
    ],
)
def test_a_system_that_cannot_be_labelled_is_told_before_anything_runs(
    system: System, settings: dict[str, object], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        labeler(tmp_path, **settings).check(system)
    assert not list((tmp_path / "plays").iterdir())


def test_the_choice_of_pseudopotentials_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        labeler(tmp_path, pseudopotentials={"Al": "Al.upf", "Si": "x"}).check(SYSTEM)
    assert "Si.UPF, Si.other.UPF" in str(caught.value.allowed)


def test_headers_of_both_versions_of_upf_are_read(tmp_path: Path) -> None:
    config = labeler(tmp_path).config
    new, old = (pseudopotential(config, element) for element in ("Al", "Si"))
    assert (new.element, new.electrons, new.functional) == ("Al", 3.0, "SLA PZ NOGX NOGC")
    assert (old.element, old.electrons, old.functional) == ("Si", 4.0, "SLA PZ NOGX NOGC")
    assert len(new.sha256) == 64


def test_a_program_that_is_not_there_or_another_one_is_named(tmp_path: Path) -> None:
    given = labeler(tmp_path)
    gone = given.config.model_copy(update={"program": tmp_path / "none"})
    with pytest.raises(ProgramMissing, match="none"):
        _ = Launcher(gone).version
    (report,) = EspressoLabeler(gone).doctor()
    assert report.problem is not None
    assert report.mend is not None
    other = tmp_path / "other.x"
    other.write_text("#!/bin/sh\necho hello\n")
    other.chmod(0o755)
    with pytest.raises(ProgramUnsuitable, match="hello"):
        _ = Launcher(given.config.model_copy(update={"program": other})).version


def test_doctor_tells_version_and_pseudopotentials(tmp_path: Path) -> None:
    reports = {report.name: report for report in labeler(tmp_path).doctor()}
    assert reports["pw.x"].version == "6.7MaX"
    assert set(reports) == {"pw.x", "pseudopotentials"}
    missing = labeler_without_silicon(tmp_path).doctor()
    assert missing[1].problem is not None


def labeler_without_silicon(folder: Path) -> EspressoLabeler:
    (folder / "pseudo" / "Si.UPF").unlink()
    program = folder / "pw.x"
    settings = {
        "type": "espresso",
        "pseudopotentials": {"Si": "Si.UPF"},
        "pseudo_dir": folder / "pseudo",
        "cutoff_rydberg": 9.0,
        "program": program,
    }
    return EspressoLabeler(EspressoLabeler.Config.model_validate(settings))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"density_cutoff_rydberg": 30.0}, "below 4 times"),
        ({"pseudopotentials": {}}, "pseudopotentials"),
        ({"functional": "PBE' /"}, "functional"),
        ({"ecutwfc": 30}, "ecutwfc"),
    ],
)
def test_bad_settings_are_refused(change: dict[str, object], words: str) -> None:
    good = {"type": "espresso", "pseudopotentials": {"Li": "Li.UPF"}, "cutoff_rydberg": 20.0}
    with pytest.raises(ConfigurationError, match=words):
        validated(EspressoLabeler.Config, good | change, key="labeler")


# --------------------------------------------------------------------------- the input


def test_the_input_is_in_bohr_and_rydberg(tmp_path: Path) -> None:
    config = labeler(tmp_path, k_spacing_per_angstrom=0.2).config
    text = pw_input(config, config.scf, SYSTEM, FRAME)
    # 0.3 eV is 0.022050 Ry (13.605693 eV); 2.5 bohr were written as 2.5 * 0.529177 Å.
    values = dict(line.split(" = ") for line in text.splitlines() if " = " in line)
    assert float(values["  degauss"].replace("d", "e")) == pytest.approx(0.0220496, rel=1e-5)
    assert text.splitlines()[-1].startswith("Si 2.4999990")
    assert "  nosym = .true." in text
    assert "K_POINTS automatic\n2 2 2 0 0 0\n" in text
    assert "nspin" not in text
    triplet = pw_input(config, config.scf, replace(SYSTEM, multiplicity=3), FRAME)
    assert "  nspin = 2\n  tot_magnetization = 2" in triplet


def test_grids_are_the_systems_for_every_frame_and_gamma_has_real_wavefunctions(
    tmp_path: Path,
) -> None:
    """Phuthi: 0.02 is 15 points along a bcc Li axis; a strained frame keeps the grid."""
    config = labeler(tmp_path, k_spacing_per_angstrom=0.02).config
    cell = 3.44 * np.eye(3)
    frame = Frame(("Si", "Si"), np.array([[0.0, 0, 0], [1.72, 1.72, 1.72]]), cell, (True,) * 3)
    system = System("li", frame)
    wider = replace(frame, cell=1.1 * cell)
    assert "15 15 15 0 0 0" in pw_input(config, config.scf, system, wider)
    assert n_k_points(config, system) == (15**3 + 1) // 2
    plain = config.model_copy(update={"k_spacing_per_angstrom": None})
    assert "K_POINTS gamma" in pw_input(plain, plain.scf, system, frame)
    even = config.model_copy(update={"k_spacing_per_angstrom": 0.15})
    assert n_k_points(even, system) == 8 // 2 + 4


def test_ranks_share_out_k_points_first(tmp_path: Path) -> None:
    given = labeler(tmp_path, ranks=6, mpirun=tmp_path / "pw.x")

    def pools(n_k: int) -> str:
        run = given.launcher.run(tmp_path, 6, 1.0, tmp_path / "ipi_x", n_k)
        for path in run.remove:
            if path.is_dir():
                path.rmdir()
        arguments = run.arguments
        return arguments[arguments.index("-nk") + 1]

    assert [pools(n) for n in (1, 2, 4, 63)] == ["1", "2", "3", "6"]


# --------------------------------------------------------------------------- the socket


def test_what_is_said_over_the_socket_is_what_ases_own_client_understands() -> None:
    """ASE's i-PI client, with a potential of its own: cells, units and signs as ours."""
    from ase import Atoms
    from ase.calculators.lj import LennardJones
    from ase.calculators.socketio import SocketClient

    rng = np.random.default_rng(0)
    cell = 6.0 * np.eye(3) + rng.normal(scale=0.3, size=(3, 3))
    frame = Frame(("Ar",) * 4, rng.uniform(0, 6, (4, 3)), cell, (True,) * 3)
    atoms = Atoms(frame.species, frame.positions, cell=cell, pbc=True)
    atoms.calc = LennardJones(sigma=2.0, rc=2.9)
    channel = Channel.open()
    mode = stat.S_IMODE(channel.path.stat().st_mode)
    theirs = Atoms("Ar4", positions=np.zeros((4, 3)), cell=np.eye(3), pbc=True)
    theirs.calc = LennardJones(sigma=2.0, rc=2.9)

    def answer() -> None:
        client = SocketClient(unixsocket=channel.path.name.removeprefix("ipi_"))
        client.run(theirs, use_stress=True)
        client.close()

    thread = threading.Thread(target=answer)
    thread.start()
    talk = Conversation.accepted(channel, lambda: None)
    label = talk.label(frame, with_virial=True)
    talk.end()
    talk.close()
    thread.join()
    channel.close()
    assert mode == 0o600
    assert not channel.path.exists()
    assert label.energy == pytest.approx(atoms.get_potential_energy(), rel=1e-7)
    assert label.forces == pytest.approx(atoms.get_forces(), rel=1e-6)
    assert label.virial is not None
    stress = -label.virial / atoms.get_volume()
    assert stress == pytest.approx(atoms.get_stress(voigt=False), rel=1e-6)


def test_a_program_that_hangs_up_or_talks_nonsense_gives_no_label() -> None:
    here, there = socket.socketpair()
    with here, there:
        talk = Conversation(here, lambda: None)
        there.sendall(b"HELLO".ljust(12))
        there.sendall(b"HAVEDATA".ljust(12))
        there.sendall(b"GOODBYE".ljust(12))
        with pytest.raises(ChannelClosed, match="'GOODBYE' in place of 'FORCEREADY'"):
            talk.label(FRAME, with_virial=True)
        there.close()
        with pytest.raises(ChannelClosed):
            talk.label(FRAME, with_virial=True)

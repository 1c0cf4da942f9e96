"""The DeePMD trainer without DeePMD: its input, data, curve, and configuration."""

import json
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list

from sis_engine.errors import ConfigurationError, TornFile
from sis_engine.plugins import validated
from sis_engine.records import DatasetPart, FrameSet, ModelFile, ModelForm, Split, TrainingSchedule
from sis_engine.testing.trainer_contract import example_dataset
from trainers.deepmd import data, files
from trainers.deepmd.config import DeepmdConfig
from trainers.deepmd.input import DataFolders, choose_sel, phases
from trainers.deepmd.output import diverged, read_curve, read_curves
from trainers.deepmd.session import Settings, environment
from trainers.deepmd.zbl import write_table, zbl_energy

ELEMENTS = ("H", "O")
ADAM = {"type": "adam"}
SCHEDULE = TrainingSchedule(200, 1e-3, 1e-5, (0.02, 1.0), (1000.0, 1.0), (0.1, 0.2), seed=2**40)


def systems(dataset=None):
    return data.systems_of((dataset or example_dataset()).of(Split.TRAINING), ELEMENTS, 4.0)


def test_a_virial_that_is_missing_is_no_file_and_not_zeros(tmp_path):
    solid, cluster = systems()
    for name, system in (("solid", solid), ("cluster", cluster)):
        data.write_system(system, tmp_path / name, ELEMENTS, masked=False)
    assert (tmp_path / "solid/set.000/virial.npy").is_file()
    assert not (tmp_path / "cluster/set.000/virial.npy").exists()
    assert (tmp_path / "cluster/nopbc").is_file()
    assert not (tmp_path / "solid/nopbc").exists()


def test_data_on_disk_are_the_frames_bit_by_bit(tmp_path):
    dataset = example_dataset()
    data.write_system(systems(dataset)[0], tmp_path / "s", ELEMENTS, masked=True)
    frames = dataset.parts[0].frames
    coord = np.load(tmp_path / "s/set.000/coord.npy")
    assert coord.dtype == np.float64
    np.testing.assert_array_equal(coord.reshape(frames.positions.shape), frames.positions)
    types = np.loadtxt(tmp_path / "s/type.raw", dtype=int)
    assert [ELEMENTS[kind] for kind in types] == list(frames.species)
    assert np.load(tmp_path / "s/set.000/atom_pref.npy").shape == (frames.n_frames, frames.n_atoms)


def test_force_weights_leave_masked_atoms_out_and_keep_the_mean():
    weights = data.force_weights(np.array([1.0, 0.0, 1.0, 1.0]))
    np.testing.assert_allclose(weights, [4 / 3, 0.0, 4 / 3, 4 / 3])
    assert data.force_weights(np.ones(3)) is None


def test_parts_of_the_same_kind_share_a_system_unless_their_weights_differ():
    parts = example_dataset().of(Split.TRAINING)
    merged = data.systems_of((*parts, *parts), ELEMENTS, 4.0)
    assert [item.n_frames for item in merged] == [40, 40]
    weighted = data.systems_of((*parts, *(replace(p, weight=0.5) for p in parts)), ELEMENTS, 4.0)
    assert [item.n_frames for item in weighted] == [20] * 4
    assert data.probabilities(weighted, 5) == pytest.approx([1 / 3, 1 / 3, 1 / 6, 1 / 6])


def test_neighbours_are_counted_as_ase_counts_them_with_images():
    solid = systems()[0]
    per_element, together = data.neighbour_counts([solid], ELEMENTS, 4.0)
    seen = []
    for positions in solid.positions:
        atoms = Atoms([ELEMENTS[k] for k in solid.types], positions, cell=solid.boxes[0], pbc=True)
        i, j = neighbor_list("ij", atoms, 4.0)
        kinds = np.array(solid.types)[j]
        seen.append([np.bincount(i[kinds == k], minlength=8) for k in (0, 1)])
    counts = np.array(seen)
    assert per_element == tuple(counts.max(axis=(0, 2)))
    assert together == counts.sum(axis=1).max()


def test_an_open_direction_gets_a_gap_that_no_atom_sees_across():
    frames = example_dataset().parts[0].frames
    slab = replace(frames, pbc=(True, True, False))
    boxes = data.boxes_of(slab, 4.0)
    heights = [np.ptp(positions[:, 2]) for positions in slab.positions]
    assert np.all(boxes[:, 2, 2] >= np.array(heights) + 4.0)
    np.testing.assert_array_equal(boxes[:, :2], frames.cells[:, :2])
    assert data.boxes_of(replace(frames, pbc=(False,) * 3), 4.0) is None


def test_a_sel_below_the_neighbours_in_the_data_is_an_error_that_names_them():
    config = DeepmdConfig(sel=3, cutoff_angstrom=4.0)
    with pytest.raises(ConfigurationError, match=r"sel \[3\] is below the neighbours in the data"):
        choose_sel(config, systems(), ELEMENTS)


def test_sel_of_a_cluster_is_its_other_atoms_and_of_a_solid_has_a_margin():
    solid, cluster = systems()
    config = DeepmdConfig(cutoff_angstrom=4.0, sel_margin=1.5)
    assert choose_sel(config, [cluster], ELEMENTS) == (7,)
    (sel,) = choose_sel(config, [solid], ELEMENTS)
    assert sel >= 1.5 * data.neighbour_counts([solid], ELEMENTS, 4.0)[1]
    per_element = choose_sel(
        DeepmdConfig(descriptor={"type": "se_e2_a"}, cutoff_angstrom=4.0), [cluster], ELEMENTS
    )
    assert per_element == (4, 4)


def folders(tmp_path, *, masked=False):
    return DataFolders((tmp_path,), (), (1.0,), masked)


def test_the_input_has_the_schedule_the_seed_and_extra_last(tmp_path):
    config = DeepmdConfig(
        optimizer=ADAM, extra={"training": {"disp_freq": 7}, "loss": {"use_huber": True}}
    )
    (phase,) = phases(config, ELEMENTS, (24,), SCHEDULE, folders(tmp_path))
    given = phase.input
    assert given["training"]["numb_steps"] == 200
    assert given["training"]["disp_freq"] == 7
    assert given["loss"]["use_huber"] is True
    assert given["loss"]["start_pref_f"] == 1000.0
    assert given["loss"]["limit_pref_v"] == 0.2
    seeds = (given["training"]["seed"], given["model"]["descriptor"]["seed"])
    assert seeds == (SCHEDULE.seed % 2**31,) * 2
    assert given["model"]["descriptor"]["set_davg_zero"] is True
    json.dumps(given)


def test_masked_data_use_the_force_term_with_prefactors_per_atom(tmp_path):
    (phase,) = phases(
        DeepmdConfig(optimizer=ADAM), ELEMENTS, (24,), SCHEDULE, folders(tmp_path, masked=True)
    )
    assert phase.input["loss"]["start_pref_pf"] == 1000.0
    assert phase.input["loss"]["start_pref_f"] == 0.0


def test_the_kalman_filter_is_followed_by_a_polish(tmp_path):
    config = DeepmdConfig(optimizer={"type": "lkf", "steps_ratio": 0.5, "polish_steps": 30})
    kalman, polish = phases(config, ELEMENTS, (24,), SCHEDULE, folders(tmp_path))
    assert (kalman.steps, polish.steps) == (100, 30)
    assert kalman.input["optimizer"]["type"] == "LKF"
    assert "optimizer" not in polish.input


@pytest.mark.parametrize(("virial", "names"), [(0.0, ["kalman"]), (0.02, ["kalman", "polish"])])
def test_adam_polishes_where_virials_are_asked_for(tmp_path, virial, names):
    config = DeepmdConfig(optimizer={"type": "lkf"})
    schedule = replace(SCHEDULE, virial_prefactor=(virial, virial))
    planned = phases(config, ELEMENTS, (24,), schedule, folders(tmp_path))
    assert [phase.name for phase in planned] == names


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cutof_angstrom": 4.0}, "did you mean 'cutoff_angstrom'"),
        ({"cutoff_angstrom": 0.4}, "must be below"),
        ({"descriptor": {"type": "dpa1", "attn_layer": 2}, "compress": True}, "compress: true"),
        ({"descriptor": {"type": "se_e2_a"}, "sel": 40}, "one sel per element"),
        ({"sel": [4, 4]}, "one sel for all"),
        ({"zbl": {}, "descriptor": {"type": "se_e3"}}, "zbl needs the dpa1"),
        ({"backend": "pt-expt", "optimizer": {"type": "lkf"}}, "pt-expt has neither"),
        ({"precision": "half"}, "float64"),
    ],
)
def test_a_bad_configuration_says_what_is_wrong(given, message):
    with pytest.raises(ConfigurationError, match=message):
        validated(DeepmdConfig, {"type": "deepmd", **given}, key="trainer")


CURVE = """# step    rmse_val   rmse_trn  rmse_e_val rmse_e_trn  rmse_f_val  rmse_f_trn   lr
# If there is no available reference data, rmse_*_{val,trn} will print nan
      1      1.0e+01      1.1e+01      2.0e-01      3.0e-01      4.0e-01      5.0e-01    1.0e-03
     10      1.0e+01      1.1e+01      2.0e-02      3.0e-02      4.0e-02      5.0e-02    1.0e-04
     20      1.0e+01      1.1"""


def test_the_learning_curve_is_read_and_a_torn_line_left_out(tmp_path):
    path = tmp_path / "lcurve.out"
    path.write_text(CURVE)
    curve = read_curve(path)
    np.testing.assert_array_equal(curve.step, [1, 10])
    np.testing.assert_array_equal(curve.force_rmse_training, [0.5, 0.05])
    np.testing.assert_array_equal(curve.energy_rmse_validation, [0.2, 0.02])
    both = read_curves([path, path], [20, 20])
    np.testing.assert_array_equal(both.step, [1, 10, 21, 30])
    assert len(read_curve(tmp_path / "nothing").step) == 0


def test_divergence_is_nan_or_beyond_the_limit(tmp_path):
    path = tmp_path / "lcurve.out"
    path.write_text(CURVE)
    curve = read_curve(path)
    assert diverged(curve, 1.0) is None
    assert "above 0.01" in diverged(curve, 0.01)
    last = int(curve.step[-1])
    assert diverged(curve, 0.01, settle_steps=last + 1) is None, "an overshoot is given its time"
    assert "above 0.01" in diverged(curve, 0.01, settle_steps=last)
    broken = replace(curve, energy_rmse_training=np.array([0.3, np.nan]))
    assert "nan" in diverged(broken, 1.0)


def test_zbl_of_two_protons_is_the_value_worked_by_hand():
    # a = 0.8854*0.52918/2 = 0.23427 Å; at r = a: 14.3996/0.23427 eV times phi(1)
    phi = 0.18175 * np.exp(-3.1998) + 0.50986 * np.exp(-0.94229) + 0.28022 * np.exp(-0.4029)
    phi += 0.02817 * np.exp(-0.20162)
    value = zbl_energy(1, 1, np.array([0.234268]))[0]
    assert value == pytest.approx(14.39964 / 0.234268 * phi, rel=1e-4)


def test_the_pair_table_has_a_column_for_each_pair(tmp_path):
    write_table(tmp_path / "zbl", ("H", "O", "Li"), 1.0, step_angstrom=0.1)
    table = np.loadtxt(tmp_path / "zbl")
    assert table.shape == (10, 1 + 6)
    assert np.all(np.diff(table[:, 0]) > 0.0)
    assert table[0, 1] == pytest.approx(zbl_energy(1, 1, np.array([0.1]))[0])


def test_a_model_file_that_was_changed_is_not_loaded(tmp_path):
    path = tmp_path / "frozen.pth"
    path.write_bytes(b"weights")
    file = ModelFile(ModelForm.FROZEN, path, files.sha256_of(path))
    assert files.verified(file) == path
    path.write_bytes(b"weightz")
    with pytest.raises(TornFile, match="models are code"):
        files.verified(file)


def test_an_attempt_gets_a_fresh_folder(tmp_path):
    names = [files.fresh_folder(tmp_path, "training").name for _ in range(3)]
    assert names == ["training", "training-2", "training-3"]


def test_threads_of_the_worker_are_fixed():
    settings = Settings(tmp_path := __file__, 2, True, 1.0, 1.0, 1.0)
    assert tmp_path
    given = environment(settings)
    assert given["OMP_NUM_THREADS"] == given["DP_INTRA_OP_PARALLELISM_THREADS"] == "2"
    assert given["CUDA_VISIBLE_DEVICES"] == ""


def test_balanced_elements_weigh_the_inverse_mean_square_of_their_forces():
    frames = FrameSet(
        system="ab",
        species=("Li", "O", "O"),
        pbc=(False, False, False),
        positions=np.zeros((1, 3, 3)),
        cells=None,
        energies=np.zeros(1),
        forces=np.array([[[1.0, 1.0, 1.0], [2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]]),
    )
    part = DatasetPart("p", Split.TRAINING, 0, frames)
    (found,) = data.balanced([part])
    # Mean squares: all (1 + 4 + 4) / 3 = 3, Li 1, O 4.
    assert found.frames.force_mask == pytest.approx([3.0, 0.75, 0.75])


def test_balancing_keeps_masked_atoms_masked():
    dataset = example_dataset()
    part = replace(
        dataset.parts[0],
        frames=replace(
            dataset.parts[0].frames,
            force_mask=np.arange(dataset.parts[0].frames.n_atoms, dtype=float).clip(0.0, 1.0),
        ),
    )
    (found,) = data.balanced([part])
    assert found.frames.force_mask[0] == 0.0
    assert (found.frames.force_mask[1:] > 0.0).all()

import numpy as np
import pytest
from people import BROKEN, TRAIN

from sensegen_utils.judge import contenders
from sensegen_utils.judge.contenders import block_bootstrap, sample_var, var_nll
from sensegen_utils.model.whitening import fit_predictors
from sensegen_utils.profiles import PROFILES
from tests.conftest import defined_in

RNG = np.random.default_rng(0)


def walks(count, steps=64):
    """Two channels of an autoregression of order 1, and for activity 2 the same upside down and ten times."""
    noise, x = RNG.normal(size=(count, steps + 100, 2)), np.zeros((count, steps + 100, 2))
    for t in range(1, steps + 100):
        x[:, t] = x[:, t - 1] @ [[0.8, 0.1], [0.0, -0.5]] + noise[:, t]
    return x[:, 100:]


WINDOWS = np.concatenate([walks(300), -10 * walks(300) + 5])
LABELS = np.repeat([1, 2], 300)
MODEL = {name: fit_predictors(WINDOWS[name == LABELS], 3) for name in np.unique(LABELS).tolist()}


def test_var_draws_what_it_was_fitted_to():
    drawn, labels = sample_var(MODEL, {1: 400, 2: 300}, 64, seed=0)
    assert drawn.shape == (700, 64, 2) and drawn.dtype == np.float32
    assert (labels == np.repeat([1, 2], [400, 300])).all()
    for label in (1, 2):
        real, fake = WINDOWS[label == LABELS], drawn[label == labels]
        np.testing.assert_allclose(fake.mean((0, 1)), real.mean((0, 1)), atol=0.15 * real.std())
        for lag in (0, 1, 4):  # from the first step on: there is no burn-in
            ours, theirs = (
                np.einsum("nti,ntj->ij", x[:, lag:], x[:, : 64 - lag]) / x[:, lag:].size
                for x in (fake - real.mean((0, 1)), real - real.mean((0, 1)))
            )
            np.testing.assert_allclose(ours, theirs, atol=0.08 * real.var())


def test_var_knows_its_own_kind_from_the_other():
    held_out = walks(100)
    # The entropy of a step of the process: its innovations are two standard normals.
    assert var_nll(MODEL, held_out, np.full(100, 1))[:, 3:].mean() == pytest.approx(2.838, abs=0.05)
    assert var_nll(MODEL, held_out, np.full(100, 2)).mean() > 5


def test_var_draws_again_with_the_seed_and_refuses_an_unknown_activity():
    first, second, other = (sample_var(MODEL, {2: 5}, 20, seed)[0] for seed in (1, 1, 2))
    assert (first == second).all() and (first != other).any()
    with pytest.raises(ValueError, match=r"nothing was fitted to the label 3; there are \[1, 2\]"):
        sample_var(MODEL, {3: 5}, 20, 0)


def test_bootstrap_takes_blocks_of_one_activity_and_one_volunteer():
    subject = np.tile([7, 8, 9], 200)
    # Values that say where they come from: window and step.
    marked = (np.arange(600)[:, None] * 1000 + np.arange(64)).astype(np.float32)[:, :, None]
    drawn, labels = block_bootstrap(marked, LABELS, subject, {1: 40, 2: 60}, seed=0, steps=100, block=16)
    assert drawn.shape == (100, 100, 1) and (labels == np.repeat([1, 2], [40, 60])).all()
    window, step = np.divmod(drawn[:, :, 0], 1000)
    assert (LABELS[window.astype(int)] == labels[:, None]).all()
    assert (np.ptp(subject[window.astype(int)], axis=1) == 0).all()
    assert len(np.unique(subject[window.astype(int)])) == 3
    seams = (np.diff(window) != 0) | (np.diff(step) != 1)
    assert (seams.sum(axis=1) <= 7).all() and len(np.unique(seams.argmax(axis=1))) > 10
    again, _ = block_bootstrap(marked, LABELS, subject, {1: 40, 2: 60}, seed=0, steps=100, block=16)
    assert (again == drawn).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"counts": {3: 1}}, r"no windows of activity 3; there are \[1, 2\]"),
        ({"block": 65}, "1 to 64 values"),
    ],
)
def test_bootstrap_refuses_what_it_cannot_do(options, message):
    with pytest.raises(ValueError, match=message):
        block_bootstrap(WINDOWS, LABELS, LABELS, **{"counts": {1: 1}, "seed": 0} | options)


def test_broken_generators_have_labels_and_are_drawn_by_seed():
    counts = {5: 30, 1: 20}
    for name, generate in contenders.BROKEN.items():
        windows, activity = generate(*TRAIN, counts, seed=3)
        assert windows.shape == (50, 128, 6) and windows.dtype == np.float32
        assert activity.tolist() == 30 * [5] + 20 * [1]
        np.testing.assert_array_equal(windows, generate(*TRAIN, counts, seed=3)[0])
        assert name == "class mean" or (windows != generate(*TRAIN, counts, seed=4)[0]).any()
        assert len(generate(*TRAIN, {1: 500})[0]) == 500  # more than there are real ones
    copies, _ = contenders.copy_of_training(*TRAIN, {5: 70, 1: 20})
    assert len(np.unique(copies, axis=0)) == 90  # each once
    assert {*map(bytes, copies[:70])} == {*map(bytes, TRAIN[0][TRAIN[1] == 5])}
    mean, activity = BROKEN["class mean"]
    np.testing.assert_allclose(mean[activity == 5][7], TRAIN[0][TRAIN[1] == 5].mean(axis=0), rtol=1e-5)
    noise, _ = BROKEN["white noise"]
    np.testing.assert_allclose(noise.std(axis=(0, 1)), TRAIN[0].std(axis=(0, 1)), rtol=0.02)


def test_real_windows_are_of_the_right_volunteers_and_no_more_than_asked_for():
    subject, marks = np.repeat([1, 2, 3], 20), np.arange(60.0)
    part = {"signals": {"x": np.tile(marks[:, None], 128)}, "activity": subject + 3, "subject": subject}
    groups = {"train": (1,), "validation": (3,), "test": (2,)}
    har = {"train": part, "test": part}
    real = contenders.real_windows(har, groups, ["x", "x"], {"train": 25, "test": None}, seed=0)
    assert real["train"]["x"].shape == (25, 128, 2) and real["test"]["x"].shape == (20, 128, 2)
    for part, who in (("train", {1, 3}), ("test", {2})):
        rows = real[part]["x"][:, 0, 0].astype(int)
        assert (np.diff(rows) > 0).all() and set(real[part]["subject"]) == who
        assert (real[part]["subject"] == subject[rows]).all() and (real[part]["y"] == subject[rows] + 3).all()


def test_halves_share_no_volunteer_and_are_equally_large():
    subject = np.repeat([1, 2, 3, 4], [10, 20, 30, 40])
    first, second = contenders.halves(subject, seed=0)
    assert len(first) == len(second) and not {*subject[first]} & {*subject[second]}
    assert (np.diff(first) > 0).all() and (np.diff(second) > 0).all()
    assert any({*subject[contenders.halves(subject, seed)[0]]} != {*subject[first]} for seed in range(1, 5))


def test_contenders_are_drawn_by_name():
    known = {"x": WINDOWS, "y": LABELS, "subject": np.tile([7, 8, 9], 200)}
    expected = {
        "VAR": sample_var(MODEL, {1: 4, 2: 3}, 64, 5),
        "block bootstrap": block_bootstrap(WINDOWS, LABELS, known["subject"], {1: 4, 2: 3}, 5, steps=64),
        "class mean": contenders.class_mean(WINDOWS, LABELS, {1: 4, 2: 3}, 5),
    }
    for name, (windows, activity) in expected.items():
        drawn, labels = contenders.draw(name, known, {1: 4, 2: 3}, MODEL, 5)
        assert (drawn == windows).all() and (labels == activity).all() and len(drawn) == 7


def test_samples_of_packages_are_found_by_model_and_drawn_with_their_activities(tmp_path):
    path = tmp_path / "08_tsgm-vae-six-seed0.npz"
    codes = np.arange(9) % 6
    np.savez(path, test=np.tile(codes[:, None, None], (1, 128, 6)), test_activity=codes)
    np.savez(tmp_path / "08_tsgm-vae-one-seed0.npz")
    flow = tmp_path / "08_flow-matching-six-seed0.npz"
    np.savez(flow)
    assert contenders.package_files(tmp_path, "six") == {"flow matching": flow, "tsgm vae": path}
    windows, activity = contenders.draw_from_file(path, "test", {2: 2, 0: 1}, seed=0)
    assert windows.shape == (3, 128, 6) and windows.dtype == np.float32
    assert (windows[:, 0, 0] == activity).all() and activity.tolist() == [2, 2, 0]


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_name_contenders_that_there_are(name):
    assert set(PROFILES[name]["contenders"]) <= set(contenders.CONTENDERS)


def test_windows_stand_in_the_order_of_the_wanted_activities():
    wanted = np.array([3, 1, 2, 1])
    windows, activity = np.array([10, 11, 20, 30]), np.array([1, 1, 2, 3])
    assert contenders.in_order(windows, activity, wanted).tolist() == [30, 10, 20, 11]


def test_stand_ins_are_of_the_same_activity_and_serve_one_volunteer_only():
    subject, y = np.repeat(np.arange(6), 20), np.tile([1, 2], 60)
    known = {"x": np.stack([subject, y], axis=1), "y": y, "subject": subject}
    asked = {"y": np.tile([1, 2], 30), "subject": np.repeat([10, 11, 12], 20)}
    (stand_ins,) = defined_in("08c", "stand_ins", np=np)
    found = stand_ins(known, asked, seed=0)
    assert (found[:, 1] == asked["y"]).all()
    served = [set(found[asked["subject"] == who, 0]) for who in (10, 11, 12)]
    assert all(served) and sum(map(len, served)) == len(set.union(*served)) <= 6
    with pytest.raises(ValueError, match="have no window of activity 3"):
        stand_ins(known, asked | {"y": np.full(60, 3)}, seed=0)

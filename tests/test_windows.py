from itertools import islice

import keras
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from sensegen_utils.model import sampling
from sensegen_utils.model.generator import (
    build_generator,
    load_generator,
    save_generator,
    window_nll,
    window_pit,
)
from sensegen_utils.model.mixture import innovation_nll
from sensegen_utils.model.sampling import sample_windows
from sensegen_utils.model.training import fit_keeping_best, training_batches
from sensegen_utils.model.whitening import (
    first_sample_nll,
    fit_whitening,
    innovations,
    inputs_and_targets,
    log_volume,
)

pytestmark = pytest.mark.xdist_group("windows")
# XLA compiles the sampling for each generator and number of series at once: these tests have few of both.
ORDER, FLOOR = 3, [1e-3, 2e-3]


def process(count, steps, coefficient, mean):
    rng = np.random.default_rng([count, steps])
    x = np.zeros((count, steps + 50, 2))
    for t in range(1, steps + 50):
        x[:, t] = coefficient * x[:, t - 1] + rng.normal(size=(count, 2)) @ [[0.1, 0.0], [0.1, 0.2]]
    return (x[:, 50:] + mean).astype(np.float32)


WINDOWS = np.concatenate([process(200, 40, 0.9, 1.0), process(150, 40, -0.5, 3.0)])
LABEL = np.repeat([2, 5], [200, 150])


@pytest.fixture(scope="module")
def whitening():
    return fit_whitening(WINDOWS, LABEL, ORDER, FLOOR)


@pytest.fixture(scope="module")
def generator():
    keras.utils.set_random_seed(0)
    return build_generator(8, 1, channels=2, labels=2)


@pytest.fixture(scope="module")
def one_component(generator):
    """A function that makes the generator's copy, one object, such that one component is left of it.

    Its sigma is near exp(-sharpness), its last kernel the generator's times ``kernel``.
    """
    copy = keras.models.clone_model(generator)

    def change(sharpness, kernel):
        weights = generator.get_weights()
        weights[-2] = weights[-2] * kernel
        weights[-1] = np.concatenate([np.r_[50.0, np.zeros(23)], np.zeros(48), np.full(48, -sharpness)])
        copy.set_weights(weights)
        return copy

    return change


def test_inputs_are_the_past_and_targets_the_present(whitening):
    inputs, targets = inputs_and_targets(whitening, WINDOWS, LABEL)
    assert inputs.shape == (350, 39, 6) and targets.shape == (350, 39, 4)
    left = innovations(WINDOWS[200:], whitening["predictors"][5])
    np.testing.assert_array_equal(inputs[200:, :, :2], left[:, :-1])
    np.testing.assert_array_equal(targets[200:, :, :2], left[:, 1:])
    np.testing.assert_allclose(
        inputs[:, :, 2:4] * whitening["deviation"] + whitening["mean"], WINDOWS[:, :-1], atol=1e-5
    )
    np.testing.assert_array_equal(inputs[:200, :, 4:], np.broadcast_to([1, 0], (200, 39, 2)))
    deviations = np.diag(whitening["predictors"][5]["factors"][ORDER])
    np.testing.assert_allclose(targets[200:, 7, 2:] * deviations, np.tile(FLOOR, (150, 1)), rtol=1e-6)


def test_nll_is_that_of_a_mixture_of_gaussians():
    rng = np.random.default_rng(0)
    params, left, floor = rng.normal(size=24 * 5), rng.normal(size=2), np.array([0.1, 0.2])
    weights = params[:24] - logsumexp(params[:24])
    means, sigmas = params[24:72].reshape(24, 2), np.exp(params[72:].reshape(24, 2)) + floor
    expected = [
        multivariate_normal(m, np.diag(s**2)).logpdf(left) for m, s in zip(means, sigmas, strict=True)
    ]
    computed = innovation_nll(np.concatenate([left, floor])[None, None], params[None, None])
    assert float(computed[0, 0]) == pytest.approx(-logsumexp(weights + expected), rel=1e-6)


def test_nll_of_windows_is_in_their_own_units(whitening, generator):
    nll = window_nll(generator, whitening, WINDOWS, LABEL)
    assert nll.shape == (350, 40)
    inputs, targets = inputs_and_targets(whitening, WINDOWS[:1], LABEL[:1])
    volume = log_volume(whitening["predictors"][2], 40)[1:]
    expected = innovation_nll(targets, generator(inputs))[0] + volume
    np.testing.assert_allclose(nll[0, 1:], expected, rtol=1e-5)
    np.testing.assert_allclose(
        nll[:200, 0], first_sample_nll(whitening["first"][2], WINDOWS[:200, 0]), rtol=1e-5
    )
    tenfold = fit_whitening(10 * WINDOWS, LABEL, ORDER, np.multiply(10, FLOOR))
    np.testing.assert_allclose(
        window_nll(generator, tenfold, 10 * WINDOWS, LABEL), nll + 2 * np.log(10), rtol=1e-3, atol=1e-3
    )


def test_standard_normal_innovations_give_back_the_process(whitening, one_component):
    drawn, labels = sample_windows(one_component(0.0, kernel=0), whitening, {5: 300, 2: 400}, 40, seed=0)
    assert drawn.shape == (700, 40, 2) and drawn.dtype == np.float32
    assert (labels == np.repeat([5, 2], [300, 400])).all()
    for label in (2, 5):
        real, fake = WINDOWS[label == LABEL], drawn[label == labels]
        np.testing.assert_allclose(fake.mean((0, 1)), real.mean((0, 1)), atol=0.1)
        for step in (0, 1, 2, 10, 39):
            np.testing.assert_allclose(np.cov(fake[:, step].T), np.cov(real[:, step].T), atol=0.06)
        ours, theirs = (
            np.mean((x - x.mean((0, 1)))[:, 9:] * (x - x.mean((0, 1)))[:, :-9]) for x in (real, fake)
        )
        assert ours == pytest.approx(theirs, abs=0.03)


def test_a_block_of_steps_is_the_model_run_step_by_step(whitening, one_component):
    sharp = one_component(20.0, kernel=1)
    no_floor = whitening | {"floor": np.full(2, 1e-9)}
    real = WINDOWS[:3]
    continued, _ = sample_windows(sharp, no_floor, {2: 3}, 5, seed=0, prefix={2: real})
    whole = real
    for step in range(5):
        padded = np.concatenate([whole, np.zeros((3, 1, 2), np.float32)], axis=1)
        inputs, _ = inputs_and_targets(whitening, padded, LABEL[:3])
        mean = np.asarray(sharp(inputs))[:, -1, 24:26]
        predictors = whitening["predictors"][2]
        past = (whole[:, -ORDER:] - predictors["mean"]).reshape(3, -1)
        value = (
            past @ predictors["weights"][ORDER] + mean @ predictors["factors"][ORDER].T + predictors["mean"]
        )
        np.testing.assert_allclose(continued[:, step], value, atol=1e-4)
        whole = np.concatenate([whole, value[:, None].astype(np.float32)], axis=1)


def test_samples_depend_on_the_seed_alone(whitening, generator, monkeypatch):
    drawn, _ = sample_windows(generator, whitening, {2: 4}, 150, seed=1)
    np.testing.assert_array_equal(sample_windows(generator, whitening, {2: 4}, 70, seed=1)[0], drawn[:, :70])
    assert (sample_windows(generator, whitening, {2: 4}, 150, seed=2)[0] != drawn).mean() > 0.9
    monkeypatch.setattr(sampling, "SERIES_AT_ONCE", 4)
    blocks, _ = sample_windows(generator, whitening, {2: 10}, 10, seed=1)
    assert np.unique(blocks[:, 0, 0]).size == 10


def test_of_candidates_each_stays_with_its_share_of_the_odds(whitening, generator, monkeypatch):
    # A window that ends above the median is nine times as likely to be real as one that ends below.
    alone, _ = sample_windows(generator, whitening, {2: 3000}, 3, seed=0)
    middle = np.median(alone[:, 2, 0])

    def log_odds(windows, label):
        assert set(label.tolist()) <= {2, 5} and len(label) == len(windows)
        return np.log(9.0) * (windows[:, 2, 0] > middle)

    drawn, labels = sample_windows(
        generator, whitening, {2: 3000, 5: 7}, 3, seed=1, candidates=2, log_odds=log_odds
    )
    assert np.bincount(labels).tolist() == [0, 0, 3000, 0, 0, 7] and drawn.shape == (3007, 3, 2)
    # Of two: both above in 1/4, one in 1/2, of which 9/10 keep it.
    assert (drawn[:3000, 2, 0] > middle).mean() == pytest.approx(1 / 4 + 9 / 20, abs=0.03)
    again, _ = sample_windows(generator, whitening, {2: 10}, 3, seed=1, candidates=3, log_odds=log_odds)
    np.testing.assert_array_equal(
        again, sample_windows(generator, whitening, {2: 10}, 3, seed=1, candidates=3, log_odds=log_odds)[0]
    )
    monkeypatch.setattr(sampling, "SERIES_AT_ONCE", 4)  # 3 does not divide 4, and 5 is more than 4
    for candidates in (3, 5):
        best = lambda windows, label: 1e3 * windows[:, 2, 0]  # noqa: E731
        few, _ = sample_windows(generator, whitening, {2: 6}, 3, 1, candidates=candidates, log_odds=best)
        every, _ = sample_windows(generator, whitening, {2: 6 * candidates}, 3, 1)
        groups = every[:, 2, 0].reshape(6, candidates)
        np.testing.assert_array_equal(few[:, 2, 0], groups.max(axis=1))


def test_candidates_continue_their_prefix_and_go_to_a_file(whitening, generator, tmp_path):
    given = {2: WINDOWS[LABEL == 2][:5, :4]}
    how = {"prefix": given, "candidates": 4, "log_odds": lambda windows, label: windows[:, -1, 0]}
    drawn, _ = sample_windows(generator, whitening, {2: 5}, 6, seed=0, **how)
    path = sampling.sample_to_file(tmp_path / "drawn.npy", generator, {2: 5}, 6, 0, whitening, **how)
    np.testing.assert_array_equal(np.load(path), drawn)
    with pytest.raises(ValueError, match="sigma_floor does not go with a whitening"):
        sampling.sample_to_file(path, generator, {2: 5}, 6, 0, whitening, sigma_floor=0.1)
    plain, _ = sample_windows(
        generator, whitening, {2: 20}, 6, seed=0, prefix={2: given[2].repeat(4, axis=0)}
    )
    assert all((drawn[row] == plain[4 * row : 4 * row + 4]).all((1, 2)).any() for row in range(5))


def test_one_file_holds_all_that_it_takes(whitening, generator, tmp_path):
    path = tmp_path / "07.keras"
    save_generator(generator, whitening, path)
    loaded, its_whitening = load_generator(path)
    ours, theirs = (
        sample_windows(*pair, {2: 4}, 30, seed=0)[0]
        for pair in ((generator, whitening), (loaded, its_whitening))
    )
    np.testing.assert_array_equal(ours, theirs)
    generator.save(tmp_path / "bare.keras")
    assert load_generator(tmp_path / "bare.keras")[1] is None


def test_batches_of_an_epoch_do_not_depend_on_where_training_began(whitening):
    def draw(rng):
        rows = rng.integers(len(WINDOWS), size=50)
        return WINDOWS[rows], LABEL[rows]

    batches = list(islice(training_batches(whitening, draw, 20, seed=3), 6))
    assert [inputs.shape for inputs, _ in batches] == [(20, 39, 6)] * 6
    resumed = list(islice(training_batches(whitening, draw, 20, seed=3, first_epoch=2), 2))
    for ours, theirs in zip(batches[4:], resumed, strict=True):
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])
    first = inputs_and_targets(whitening, *draw(np.random.default_rng([3, 0])))[0]
    shown = np.concatenate([inputs for inputs, _ in batches[:2]])
    assert {row.tobytes() for row in shown} <= {row.tobytes() for row in first}
    with pytest.raises(ValueError, match="50 windows do not fill a batch of 51"):
        next(training_batches(whitening, draw, 51, seed=3))


def test_best_weights_that_are_gone_are_named(whitening, tmp_path):
    def fit():
        small = build_generator(4, 1, 2, channels=2, labels=2)
        small.compile(loss=innovation_nll)
        settings, few = {"batch": 20, "epochs": 1}, (WINDOWS[:40], LABEL[:40])
        return fit_keeping_best(small, whitening, lambda _: few, few, tmp_path / "g.keras", settings, 0, 2)

    assert fit()[0] == fit()[0] == 1
    (tmp_path / "g-best.keras").unlink()
    with pytest.raises(ValueError, match=r"g-best\.keras, the weights of the best epoch, is missing: run"):
        fit()


def test_pit_is_uniform_where_the_mixture_is_right_and_not_where_it_is_too_wide(
    whitening, generator, one_component
):
    drawn, labels = sample_windows(generator, whitening, {2: 500, 5: 500}, 40, seed=0)
    pit = window_pit(generator, whitening, drawn, labels)
    assert pit.shape == (1000, 40, 2)
    share = np.histogram(pit, bins=10, range=(0, 1))[0] / pit.size
    np.testing.assert_allclose(share, 0.1, atol=0.01)
    wide = window_pit(one_component(-1.0, kernel=0), whitening, WINDOWS, LABEL)
    assert np.histogram(wide, bins=10, range=(0, 1))[0][[0, -1]].max() < 0.02 * wide.size


def test_without_predictors_only_the_mean_is_taken_away(one_component):
    whitening = fit_whitening(WINDOWS, LABEL, 0, FLOOR)
    inputs, targets = inputs_and_targets(whitening, WINDOWS, LABEL)
    own = WINDOWS[LABEL == 5] - WINDOWS[LABEL == 5].mean((0, 1))
    inverse = np.linalg.inv(whitening["predictors"][5]["factors"][0])
    np.testing.assert_allclose(targets[LABEL == 5][:, :, :2], own[:, 1:] @ inverse.T, atol=1e-3)
    np.testing.assert_array_equal(inputs[:, 1:, :2], targets[:, :-1, :2])
    drawn, _ = sample_windows(one_component(0.0, kernel=0), whitening, {5: 300}, 40, seed=0)
    noise = (drawn - WINDOWS[LABEL == 5].mean((0, 1)))[:, 1:] @ inverse.T
    np.testing.assert_allclose(np.cov(noise.reshape(-1, 2).T), np.eye(2), atol=0.05)  # sigma is 1


@pytest.mark.parametrize("components", [1, 5])
def test_any_number_of_components(whitening, components):
    small = build_generator(4, 1, components, channels=2, labels=2)
    assert small.output_shape == (None, None, 5 * components)
    assert np.isfinite(window_nll(small, whitening, WINDOWS[:3], LABEL[:3])).all()
    assert sample_windows(small, whitening, {2: 2}, 5, seed=0)[0].shape == (2, 5, 2)


def test_clear_errors(whitening, generator, one_component):
    with pytest.raises(ValueError, match=r"nothing was fitted to the label 3; there are \[2, 5\]"):
        sample_windows(generator, whitening, {3: 1}, 5, seed=0)
    with pytest.raises(
        ValueError, match=r"prefix of label 2 must have shape \(2, steps, 2\), not \(1, 4, 2\)"
    ):
        sample_windows(generator, whitening, {2: 2}, 5, seed=0, prefix={2: np.zeros((1, 4, 2))})
    with pytest.raises(ValueError, match="candidates 0: give a whole number, at least 1"):
        sample_windows(generator, whitening, {2: 1}, 5, seed=0, candidates=0)
    with pytest.raises(ValueError, match="8 candidates and no log_odds: judge.two_sample.fit_log_odds makes"):
        sample_windows(generator, whitening, {2: 1}, 5, seed=0, candidates=8)
    with pytest.raises(ValueError, match="log_odds returned a value that is not finite"):
        sample_windows(
            generator,
            whitening,
            {2: 2},
            5,
            seed=0,
            candidates=2,
            log_odds=lambda x, label: np.full(4, np.nan),
        )
    broken = one_component(0.0, kernel=np.nan)
    with pytest.raises(FloatingPointError, match="in series 0 at step 1"):
        sample_windows(broken, whitening, {2: 3}, 5, seed=0)

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.signal import lfilter
from scipy.stats import multivariate_normal

from sensegen_utils.model.whitening import (
    draw_first_sample,
    first_sample_nll,
    first_sample_pit,
    fit_first_sample,
    fit_predictors,
    innovations,
    log_volume,
    restore,
)

RNG = np.random.default_rng(0)
FIRST, SECOND = np.array([[0.9, 0.2], [-0.3, 0.6]]), np.array([[-0.4, 0.0], [0.1, -0.2]])
MIX = np.array([[0.5, 0.0], [0.3, 0.2]])


def process(samples, mean=(3.0, -1.0)):
    """A vector autoregression of order 2 whose every parameter is known."""
    noise, values = RNG.normal(size=(samples + 100, 2)) @ MIX.T, np.zeros((samples + 100, 2))
    for t in range(2, len(values)):
        values[t] = FIRST @ values[t - 1] + SECOND @ values[t - 2] + noise[t]
    return values[100:] + mean


PIECES = [process(100_000), process(300), process(2)]
PREDICTORS = fit_predictors(PIECES, 4)


def test_known_parameters_are_found():
    earliest_first = PREDICTORS["weights"][4]
    np.testing.assert_allclose(earliest_first[-2:], FIRST.T, atol=0.03)
    np.testing.assert_allclose(earliest_first[-4:-2], SECOND.T, atol=0.03)
    np.testing.assert_allclose(earliest_first[:-4], 0, atol=0.03)
    np.testing.assert_allclose(PREDICTORS["factors"][4], MIX, atol=0.01)
    np.testing.assert_allclose(PREDICTORS["mean"], [3, -1], atol=0.1)


def test_innovations_are_white_at_every_position_of_a_window():
    windows = PIECES[0][: 400 * 50].reshape(400, 50, 2)
    left = innovations(windows, PREDICTORS)
    for t in (0, 1, 2, 10, 49):
        np.testing.assert_allclose(np.cov(left[:, t].T), np.eye(2), atol=0.25)
    assert abs(np.corrcoef(left[:, 20, 0], left[:, 21, 0])[0, 1]) < 0.15


def test_restore_is_the_inverse():
    windows = process(60 * 40).reshape(60, 40, 2).astype(np.float32)
    np.testing.assert_allclose(restore(innovations(windows, PREDICTORS), PREDICTORS), windows, atol=1e-5)


def test_likelihood_of_a_window_is_that_of_its_innovations_and_the_volume():
    windows = process(5 * 3).reshape(5, 3, 2)
    standard = 0.5 * innovations(windows, PREDICTORS).astype(float) ** 2 + 0.5 * np.log(2 * np.pi)
    ours = (standard.sum(axis=2) + log_volume(PREDICTORS, 3)).sum(axis=1)
    # The same predictors, as one Gaussian over the whole window.
    unit = innovations(np.concatenate([np.eye(6), np.zeros((1, 6))]).reshape(7, 3, 2), PREDICTORS)
    unit = unit.reshape(7, 6).astype(float)
    matrix = (unit[:6] - unit[6]).T  # innovations = matrix @ window + offset
    inverse = np.linalg.inv(matrix)
    joint = multivariate_normal(-inverse @ unit[6], inverse @ inverse.T)
    np.testing.assert_allclose(ours, -joint.logpdf(windows.reshape(5, 6)), rtol=1e-4)


def test_a_low_passed_signal_is_all_but_known():
    noise = RNG.normal(size=20_000)
    smooth = lfilter(np.ones(6) / 6, 1, lfilter(np.ones(4) / 4, 1, noise))[:, None]
    scale = fit_predictors([smooth], 24)["factors"][:, 0, 0]
    assert (np.diff(scale) <= 1e-9).all() and scale[24] < 0.2 * scale[0]
    white = restore(RNG.normal(size=(50, 400, 1)), fit_predictors([smooth], 24))
    assert white.std() == pytest.approx(smooth.std(), rel=0.1)


def test_too_short_pieces_are_refused():
    with pytest.raises(ValueError, match="no piece has more than 4 samples"):
        fit_predictors([np.zeros((4, 2))], 4)


LEVELS = np.array([[-1.0, 20.0], [0.0, 21.0], [1.0, 20.0]])  # three postures, between which nobody is
POSTURES = LEVELS[RNG.integers(3, size=300)][:, None] + RNG.normal(size=(300, 32, 2)) * [0.05, 0.2]


def test_windows_begin_where_real_ones_do():
    drawn = draw_first_sample(fit_first_sample(POSTURES), 3000, np.random.default_rng(1))
    distance = np.abs(drawn[:, None] - LEVELS) / [0.05, 0.2]
    assert (distance.max(axis=2).min(axis=1) < 4).mean() > 0.98
    shares = np.bincount(distance.max(axis=2).argmin(axis=1)) / 3000
    np.testing.assert_allclose(shares, 1 / 3, atol=0.08)


def test_the_density_integrates_to_one_and_its_integral_is_the_pit():
    mixture = fit_first_sample(POSTURES[:, :, :1])

    def density(x):
        return np.exp(-first_sample_nll(mixture, np.array([[x]])))[0]

    assert quad(density, -3, 3, limit=200)[0] == pytest.approx(1, abs=1e-6)
    below = first_sample_pit(mixture, np.array([[0.3]]))[0, 0]
    assert quad(density, -3, 0.3, limit=200)[0] == pytest.approx(below, abs=1e-6)


def test_units_only_shift_the_nll():
    nll = first_sample_nll(fit_first_sample(POSTURES), POSTURES[:, 0])
    milli = first_sample_nll(fit_first_sample(1000 * POSTURES), 1000 * POSTURES[:, 0])
    np.testing.assert_allclose(milli, nll + 2 * np.log(1000), rtol=1e-6)


def test_units_may_lie_far_apart():
    scale = np.array([3e-4, 300.0])
    nll = first_sample_nll(fit_first_sample(POSTURES), POSTURES[:, 0])
    far = first_sample_nll(fit_first_sample(scale * POSTURES), scale * POSTURES[:, 0])
    np.testing.assert_allclose(far, nll + np.log(scale).sum(), rtol=1e-6)
    alone = fit_predictors([piece * [1e-3, 0] + [0, 1] for piece in PIECES], 4)["factors"][-1][0, 0]
    beside = fit_predictors([piece * [1e-3, 1e3] for piece in PIECES], 4)["factors"][-1][0, 0]
    own = fit_predictors([piece * 1e-3 for piece in PIECES], 4)["factors"][-1][0, 0]
    # Without the other channel's past more is left: so a large one beside it is used, and does no harm.
    assert beside == pytest.approx(own, rel=1e-3) and alone > own


def test_a_channel_may_rest_in_all_windows_of_a_label():
    still = POSTURES * [1, 0]
    mixture = fit_first_sample(still, np.array([1e-3, 1e-3]))
    assert np.isfinite(first_sample_nll(mixture, still[:, 0])).all()
    drawn = draw_first_sample(mixture, 200, np.random.default_rng(0))
    assert np.abs(drawn[:, 1]).max() < 1e-3


def test_few_windows_get_few_components():
    assert fit_first_sample(POSTURES[:20])["weights"].shape == (1,)
    assert fit_first_sample(POSTURES[:64])["weights"].shape == (4,)
    assert fit_first_sample(POSTURES)["weights"].shape == (16,)


def test_pit_of_own_draws_is_uniform():
    mixture = fit_first_sample(POSTURES)
    pit = first_sample_pit(mixture, draw_first_sample(mixture, 5000, np.random.default_rng(2)))
    share = np.histogram(pit[:, 0], bins=10, range=(0, 1))[0] / 5000
    np.testing.assert_allclose(share, 0.1, atol=0.015)

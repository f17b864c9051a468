import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import multivariate_normal

from sensegen_utils.linear_prediction import fit_predictors, innovations, log_volume, restore

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

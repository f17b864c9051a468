import numpy as np
import pytest
from scipy.integrate import quad

from sensegen_utils.first_sample import (
    draw_first_sample,
    first_sample_nll,
    first_sample_pit,
    fit_first_sample,
)

RNG = np.random.default_rng(0)
LEVELS = np.array([[-1.0, 20.0], [0.0, 21.0], [1.0, 20.0]])  # three postures, between which nobody is
WINDOWS = LEVELS[RNG.integers(3, size=300)][:, None] + RNG.normal(size=(300, 32, 2)) * [0.05, 0.2]


def test_windows_begin_where_real_ones_do():
    drawn = draw_first_sample(fit_first_sample(WINDOWS), 3000, np.random.default_rng(1))
    distance = np.abs(drawn[:, None] - LEVELS) / [0.05, 0.2]
    assert (distance.max(axis=2).min(axis=1) < 4).mean() > 0.98
    shares = np.bincount(distance.max(axis=2).argmin(axis=1)) / 3000
    np.testing.assert_allclose(shares, 1 / 3, atol=0.08)


def test_the_density_integrates_to_one_and_its_integral_is_the_pit():
    mixture = fit_first_sample(WINDOWS[:, :, :1])

    def density(x):
        return np.exp(-first_sample_nll(mixture, np.array([[x]])))[0]

    assert quad(density, -3, 3, limit=200)[0] == pytest.approx(1, abs=1e-6)
    below = first_sample_pit(mixture, np.array([[0.3]]))[0, 0]
    assert quad(density, -3, 0.3, limit=200)[0] == pytest.approx(below, abs=1e-6)


def test_units_only_shift_the_nll():
    nll = first_sample_nll(fit_first_sample(WINDOWS), WINDOWS[:, 0])
    milli = first_sample_nll(fit_first_sample(1000 * WINDOWS), 1000 * WINDOWS[:, 0])
    np.testing.assert_allclose(milli, nll + 2 * np.log(1000), rtol=1e-6)


def test_few_windows_get_few_components():
    assert fit_first_sample(WINDOWS[:20])["weights"].shape == (1,)
    assert fit_first_sample(WINDOWS[:64])["weights"].shape == (4,)
    assert fit_first_sample(WINDOWS)["weights"].shape == (16,)


def test_pit_of_own_draws_is_uniform():
    mixture = fit_first_sample(WINDOWS)
    pit = first_sample_pit(mixture, draw_first_sample(mixture, 5000, np.random.default_rng(2)))
    share = np.histogram(pit[:, 0], bins=10, range=(0, 1))[0] / 5000
    np.testing.assert_allclose(share, 0.1, atol=0.015)

import functools
import os

import numpy as np
import pytest
from people import ALL, HELD_OUT, STEPS, TRAIN, check_distance, check_json_and_same_again
from scipy.signal import lfilter
from scipy.stats import norm

from ported import tsgbench
from sensegen_utils.data.uci_har import load_har
from sensegen_utils.judge import distances
from sensegen_utils.judge.checks import interval
from tests.conftest import defined_in

pytestmark = pytest.mark.xdist_group("distances")  # what these functions keep is of use for all tests
MMD = functools.cache(lambda who: distances.mmd(HELD_OUT[0], ALL[who][0]))
TSGBENCH = functools.cache(lambda who: tsgbench.differences(HELD_OUT[0], ALL[who][0]))
EMBEDDINGS = functools.cache(lambda: distances.embeddings(*TRAIN, None, epochs=4, kernels=504))
EMBEDDED = functools.cache(lambda name: EMBEDDINGS()[name](HELD_OUT[0]))
AMONG = functools.cache(lambda who: distances.precision_recall(HELD_OUT[0], ALL[who][0]))
COVERAGE = functools.cache(lambda who: distances.coverage_density(HELD_OUT[0], ALL[who][0]))


def frechet(name, who):
    return distances.frechet_distance(EMBEDDED(name), EMBEDDINGS()[name](ALL[who][0]))


# Against held-out windows: each number of each metric, 0 at best, and the broken generators it is blind to.
DISTANCES = {
    "mmd on windows": (lambda who: MMD(who)["windows"], {"shuffled time"}),
    "mmd on features": (lambda who: MMD(who)["features"], set()),
    "autocorrelation": (lambda who: distances.autocorrelation_distance(HELD_OUT[0], ALL[who][0]), set()),
    "MDD": (lambda who: TSGBENCH(who)["MDD"], {"shuffled time"}),
    "ACD": (lambda who: TSGBENCH(who)["ACD"], set()),
    "SD": (lambda who: TSGBENCH(who)["SD"], {"shuffled time"}),
    "KD": (lambda who: TSGBENCH(who)["KD"], {"shuffled time"}),
    "C-FID rocket": (lambda who: frechet("rocket", who), set()),
    "C-FID network": (lambda who: frechet("network", who), set()),
    "precision": (lambda who: 1 - AMONG(who)["precision"], set()),
    "recall": (lambda who: 1 - AMONG(who)["recall"], set()),
    "spectrum": (lambda who: distances.spectrum_distance(HELD_OUT[0], ALL[who][0])["mean"], set()),
    "wasserstein": (lambda who: distances.wasserstein(HELD_OUT[0], ALL[who][0])["mean"], {"shuffled time"}),
    "tails": (lambda who: distances.tail_distance(HELD_OUT[0], ALL[who][0])["mean"], {"shuffled time"}),
    "jerk": (lambda who: distances.jerk_distance(HELD_OUT[0], ALL[who][0])["mean"], set()),
    "frequency": (lambda who: distances.gait_distance(*HELD_OUT, *ALL[who])["frequency"], set()),
    "harmonics": (lambda who: distances.gait_distance(*HELD_OUT, *ALL[who])["harmonics"], set()),
    "gravity": (lambda who: distances.gravity_distance(*HELD_OUT, *ALL[who])["vector"], {"shuffled time"}),
    "norm": (lambda who: distances.gravity_distance(*HELD_OUT, *ALL[who])["norm"], {"shuffled time"}),
    "correlation": (
        lambda who: distances.cross_correlation_distance(HELD_OUT[0], ALL[who][0]),
        {"shuffled time"},
    ),
    "coverage": (lambda who: 1 - COVERAGE(who)["coverage"], set()),
    "density": (lambda who: abs(1 - COVERAGE(who)["density"]), set()),
}


@pytest.mark.parametrize("name", DISTANCES)
def test_a_metric_is_small_for_the_same_process_and_large_for_broken_generators(name):
    check_distance(*DISTANCES[name])


def test_all_results_are_json_and_the_same_again():
    def everything():
        real, generated = HELD_OUT[0][:60], TRAIN[0][:60]
        return [
            distances.mmd(real, generated, limit=40),
            distances.autocorrelation_distance(real, generated),
            tsgbench.differences(real, generated),
            distances.precision_recall(real, generated),
            distances.spectrum_distance(real, generated),
            distances.wasserstein(real, generated),
            distances.tail_distance(real, generated),
            distances.jerk_distance(real, generated),
            distances.gait_distance(real, HELD_OUT[1][:60], generated, TRAIN[1][:60]),
            distances.gravity_distance(real, HELD_OUT[1][:60], generated, TRAIN[1][:60]),
            distances.cross_correlation_distance(real, generated),
            distances.coverage_density(real, generated, limit=40),
            interval([1, 2, 4]),
        ]

    check_json_and_same_again(everything)


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        (np.zeros((5, 128)), r"shape \(5, 128\) instead of \(n, steps, channels\)"),
        (np.zeros((0, 128, 6)), "none of them 0"),
        (np.zeros((5, 100, 6)), "100 steps and 6 channels beside windows of 128 and 6"),
        (np.zeros((5, 128, 1)), "128 steps and 1 channels beside windows of 128 and 6"),
        (np.full((5, 128, 6), np.nan), "not finite: did the generator diverge"),
    ],
)
def test_windows_that_cannot_be_compared_are_refused(windows, message):
    every = (
        distances.mmd, distances.precision_recall,
        distances.autocorrelation_distance, distances.spectrum_distance, distances.wasserstein,
        distances.tail_distance, distances.jerk_distance, distances.cross_correlation_distance,
        distances.coverage_density,
    )  # fmt: skip
    for metric in every:
        with pytest.raises(ValueError, match=message):
            metric(TRAIN[0], windows)
    for metric in (distances.gait_distance, distances.gravity_distance):
        with pytest.raises(ValueError, match=message):
            metric(*TRAIN, windows, TRAIN[1][: len(windows)])
    with pytest.raises(ValueError, match="not finite|windows of shape"):
        tsgbench.differences(TRAIN[0], windows)


class TestKnownValues:
    def test_mmd_of_equal_distributions_is_zero_on_average(self):
        rng = np.random.default_rng(0)
        estimates = [distances._mmd(*rng.normal(size=(2, 100, 3))) for _ in range(40)]
        assert abs(np.mean(estimates)) < 3 * np.std(estimates) / np.sqrt(40)
        assert min(estimates) < 0 < max(estimates)

    def test_mmd_of_two_far_points_is_two_kernels(self):
        x = np.array([[0.0], [1.0]])
        assert distances._mmd(x, x + 1000) == pytest.approx(2 * np.exp(-0.5))

    def test_wasserstein_of_a_shift_is_the_shift(self):
        windows = TRAIN[0].astype(float)
        shifted = windows + 0.3 * windows.std(axis=(0, 1))
        found = distances.wasserstein(windows, shifted)
        assert len(found) == 7 and list(found.values()) == pytest.approx([0.3] * 7)
        twice = distances.wasserstein(windows, shifted, scale=2 * windows)
        assert list(twice.values()) == pytest.approx([0.15] * 7)

    def test_tails_of_a_wider_normal_distribution(self):
        windows = np.random.default_rng(0).normal(size=(2000, 128, 1))
        expected = np.abs(norm.ppf(distances.TAILS)).mean()
        assert distances.tail_distance(windows, 2 * windows)["mean"] == pytest.approx(expected, rel=0.02)

    def test_autocorrelation_of_an_ar1_process(self):
        noise = np.random.default_rng(0).normal(size=(100, 4000, 1))
        memory = lfilter([1], [1, -0.8], noise, axis=1)
        expected = (0.8 ** np.arange(1, 6)).mean()
        assert distances.autocorrelation_distance(noise, memory, lags=5) == pytest.approx(expected, abs=0.01)
        assert distances.autocorrelation_distance(noise, np.ones_like(noise), lags=5) < 0.01

    def test_tsgbench_differences_of_known_processes(self):
        rng = np.random.default_rng(0)
        noise = rng.normal(size=(100, 4000, 1))
        memory = lfilter([1], [1, -0.8], noise, axis=1)
        found = tsgbench.differences(noise, memory, lags=6)
        assert found["ACD"] == pytest.approx(np.linalg.norm(0.8 ** np.arange(1, 6)), abs=0.02)
        assert found["SD"] < 0.05 and found["KD"] < 0.05
        skewed = tsgbench.differences(noise, rng.exponential(size=noise.shape))
        assert skewed["SD"] == pytest.approx(2, abs=0.1) and skewed["KD"] == pytest.approx(6, abs=0.5)
        # All mass moves from one half of 50 bins to the other: the densities' mean difference is 2 on [0, 1].
        low = np.linspace(0, 0.499, 500)[:, None, None] * np.ones((1, 3, 1))
        ends = np.concatenate([low, np.ones((1, 3, 1))])
        assert tsgbench.differences(ends, 0.999 - low)["MDD"] == pytest.approx(2, abs=0.05)
        assert set(tsgbench.differences(noise[:, :9], noise[:, :9], lags=5).values()) == {0.0}

    def test_a_frozen_embedding_stays_as_it_is(self):
        def network(seed):
            known = TRAIN[0][:120], TRAIN[1][:120], np.arange(120) % 4
            return distances.embeddings(*known, epochs=1, kernels=84, seed=seed)["network"]

        first, x = network(0), HELD_OUT[0][:20]
        before = first(x)
        assert (network(1)(x) != before).any()
        np.testing.assert_array_equal(first(x), before)

    def test_frechet_distance_of_gaussians(self):
        x = np.random.default_rng(0).normal(size=(20_000, 3))
        assert distances.frechet_distance(x, x + [3, 0, 4]) == pytest.approx(25, rel=1e-6)
        assert distances.frechet_distance(x, 2 * x) == pytest.approx(3, rel=0.03)
        assert abs(distances.frechet_distance(x, x[::-1])) < 1e-9

    def test_twice_the_amplitude_is_6_decibel_and_gravity_is_not_seen(self):
        windows = TRAIN[0].astype(float)
        found = distances.spectrum_distance(windows, 2 * windows + 5, floor=1e-30)
        assert list(found.values()) == pytest.approx([20 * np.log10(2)] * 7)

    def test_power_below_the_floor_is_not_told_apart(self):
        quiet = 1e-5 * np.random.default_rng(0).normal(size=(10, 128, 1))
        assert distances.spectrum_distance(quiet, 0 * quiet)["mean"] == 0

    def test_jerk_of_twice_the_speed(self):
        ramp = np.random.default_rng(0).normal(size=(50, 128, 1)).cumsum(axis=1)
        expected = np.sqrt(2 / np.pi)
        assert distances.jerk_distance(ramp, 2 * ramp)["mean"] == pytest.approx(expected, rel=0.03)

    def test_gait_finds_frequency_and_harmonics(self):
        angle = 2 * np.pi * 1.7 * STEPS / 50 + np.random.default_rng(0).random((20, 1)) * 2 * np.pi
        walk = (np.cos(angle) + 0.5 * np.cos(2 * angle))[:, :, None]
        peak, shares = distances.gait(walk)
        np.testing.assert_allclose(peak, 1.7, atol=0.05)
        np.testing.assert_allclose(shares[:, 1] / shares[:, 0], 0.25, atol=0.05)
        assert (shares.sum(axis=1) > 0.85).all() and shares[:, 2].max() < 0.01
        upright = np.concatenate([1 + 0.2 * walk, np.zeros((20, 128, 2))], axis=2)
        np.testing.assert_allclose(distances.gait(upright)[0], peak)  # of the norm
        still, shares = distances.gait(np.zeros((3, 128, 6)))
        assert np.isfinite(still).all() and (shares == 0).all()

    def test_gait_distance_is_the_difference_of_two_frequencies(self):
        slow, fast = (np.sin(2 * np.pi * rate * STEPS / 50)[None, :, None] for rate in (1.5, 2.0))
        found = distances.gait_distance(slow, [2], fast, [2], walking=[2])
        assert found["frequency"] == found["frequency 2"] == pytest.approx(0.5, abs=0.05)
        with pytest.raises(ValueError, match="the generated windows hold none of activity 2"):
            distances.gait_distance(slow, [2], fast, [1], walking=[2])
        with pytest.raises(ValueError, match="2 labels for 1 windows"):
            distances.gait_distance(slow, [2, 2], fast, [2], walking=[2])

    def test_gravity_of_a_shift(self):
        moved = TRAIN[0] + np.float32([0.3, 0, 0, 0, 0, 0])
        assert distances.gravity_distance(*TRAIN, moved, TRAIN[1])["vector"] == pytest.approx(0.1, rel=1e-3)
        swapped = 7 - TRAIN[1]  # every posture is there, under another label
        assert distances.gravity_distance(*TRAIN, TRAIN[0], swapped)["vector"] > 0.1
        with pytest.raises(ValueError, match="2 channels are too few"):
            distances.gravity_distance(TRAIN[0][:, :, :2], TRAIN[1], moved[:, :, :2], TRAIN[1])

    def test_cross_correlation_of_opposite_channels(self):
        one = np.random.default_rng(0).normal(size=(20, 128, 1))
        same, opposite = np.concatenate([one, one], axis=2), np.concatenate([one, -one], axis=2)
        assert distances.cross_correlation_distance(same, opposite) == pytest.approx(2)
        assert distances.cross_correlation_distance(same, 0 * same) == pytest.approx(1)
        with pytest.raises(ValueError, match="at least two channels"):
            distances.cross_correlation_distance(one, one)

    def test_coverage_and_density_of_equal_distributions(self):
        rng = np.random.default_rng(0)
        real, like = (rng.normal(rng.normal(size=(600, 1, 1)), 1, (600, 32, 1)) for _ in range(2))
        found = distances.coverage_density(real, like, k=5)
        assert found["coverage"] == pytest.approx(1 - 2**-5, abs=0.03)
        assert found["density"] == pytest.approx(1, abs=0.15)
        collapsed = distances.coverage_density(real, np.repeat(like[:3], 200, axis=0))
        assert collapsed["coverage"] < 0.1
        among, few = (distances.precision_recall(real, x) for x in (like, np.repeat(like[:3], 200, axis=0)))
        assert min(among.values()) > 0.9 and few["recall"] < 0.1 < few["precision"]
        with pytest.raises(ValueError, match="5 windows are too few"):
            distances.coverage_density(real[:5], like)


def test_a_stationary_process_does_not_drift_and_a_random_walk_does():
    (drift,) = defined_in("07", "drift", np=np, SEED=0)
    noise = np.random.default_rng(0).normal(size=(60, 2000, 1))
    stays, leaves = lfilter([1], [1, -0.9], noise, axis=1)[:, 200:], noise.cumsum(axis=1)
    found = drift(stays, stays[:, -128:])
    assert found["steps"] == [128 * number for number in range(1, 15)]
    assert found["marginal_from_first"][0] == found["spectral_from_first"][0] == 0
    assert max(found["marginal_from_first"] + found["marginal_from_real"]) < 0.2
    assert max(found["spectral_from_first"] + found["spectral_from_real"]) < 1
    walk = drift(leaves, leaves[:, :128])
    assert walk["marginal_from_first"][-1] > walk["marginal_from_first"][3] > 0.5
    fading = drift(stays * np.geomspace(1, 0.01, 1800)[:, None], stays[:, :128])
    assert fading["spectral_from_real"][-1] > 20


def test_interval_is_students():
    found = interval([1.0, 2.0, 3.0])
    assert found["mean"] == 2
    assert found["high"] - 2 == 2 - found["low"] == pytest.approx(4.3027 / np.sqrt(3), rel=1e-4)
    assert interval([5]) == {"mean": 5, "low": None, "high": None}


@pytest.mark.skipif(not os.environ.get("SENSEGEN_HAR_ARCHIVE"), reason="SENSEGEN_HAR_ARCHIVE is unset")
def test_people_walk_at_about_two_steps_a_second():
    test = load_har()["test"]
    windows = np.stack([test["signals"][f"total_acc_{axis}"] for axis in "xyz"], axis=-1)
    peak, _ = distances.gait(windows[test["activity"] == 1])
    assert 1.6 < np.median(peak) < 2.1

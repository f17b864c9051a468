import functools
import json
import os

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from sensegen_utils import metrics, paths
from sensegen_utils.discriminator import build_discriminator
from sensegen_utils.har import load_har

STEPS = np.arange(128)


def people(count, seed):
    """Walks of peaked steps (activities 1 to 3) and rest in three postures (4 to 6): windows and labels."""
    rng = np.random.default_rng(seed)
    activity = np.arange(count) % 6 + 1
    rate = np.array([1.8, 1.5, 2.1, 0, 0, 0])[activity - 1] * rng.normal(1, 0.04, count)
    angle = 2 * np.pi * (rate[:, None] * STEPS / 50 + rng.random((count, 1)))
    strength = np.array([0.5, 0.6, 0.9, 0, 0, 0])[activity - 1] * rng.uniform(0.8, 1.2, count)
    posture = np.array([[1, -0.2, 0]] * 3 + [[0.9, 0.1, 0.3], [1, -0.2, 0], [0.1, 0.7, 0.6]])[activity - 1]
    steps = np.exp(3 * np.cos(angle[:, :, None] + np.arange(6)) - 3) * [1, 0.6, 0.5, 1, 0.8, 0.6]
    noise = (
        gaussian_filter1d(rng.normal(size=steps.shape), 2, axis=1)
        * np.where(activity < 4, 0.2, 0.03)[:, None, None]
    )
    noise[:, :, 3] += 0.7 * noise[:, :, 0]
    windows = steps * strength[:, None, None] + noise
    windows[:, :, :3] += (posture + rng.normal(0, 0.05, (count, 3)))[:, None]
    return windows.astype(np.float32), activity


def surrogates(windows, seed):
    """The same spectra and cross-spectra, at random phases."""
    spectrum = np.fft.rfft(windows, axis=1)
    turn = np.exp(2j * np.pi * np.random.default_rng(seed).random((len(windows), spectrum.shape[1], 1)))
    turn[:, [0, -1]] = 1
    return np.fft.irfft(spectrum * turn, axis=1).astype(np.float32)


def ar1(windows, seed):
    """Noise of each window's own mean, variance and correlation of neighbouring samples."""
    mean, deviation = windows.mean(axis=1, keepdims=True), windows.std(axis=1, keepdims=True)
    centred = (windows - mean) / deviation
    memory = (centred[:, 1:] * centred[:, :-1]).mean(axis=1, keepdims=True)
    noise = np.random.default_rng(seed).normal(size=windows.shape)
    for step in range(1, windows.shape[1]):
        noise[:, step] = memory[:, 0] * noise[:, step - 1] + np.sqrt(1 - memory[:, 0] ** 2) * noise[:, step]
    return (mean + deviation * noise).astype(np.float32)


TRAIN, HELD_OUT, OTHERS = (people(420, seed) for seed in (1, 2, 3))
BROKEN = {
    name: getattr(metrics, name)(*TRAIN, len(TRAIN[0]))
    for name in ("white_noise", "shuffled_time", "class_mean", "copy_of_training")
}
MMD = functools.cache(lambda who: metrics.mmd(HELD_OUT[0], ALL[who][0]))
COVERAGE = functools.cache(lambda who: metrics.coverage_density(HELD_OUT[0], ALL[who][0]))
ALL = BROKEN | {"train": TRAIN, "others": OTHERS}

# Against held-out windows: each number of each metric, 0 at best, and the broken generators it is blind to.
# All are blind to a copy of the training set.
DISTANCES = {
    "mmd on windows": (lambda who: MMD(who)["windows"], {"shuffled_time"}),
    "mmd on features": (lambda who: MMD(who)["features"], set()),
    "autocorrelation": (lambda who: metrics.autocorrelation_distance(HELD_OUT[0], ALL[who][0]), set()),
    "spectrum": (lambda who: metrics.spectrum_distance(HELD_OUT[0], ALL[who][0])["mean"], set()),
    "wasserstein": (lambda who: metrics.wasserstein(HELD_OUT[0], ALL[who][0])["mean"], {"shuffled_time"}),
    "tails": (lambda who: metrics.tail_distance(HELD_OUT[0], ALL[who][0])["mean"], {"shuffled_time"}),
    "jerk": (lambda who: metrics.jerk_distance(HELD_OUT[0], ALL[who][0])["mean"], set()),
    "frequency": (lambda who: metrics.gait_distance(*HELD_OUT, *ALL[who])["frequency"], set()),
    "harmonics": (lambda who: metrics.gait_distance(*HELD_OUT, *ALL[who])["harmonics"], set()),
    "gravity": (lambda who: metrics.gravity_distance(*HELD_OUT, *ALL[who])["vector"], {"shuffled_time"}),
    "norm": (lambda who: metrics.gravity_distance(*HELD_OUT, *ALL[who])["norm"], {"shuffled_time"}),
    "correlation": (
        lambda who: metrics.cross_correlation_distance(HELD_OUT[0], ALL[who][0]),
        {"shuffled_time"},
    ),
    "coverage": (lambda who: 1 - COVERAGE(who)["coverage"], set()),
    "density": (lambda who: abs(1 - COVERAGE(who)["density"]), set()),
    "tstr": (lambda who: 1 - metrics.tstr(*ALL[who], *HELD_OUT, trees=30)["macro_f1"], set()),
}


@pytest.mark.parametrize("name", DISTANCES)
def test_a_metric_is_small_for_the_same_process_and_large_for_broken_generators(name):
    distance, blind = DISTANCES[name]
    floor = max(abs(distance("train")), abs(distance("others")))
    assert distance("copy_of_training") == pytest.approx(distance("train"), abs=0.01)
    for broken in BROKEN.keys() - {"copy_of_training"}:
        if broken in blind:
            assert abs(distance(broken)) <= 1.1 * floor, broken
        else:
            assert distance(broken) > 3 * floor, broken


def test_broken_generators_have_labels_and_are_drawn_by_seed():
    for name in BROKEN:
        generate = getattr(metrics, name)
        windows, activity = generate(*TRAIN, 50, seed=3)
        assert windows.shape == (50, 128, 6) and windows.dtype == np.float32 and activity.shape == (50,)
        np.testing.assert_array_equal(windows, generate(*TRAIN, 50, seed=3)[0])
        assert (activity != generate(*TRAIN, 50, seed=4)[1]).any()
        assert len(generate(*TRAIN, 500)[0]) == 500  # more than there are real ones
    mean, activity = BROKEN["class_mean"]
    np.testing.assert_allclose(mean[activity == 5][7], TRAIN[0][TRAIN[1] == 5].mean(axis=0), rtol=1e-5)
    noise, _ = BROKEN["white_noise"]
    np.testing.assert_allclose(noise.std(axis=(0, 1)), TRAIN[0].std(axis=(0, 1)), rtol=0.02)


def test_all_results_are_json_and_the_same_again():
    def everything():
        real, generated = HELD_OUT[0][:60], TRAIN[0][:60]
        return [
            metrics.judge("features", real, generated, OTHERS[0][:60], TRAIN[0][60:120]),
            metrics.mmd(real, generated, limit=40),
            metrics.autocorrelation_distance(real, generated),
            metrics.spectrum_distance(real, generated),
            metrics.wasserstein(real, generated),
            metrics.tail_distance(real, generated),
            metrics.jerk_distance(real, generated),
            metrics.gait_distance(real, HELD_OUT[1][:60], generated, TRAIN[1][:60]),
            metrics.gravity_distance(real, HELD_OUT[1][:60], generated, TRAIN[1][:60]),
            metrics.cross_correlation_distance(real, generated),
            metrics.drift(np.tile(real, (1, 2, 1)), real),
            metrics.tstr(generated, TRAIN[1][:60], real, HELD_OUT[1][:60], trees=5),
            metrics.coverage_density(real, generated, limit=40),
            metrics.nearest_neighbour_ratio(generated, TRAIN[0], real, limit=40),
            metrics.nearest_neighbour_ratio(generated, TRAIN[0], real, band=2, limit=5),
            metrics.membership_inference(np.arange(40), np.arange(40), TRAIN[1][:40], TRAIN[1][:40]),
            metrics.exact_copies(generated, TRAIN[0], shift=1),
            metrics.interval([1, 2, 4]),
        ]

    assert json.dumps(everything(), allow_nan=False) == json.dumps(everything(), allow_nan=False)


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
    for metric in (metrics.mmd, metrics.wasserstein, metrics.spectrum_distance, metrics.coverage_density):
        with pytest.raises(ValueError, match=message):
            metric(TRAIN[0], windows)


class TestJudges:
    walks = [x[y < 4][:, :, :1] for x, y in (TRAIN, HELD_OUT, OTHERS, people(420, 4))]

    def test_the_reports_d_has_the_same_layers_for_one_channel_and_more_inputs_for_six(self):
        ours, reports = metrics.build_report_judge(128, 1), build_discriminator()
        assert [w.shape for w in ours.weights] == [w.shape for w in reports.weights]
        for one, other in zip(ours.layers, reports.layers, strict=True):
            assert type(one) is type(other)
            for setting in ("units", "activation", "recurrent_activation", "use_bias"):
                assert getattr(one, setting, None) == getattr(other, setting, None)
        assert metrics.build_report_judge(128, 6).count_params() == 70_721 + 5 * 4 * 128

    @pytest.mark.parametrize("fake", [surrogates, ar1])
    def test_the_strong_judge_catches_fakes_that_have_the_right_moments(self, fake):
        real, test_real, source, test_source = self.walks
        verdict = metrics.judge("cnn", real, fake(source, 0), test_real, fake(test_source, 1), epochs=8)
        assert verdict["accuracy"] > 0.9 and verdict["auc"] > 0.95
        assert verdict["score"] == pytest.approx(verdict["accuracy"] - 0.5)

    def test_no_judge_tells_real_from_real_and_the_same_seed_says_the_same(self):
        real, test_real, source, test_source = self.walks
        for kind in ("cnn", "features"):
            verdicts = [metrics.judge(kind, real, source, test_real, test_source, epochs=2) for _ in range(2)]
            assert verdicts[0] == verdicts[1]
            assert verdicts[0]["score"] < 0.1 and abs(verdicts[0]["auc"] - 0.5) < 0.1

    def test_a_judge_that_did_not_learn_shows_in_its_training_accuracy(self):
        real, test_real, *_ = self.walks
        fakes = [metrics.shuffled_time(x, np.ones(len(x)), len(x))[0] for x in self.walks[2:]]
        lazy = metrics.judge("report", real, fakes[0], test_real, fakes[1], epochs=1)
        assert lazy["score"] < 0.3 and lazy["training_accuracy"] < 0.8
        able = metrics.judge("features", real, fakes[0], test_real, fakes[1])
        assert able["score"] > 0.45 and able["training_accuracy"] > 0.95

    def test_judges_are_blind_to_copies(self):
        real, test_real, source, test_source = self.walks
        assert metrics.judge("features", real, real[::-1], test_real, source)["training_accuracy"] == 0.5

    def test_whole_volunteers_are_kept_for_early_stopping(self):
        subject = np.repeat(np.arange(10), 7)
        held = metrics._held_out(70, subject, seed=0)
        assert held.sum() == 14 and len(np.unique(subject[held])) == 2
        assert metrics._held_out(70, None, seed=0).sum() == 14

    def test_what_judges_refuse(self):
        real, fake = TRAIN[0][:20], TRAIN[0][20:40]
        with pytest.raises(ValueError, match="20 real and 19 fake windows: the two must be balanced"):
            metrics.judge("features", real, fake[1:], real, fake)
        with pytest.raises(ValueError, match="20 real and 19 fake windows: the two must be balanced"):
            metrics.judge("features", real, fake, real, fake[1:])
        with pytest.raises(ValueError, match="Unknown judge 'resnet'. There are: features, report, cnn"):
            metrics.judge("resnet", real, fake, real, fake)
        with pytest.raises(ValueError, match="at least two volunteers"):
            metrics.judge("cnn", real, fake, real, fake, subject=np.ones(20))
        with pytest.raises(ValueError, match="19 subjects for 20 real windows"):
            metrics.judge("cnn", real, fake, real, fake, subject=np.ones(19))


class TestTimeGAN:
    short = {name: windows[:, :24] for name, (windows, _) in ALL.items()}  # as in TimeGAN's own examples

    def test_discriminative_score_catches_noise_and_not_its_like(self):
        noise, like, again = (
            metrics.timegan_discriminative_score(self.short["train"], self.short[name], iterations)
            for name, iterations in (("white_noise", 800), ("others", 100), ("others", 100))
        )
        assert noise["score"] > 0.25 and noise["training_accuracy"] > 0.75
        assert like["score"] < 0.1 and like == again
        assert like["score"] == pytest.approx(abs(0.5 - like["accuracy"]))

    def test_predictive_score_is_worse_after_noise(self):
        like, again, noise = (
            metrics.timegan_predictive_score(HELD_OUT[0][:, :24], self.short[name], 500)
            for name in ("train", "train", "white_noise")
        )
        assert 0 < like < noise < 1 and like == again

    def test_initial_weights_are_tensorflow_1s(self):
        kernel, recurrent, bias = metrics._timegan_network(6, 3, "mse", seed=0).layers[1].get_weights()
        assert kernel.shape == (6, 9) and recurrent.shape == (3, 9)
        assert bias.tolist() == [1] * 6 + [0] * 3
        assert np.abs(kernel[:, :6]).max() < np.sqrt(6 / 15) and np.abs(kernel[:, 6:]).max() < np.sqrt(6 / 12)

    def test_one_channel_and_unequal_numbers_are_refused(self):
        one = TRAIN[0][:, :, :1]
        for score in (metrics.timegan_discriminative_score, metrics.timegan_predictive_score):
            with pytest.raises(ValueError, match="not defined for one channel"):
                score(one, one)
        with pytest.raises(ValueError, match="must be balanced"):
            metrics.timegan_discriminative_score(TRAIN[0], TRAIN[0][1:])


class TestKnownValues:
    def test_mmd_of_equal_distributions_is_zero_on_average(self):
        rng = np.random.default_rng(0)
        estimates = [metrics._mmd(*rng.normal(size=(2, 100, 3))) for _ in range(40)]
        assert abs(np.mean(estimates)) < 3 * np.std(estimates) / np.sqrt(40)
        assert min(estimates) < 0 < max(estimates)

    def test_mmd_of_two_far_points_is_two_kernels(self):
        x = np.array([[0.0], [1.0]])
        assert metrics._mmd(x, x + 1000) == pytest.approx(2 * np.exp(-0.5))

    def test_wasserstein_of_a_shift_is_the_shift(self):
        windows = TRAIN[0].astype(float)
        distances = metrics.wasserstein(windows, windows + 0.3 * windows.std(axis=(0, 1)))
        assert len(distances) == 7 and list(distances.values()) == pytest.approx([0.3] * 7)

    def test_tails_of_a_wider_normal_distribution(self):
        windows = np.random.default_rng(0).normal(size=(2000, 128, 1))
        expected = np.abs(norm.ppf(metrics.TAILS)).mean()
        assert metrics.tail_distance(windows, 2 * windows)["mean"] == pytest.approx(expected, rel=0.02)

    def test_autocorrelation_of_an_ar1_process(self):
        noise = np.random.default_rng(0).normal(size=(100, 4000, 1))
        memory = lfilter([1], [1, -0.8], noise, axis=1)
        expected = (0.8 ** np.arange(1, 6)).mean()
        assert metrics.autocorrelation_distance(noise, memory, lags=5) == pytest.approx(expected, abs=0.01)
        assert metrics.autocorrelation_distance(noise, np.ones_like(noise), lags=5) < 0.01

    def test_twice_the_amplitude_is_6_decibel_and_gravity_is_not_seen(self):
        windows = TRAIN[0].astype(float)
        distances = metrics.spectrum_distance(windows, 2 * windows + 5, floor=1e-30)
        assert list(distances.values()) == pytest.approx([20 * np.log10(2)] * 7)

    def test_power_below_the_floor_is_not_told_apart(self):
        quiet = 1e-5 * np.random.default_rng(0).normal(size=(10, 128, 1))
        assert metrics.spectrum_distance(quiet, 0 * quiet)["mean"] == 0

    def test_jerk_of_twice_the_speed(self):
        ramp = np.random.default_rng(0).normal(size=(50, 128, 1)).cumsum(axis=1)
        expected = np.sqrt(2 / np.pi)
        assert metrics.jerk_distance(ramp, 2 * ramp)["mean"] == pytest.approx(expected, rel=0.03)

    def test_gait_finds_frequency_and_harmonics(self):
        angle = 2 * np.pi * 1.7 * STEPS / 50 + np.random.default_rng(0).random((20, 1)) * 2 * np.pi
        walk = (np.cos(angle) + 0.5 * np.cos(2 * angle))[:, :, None]
        peak, shares = metrics.gait(walk)
        np.testing.assert_allclose(peak, 1.7, atol=0.05)
        np.testing.assert_allclose(shares[:, 1] / shares[:, 0], 0.25, atol=0.05)
        assert (shares.sum(axis=1) > 0.85).all() and shares[:, 2].max() < 0.01
        upright = np.concatenate([1 + 0.2 * walk, np.zeros((20, 128, 2))], axis=2)
        np.testing.assert_allclose(metrics.gait(upright)[0], peak)  # of the norm
        still, shares = metrics.gait(np.zeros((3, 128, 6)))
        assert np.isfinite(still).all() and (shares == 0).all()

    def test_gait_distance_is_the_difference_of_two_frequencies(self):
        slow, fast = (np.sin(2 * np.pi * rate * STEPS / 50)[None, :, None] for rate in (1.5, 2.0))
        found = metrics.gait_distance(slow, [2], fast, [2], walking=[2])
        assert found["frequency"] == found["frequency 2"] == pytest.approx(0.5, abs=0.05)
        with pytest.raises(ValueError, match="the generated windows hold none of activity 2"):
            metrics.gait_distance(slow, [2], fast, [1], walking=[2])
        with pytest.raises(ValueError, match="2 labels for 1 windows"):
            metrics.gait_distance(slow, [2, 2], fast, [2], walking=[2])

    def test_gravity_of_a_shift(self):
        moved = TRAIN[0] + np.float32([0.3, 0, 0, 0, 0, 0])
        assert metrics.gravity_distance(*TRAIN, moved, TRAIN[1])["vector"] == pytest.approx(0.1, rel=1e-3)
        swapped = 7 - TRAIN[1]  # every posture is there, under another label
        assert metrics.gravity_distance(*TRAIN, TRAIN[0], swapped)["vector"] > 0.1
        with pytest.raises(ValueError, match="2 channels are too few"):
            metrics.gravity_distance(TRAIN[0][:, :, :2], TRAIN[1], moved[:, :, :2], TRAIN[1])

    def test_cross_correlation_of_opposite_channels(self):
        one = np.random.default_rng(0).normal(size=(20, 128, 1))
        same, opposite = np.concatenate([one, one], axis=2), np.concatenate([one, -one], axis=2)
        assert metrics.cross_correlation_distance(same, opposite) == pytest.approx(2)
        assert metrics.cross_correlation_distance(same, 0 * same) == pytest.approx(1)
        with pytest.raises(ValueError, match="at least two channels"):
            metrics.cross_correlation_distance(one, one)


class TestDrift:
    def test_a_stationary_process_stays_and_a_random_walk_leaves(self):
        noise = np.random.default_rng(0).normal(size=(60, 2000, 1))
        stays, leaves = lfilter([1], [1, -0.9], noise, axis=1)[:, 200:], noise.cumsum(axis=1)
        found = metrics.drift(stays, stays[:, -128:])
        assert found["steps"] == [128 * number for number in range(1, 15)]
        assert found["marginal_from_first"][0] == found["spectral_from_first"][0] == 0
        assert max(found["marginal_from_first"] + found["marginal_from_real"]) < 0.2
        assert max(found["spectral_from_first"] + found["spectral_from_real"]) < 1
        walk = metrics.drift(leaves, leaves[:, :128])
        assert walk["marginal_from_first"][-1] > walk["marginal_from_first"][3] > 0.5
        fading = metrics.drift(stays * np.geomspace(1, 0.01, 1800)[:, None], stays[:, :128])
        assert fading["spectral_from_real"][-1] > 20

    def test_series_too_short_are_refused(self):
        with pytest.raises(ValueError, match="255 steps are too short for two segments of 128"):
            metrics.drift(np.zeros((3, 255, 1)), np.zeros((3, 128, 1)))


class TestUtility:
    def test_features_are_finite_also_for_constant_windows(self):
        for channels, expected in ((1, 21), (2, 43), (6, 162)):
            features = metrics.activity_features(TRAIN[0][:, :, :channels])
            assert features.shape == (420, expected) and np.isfinite(features).all()
        assert np.isfinite(metrics.activity_features(np.zeros((3, 128, 6)))).all()

    def test_forest_learns_activities_and_names_them(self):
        found = metrics.tstr(*TRAIN, *HELD_OUT, trees=30)
        assert found["accuracy"] > 0.95 and list(found["f1"]) == list("123456")
        assert found["macro_f1"] == pytest.approx(np.mean(list(found["f1"].values())))
        walkers = TRAIN[1] < 4
        half = metrics.tstr(TRAIN[0][walkers], TRAIN[1][walkers], *HELD_OUT, trees=30)
        assert half["accuracy"] < 0.55 and half["f1"]["5"] == 0
        with pytest.raises(ValueError, match="419 labels for 420 windows"):
            metrics.tstr(TRAIN[0], TRAIN[1][1:], *HELD_OUT)


class TestDiversityAndPrivacy:
    def test_coverage_and_density_of_equal_distributions(self):
        rng = np.random.default_rng(0)
        real, like = (rng.normal(rng.normal(size=(600, 1, 1)), 1, (600, 32, 1)) for _ in range(2))
        found = metrics.coverage_density(real, like, k=5)
        assert found["coverage"] == pytest.approx(1 - 2**-5, abs=0.03)
        assert found["density"] == pytest.approx(1, abs=0.15)
        collapsed = metrics.coverage_density(real, np.repeat(like[:3], 200, axis=0))
        assert collapsed["coverage"] < 0.1
        with pytest.raises(ValueError, match="5 windows are too few"):
            metrics.coverage_density(real[:5], like)

    @pytest.mark.parametrize("band", [None, 5])
    def test_copies_are_nearer_to_training_and_new_windows_are_not(self, band):
        limit = 400 if band is None else 30
        copies = metrics.nearest_neighbour_ratio(TRAIN[0], TRAIN[0], HELD_OUT[0], band, limit)
        assert copies["ratio"] < 1e-3 and copies["to_held_out"] > 1
        honest = metrics.nearest_neighbour_ratio(OTHERS[0], TRAIN[0], HELD_OUT[0], band, limit)
        assert honest["ratio"] == pytest.approx(1, abs=0.15)
        few = metrics.nearest_neighbour_ratio(OTHERS[0], TRAIN[0], HELD_OUT[0][:100], band, limit)
        assert few["ratio"] < honest["ratio"]  # so what is honest is found with the same windows

    def test_dtw_is_the_textbooks(self):
        rng = np.random.default_rng(0)
        query, references = rng.normal(size=(12, 2)), rng.normal(size=(4, 12, 2))
        for band in (0, 1, 3, 20):
            for reference, found in zip(references, metrics.dtw(query, references, band), strict=True):
                total = np.full((13, 13), np.inf)
                total[0, 0] = 0
                for i in range(1, 13):
                    for j in range(max(1, i - band), min(12, i + band) + 1):
                        before = min(total[i - 1, j], total[i, j - 1], total[i - 1, j - 1])
                        total[i, j] = before + ((query[i - 1] - reference[j - 1]) ** 2).sum()
                assert found == pytest.approx(np.sqrt(total[12, 12]))
        euclidean = np.linalg.norm((query - references).reshape(4, -1), axis=1)
        np.testing.assert_allclose(metrics.dtw(query, references, 0), euclidean)

    @pytest.mark.parametrize("spread", [0.1, 10])
    def test_nearest_by_dtw_is_the_least_of_all(self, spread):
        rng = np.random.default_rng(0)
        levels = spread * rng.normal(size=(600, 1, 2))  # far apart most are ruled out, close together none
        references = levels + rng.normal(size=(600, 12, 2)).cumsum(axis=1)
        for query in references[:5] + 0.1:
            for band in (0, 3):
                least = metrics.dtw(query, references, band).min()
                assert metrics.nearest_dtw(query, references, band) == least

    def test_membership_inference_is_an_auc_with_volunteers_as_units(self):
        rng = np.random.default_rng(0)
        subjects = np.repeat(np.arange(8), 50)
        nll = rng.normal(size=(2, 400)).round(1)  # with ties
        chance = metrics.membership_inference(*nll, subjects, subjects)
        truth = np.repeat([0, 1], 400)
        assert chance["auc"] == pytest.approx(roc_auc_score(truth, nll.ravel()))
        assert chance["low"] < 0.5 < chance["high"]
        betrayed = metrics.membership_inference(nll[0] - 2, nll[1], subjects, subjects)
        assert betrayed["low"] > 0.85
        people_differ = nll + rng.normal(size=8)[subjects]
        wide = metrics.membership_inference(*people_differ, subjects, subjects)
        assert wide["high"] - wide["low"] > 2 * (chance["high"] - chance["low"])
        with pytest.raises(ValueError, match="at least two volunteers"):
            metrics.membership_inference(*nll, subjects, np.ones(400))
        with pytest.raises(ValueError, match="399 labels for 400 windows"):
            metrics.membership_inference(*nll, subjects[1:], subjects)

    def test_copies_are_found_wherever_they_were_cut(self):
        recording = np.random.default_rng(0).normal(size=(64 * 12, 2)).astype(np.float32)
        training = np.stack([recording[start : start + 128] for start in range(0, 64 * 11, 64)])
        cuts = np.stack([recording[start : start + 128] for start in range(0, 641, 7)])
        assert metrics.exact_copies(cuts, training) == len(cuts) == 92
        assert metrics.exact_copies(cuts, training, shift=0) == 2  # those that begin at 0 and 448
        assert metrics.exact_copies(cuts + 1e-3, training) == 0
        assert metrics.exact_copies(cuts + 1e-3, training, tolerance=2e-3) == 92
        assert metrics.exact_copies(HELD_OUT[0], TRAIN[0], shift=2) == 0
        with pytest.raises(ValueError, match="a shift of 64 leaves nothing"):
            metrics.exact_copies(cuts, training, shift=64)


def test_interval_is_students():
    found = metrics.interval([1.0, 2.0, 3.0])
    assert found["mean"] == 2
    assert found["high"] - 2 == 2 - found["low"] == pytest.approx(4.3027 / np.sqrt(3), rel=1e-4)
    assert metrics.interval([5]) == {"mean": 5, "low": None, "high": None}


@pytest.mark.skipif(not os.environ.get("SENSEGEN_HAR_ARCHIVE"), reason="SENSEGEN_HAR_ARCHIVE is unset")
def test_people_walk_at_about_two_steps_a_second_and_their_windows_are_no_copies(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "DATA", tmp_path)
    har = load_har()
    train, test = (
        np.stack([har[part]["signals"][f"total_acc_{axis}"] for axis in "xyz"], axis=-1)
        for part in ("train", "test")
    )
    peak, _ = metrics.gait(test[har["test"]["activity"] == 1])
    assert 1.6 < np.median(peak) < 2.1
    assert metrics.exact_copies(test[::20], train, shift=0) == 0
    assert metrics.exact_copies(train[::20], train, shift=0) == len(train[::20])

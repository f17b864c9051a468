"""Distances of generated from real windows, one function for each property of movement; 0 is best.

The docstrings say what a metric cannot see. Results by channel are {"mean": ..., "channel 0": ...}. All raise
ValueError for windows that `check_windows` refuses.
"""

import keras
import numpy as np
from scipy.signal import welch
from scipy.stats import wasserstein_distance
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fast_keras.once import outputs
from sensegen_utils.data.layout import RATE
from sensegen_utils.judge.checks import check_labels, check_windows, held_out, standardised
from sensegen_utils.judge.two_sample import build_cnn_judge, fit_network
from sensegen_utils.judge.utility import POWER_FLOOR, correlations, rocket_features, scaled_features

WALKING = (1, 2, 3)
TAILS = (0.001, 0.01, 0.99, 0.999)


def mmd(real, generated, limit=2000, seed=0):
    """Unbiased squared maximum mean discrepancy of standardised "windows" and of their "features".

    The kernel is exp(-d^2 / (2 s^2)), s the median distance of two real ones; at most ``limit`` of each side
    are drawn. 0 on average for equal distributions. That of windows sees mostly posture and is blind to the
    order of time; that of `activity_features` is not. Source: A. Gretton et al., JMLR 2012, eq. 3.
    """
    check_windows(real, generated)
    rng = np.random.default_rng(seed)
    real, generated = (x[rng.permutation(len(x))[:limit]] for x in (real, generated))
    flat = [x.reshape(len(x), -1) for x in standardised(real, real, generated)]
    return {"windows": _mmd(*flat), "features": _mmd(*scaled_features(real, generated))}


def _mmd(x, y):
    within_x, within_y = (pairwise_distances(z, metric="sqeuclidean") for z in (x, y))
    width = 2 * np.median(within_x[np.triu_indices(len(x), 1)])
    within = [(np.exp(-d / width).sum() - len(d)) / (len(d) * (len(d) - 1)) for d in (within_x, within_y)]
    return float(sum(within) - 2 * np.exp(-pairwise_distances(x, y, metric="sqeuclidean") / width).mean())


def embeddings(windows, activity, subject, epochs=30, kernels=5000, seed=0):
    """Return two frozen embeddings of windows for `frechet_distance`, made from real training windows.

    {"rocket": the 64 first principal components of `rocket_features`, "network": what the last layer of a
    residual network reads that has learnt the activities}, functions of (n, steps, channels) to (n, k). Both
    are scaled so that the real training windows have a total variance of 1.
    """
    names, place = np.unique(activity, return_inverse=True)
    (x,), held = standardised(windows, windows), held_out(len(windows), subject, seed)
    head = {"loss": "sparse_categorical_crossentropy", "units": len(names), "activation": "softmax"}
    network = fit_network(
        build_cnn_judge, 1e-3, x.astype(np.float32), place[:, None], held, epochs, seed, **head
    )
    body = keras.models.clone_model(inner := keras.Model(network.input, network.layers[-1].input))
    body.set_weights(inner.get_weights())  # its own: the next network of this size takes the other's place
    rocket = make_pipeline(StandardScaler(), PCA(64, random_state=seed))
    rocket.fit(rocket_features(windows, windows, kernels, seed))

    def scaled(embed):
        total = np.sqrt(embed(windows).var(axis=0).sum())
        return lambda other: embed(other) / total

    return {
        "rocket": scaled(lambda other: rocket.transform(rocket_features(other, windows, kernels, seed))),
        "network": scaled(lambda other: outputs(body, standardised(windows, other)[0].astype(np.float32))),
    }


def frechet_distance(real, generated):
    """Frechet distance of two sets of embedded windows (n, k): "C-FID" with TSGBench's embedding.

    Squared distance of the Gaussians that have their means and covariances. It depends on the embedding, and
    on the numbers of windows: show two, and equal numbers. Source: M. Heusel et al., NIPS 2017, eq. 6.
    """
    means = [x.mean(axis=0) for x in (real, generated)]
    covariances = [np.cov(x, rowvar=False) for x in (real, generated)]
    shared = np.sqrt(np.maximum(np.linalg.eigvals(covariances[0] @ covariances[1]).real, 0)).sum()
    return float(((means[0] - means[1]) ** 2).sum() + sum(map(np.trace, covariances)) - 2 * shared)


def autocorrelation_distance(real, generated, lags=64):
    """Mean absolute difference of the windows' mean autocorrelations, over lags 1 to ``lags`` and channels.

    Each window is scaled to its own variance, so rest counts as much as walks. Blind to gravity, amplitudes
    and phases.
    """
    check_windows(real, generated)
    centred = (x - x.mean(axis=1, keepdims=True, dtype=float) for x in (real, generated))
    powers = (np.abs(np.fft.rfft(x, 2 * x.shape[1], axis=1)) ** 2 for x in centred)
    products = (np.fft.irfft(power, axis=1)[:, : lags + 1] for power in powers)
    means = [(x[:, 1:] / np.maximum(x[:, :1], np.finfo(float).tiny)).mean(axis=0) for x in products]
    return float(np.abs(np.subtract(*means)).mean())


def spectrum_distance(real, generated, floor=POWER_FLOOR):
    """Mean absolute difference of the mean spectra (Welch) in decibel, over frequencies, by channel.

    In decibel before the mean, so rest counts as much as walks. Power below ``floor`` (squared units per Hz)
    counts as that. Blind to phases and gravity.
    """
    check_windows(real, generated)
    powers = (welch(x.astype(float), RATE, nperseg=x.shape[1] // 2, axis=1)[1] for x in (real, generated))
    means = [(10 * np.log10(np.maximum(power, floor)))[:, 1:].mean(axis=0) for power in powers]
    return _by_channel(np.abs(np.subtract(*means)).mean(axis=0))


def _by_channel(values):
    return {"mean": float(np.mean(values))} | {f"channel {i}": float(v) for i, v in enumerate(values)}


def wasserstein(real, generated, scale=None):
    """Wasserstein-1 distance of the values, by channel, in deviations of the real windows or of ``scale``.

    Blind to the order of time.
    """
    check_windows(real, generated)
    pair = standardised(real if scale is None else scale, real, generated)
    return _by_channel(_wasserstein(*(x.reshape(-1, x.shape[2]) for x in pair)))


def _wasserstein(real, generated):
    return [float(wasserstein_distance(*columns)) for columns in zip(real.T, generated.T, strict=True)]


def tail_distance(real, generated, tails=TAILS):
    """Mean absolute difference of quantiles, by channel, in real deviations; blind to the order of time."""
    check_windows(real, generated)
    real, generated = (np.quantile(x, tails, axis=(0, 1)) for x in standardised(real, real, generated))
    return _by_channel(np.abs(real - generated).mean(axis=0))


def jerk_distance(real, generated):
    """Wasserstein-1 distance of the differences of neighbouring samples, by channel, in real deviations.

    Blind to gravity and slow movement.
    """
    check_windows(real, generated)
    return wasserstein(*(np.diff(windows.astype(float), axis=1) for windows in (real, generated)))


def gait(windows):
    """Step frequency of each window (n,), in Hz, and the shares of power at 1, 2 and 3 times it, (n, 3).

    Of the acceleration's norm, or of the first of fewer than three channels. The frequency is the highest
    peak from 0.5 to 5 Hz. A share is of the power above 0.5 Hz, and reaches one resolution of the window
    (0.39 Hz) to either side. Blind to phases.
    """
    check_windows(windows)
    steps = windows.shape[1]
    signal = np.linalg.norm(windows[:, :, :3], axis=2) if windows.shape[2] >= 3 else windows[:, :, 0]
    tapered = (signal - signal.mean(axis=1, keepdims=True, dtype=float)) * np.hanning(steps)
    power = np.abs(np.fft.rfft(tapered, 16 * steps)) ** 2  # padded, else the peak is known to 0.39 Hz only
    frequencies = np.fft.rfftfreq(16 * steps, 1 / RATE)
    power[:, frequencies < 0.5] = 0
    peak = frequencies[power[:, frequencies <= 5].argmax(axis=1)]
    total = np.maximum(power.sum(axis=1), np.finfo(float).tiny)
    near = [np.abs(frequencies - multiple * peak[:, None]) <= RATE / steps for multiple in (1, 2, 3)]
    return peak, np.stack([(power * each).sum(axis=1) / total for each in near], axis=1)


def gait_distance(real, real_activity, generated, generated_activity, walking=WALKING):
    """Distance of what `gait` finds in windows of walking: "frequency" (Hz) and "harmonics" (share of power).

    Wasserstein-1 distances of each activity, also given as "frequency 1" and so on, then the mean over
    ``walking``. Blind to phases, and to rest. Raises ValueError if a side lacks an activity.
    """
    check_windows(real, generated)
    kinds, found = ("frequency", "harmonics"), {}
    for activity, *sides in _by_activity(real, real_activity, generated, generated_activity, walking):
        (peak, shares), (other_peak, other_shares) = (gait(windows) for windows in sides)
        found[f"frequency {activity}"] = float(wasserstein_distance(peak, other_peak))
        found[f"harmonics {activity}"] = float(np.mean(_wasserstein(shares, other_shares)))
    return {kind: float(np.mean([found[f"{kind} {a}"] for a in walking])) for kind in kinds} | found


def gravity_distance(real, real_activity, generated, generated_activity):
    """Distance of posture ("vector") and of the acceleration's norm ("norm"), in g.

    Wasserstein-1 distances within each activity, then the mean over activities: of the windows' mean
    acceleration along x, y and z, and of the norm of all samples. Blind to the order of time. Raises
    ValueError for fewer than three channels, and if generated windows lack an activity of real ones.
    """
    check_windows(real, generated)
    if real.shape[2] < 3:
        raise ValueError(f"gravity needs acceleration along x, y and z: {real.shape[2]} channels are too few")
    vectors, norms, activities = [], [], np.unique(real_activity)
    for _, *sides in _by_activity(real, real_activity, generated, generated_activity, activities):
        sides = [windows[:, :, :3] for windows in sides]
        vectors.append(np.mean(_wasserstein(*(x.mean(axis=1) for x in sides))))
        norms.append(wasserstein_distance(*(np.linalg.norm(x, axis=2).ravel() for x in sides)))
    return {"vector": float(np.mean(vectors)), "norm": float(np.mean(norms))}


def _by_activity(real, real_activity, generated, generated_activity, activities):
    check_labels(real, real_activity)
    check_labels(generated, generated_activity)
    for activity in activities:
        ours = real[np.asarray(real_activity) == activity]
        theirs = generated[np.asarray(generated_activity) == activity]
        if not len(ours) or not len(theirs):
            side = "generated" if len(ours) else "real"
            raise ValueError(f"the {side} windows hold none of activity {activity}")
        yield activity, ours, theirs


def cross_correlation_distance(real, generated):
    """Wasserstein-1 distance of the windows' correlation of two channels at one moment, mean over pairs.

    Blind to the order of time if the channels stay together. Raises ValueError for one channel.
    """
    check_windows(real, generated)
    if real.shape[2] < 2:
        raise ValueError("cross-correlation needs at least two channels")
    return float(np.mean(_wasserstein(correlations(real), correlations(generated))))


def coverage_density(real, generated, k=5, limit=2000, seed=0):
    """Whether generated windows fill the places of real ones, on standardised `activity_features`.

    "coverage" is the share of real windows that have a generated one nearer than their k-th real neighbour.
    "density" is in how many such neighbourhoods a generated window lies, divided by k. Equally many of both
    sides are drawn, at most ``limit``, since both depend on the numbers. Equal distributions have a coverage
    of 1 - 2^-k, 0.97 for k = 5, and a density of 1; a copy does better still. Raises ValueError for k windows
    or fewer. Source: M. F. Naeem et al., Reliable Fidelity and Diversity, ICML 2020.
    """
    x, y = _drawn_features(real, generated, k, limit, seed)
    inside = pairwise_distances(x, y) < _radii(x, k)[:, None]
    return {"coverage": float(inside.any(axis=1).mean()), "density": float(inside.sum(axis=0).mean() / k)}


def precision_recall(real, generated, k=5, limit=2000, seed=0):
    """Whether generated windows lie among real ones ("precision"), and real ones among generated ("recall").

    A window lies among the others if it is nearer to one of them than that one's k-th neighbour of its own
    side, on standardised `activity_features`. Numbers as in `coverage_density`; so are the errors raised.
    Source: T. Kynkaanniemi et al., NeurIPS 2019.
    """
    x, y = _drawn_features(real, generated, k, limit, seed)
    between = pairwise_distances(x, y)
    precise, met = (between < _radii(x, k)[:, None]).any(axis=0), (between < _radii(y, k)).any(axis=1)
    return {"precision": float(precise.mean()), "recall": float(met.mean())}


def _drawn_features(real, generated, k, limit, seed):
    check_windows(real, generated)
    rng, count = np.random.default_rng(seed), min(len(real), len(generated), limit)
    if count <= k:
        raise ValueError(f"{count} windows are too few for their {k}-th neighbour")
    return scaled_features(*(x[rng.permutation(len(x))[:count]] for x in (real, generated)))


def _radii(x, k):
    return np.partition(pairwise_distances(x), k, axis=1)[:, k]  # the window itself is the nearest

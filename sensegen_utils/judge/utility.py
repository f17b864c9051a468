"""What generated windows are good for: features of windows, and an activity classifier trained on them."""

import numpy as np
from aeon.transformations.collection.convolution_based import MiniRocket
from scipy.linalg import solve
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score
from sklearn.preprocessing import StandardScaler

from sensegen_utils.data.layout import RATE
from sensegen_utils.judge.checks import check_labels, check_windows, held_out

# Squared units per Hz: white noise of 0.5 mg, about the sensor's resolution. Above 20 Hz the archive's own
# low-pass leaves less by ten orders of magnitude, which says nothing of movement.
POWER_FLOOR = 1e-8
PENALTIES = (10, 100, 1000, 10_000, 100_000)  # of `fit_ridge`, on standardised features


def activity_features(windows):
    """Features of windows, in the manner of UCI HAR's own: (n, steps, channels) -> (n, features) float64.

    For each channel, and from three channels on for the norm of the first three: mean, standard deviation,
    quantiles 5, 25, 50, 75 and 95 %; deviation of the differences of neighbours and 95 % quantile of their
    size; the logarithm of power in ten bands that widen with frequency; spectral entropy; the strongest
    frequency (per step). Then the `correlations`. `POWER_FLOOR` is added to all power. 21 for one channel,
    162 for six. Source: D. Anguita et al., ESANN 2013, table 2.
    """
    check_windows(windows)
    pairs = correlations(windows)
    if windows.shape[2] >= 3:
        norm = np.linalg.norm(windows[:, :, :3], axis=2, keepdims=True)
        windows = np.concatenate([windows, norm], axis=2)
    windows, steps = windows.astype(float), windows.shape[1]
    jerk = np.diff(windows, axis=1)
    taper = np.hanning(steps)[:, None]
    tapered = (windows - windows.mean(axis=1, keepdims=True)) * taper
    power = 2 * np.abs(np.fft.rfft(tapered, axis=1)[:, 1:]) ** 2 / (RATE * (taper**2).sum()) + POWER_FLOOR
    edges = np.unique(np.geomspace(1, power.shape[1] + 1, 13).astype(int) - 1)[:-1]
    bands = np.add.reduceat(power, edges, axis=1)
    share = power / power.sum(axis=1, keepdims=True)
    quantiles = np.quantile(windows, [0.05, 0.25, 0.5, 0.75, 0.95], axis=1)
    features = [windows.mean(axis=1), windows.std(axis=1), *quantiles]
    features += [jerk.std(axis=1), np.quantile(np.abs(jerk), 0.95, axis=1), *np.log10(bands).swapaxes(0, 1)]
    features += [-(share * np.log(share)).sum(axis=1), (power.argmax(axis=1) + 1) / steps, pairs]
    return np.concatenate(features, axis=1)


def rocket_features(windows, known, kernels=5000, seed=0):
    """Features of random convolutions (MiniRocket): (n, steps, channels) -> (n, kernels) float32.

    The share of steps at which each convolution exceeds its threshold; the thresholds are taken from
    ``known`` windows, so equal ones give features that fit together. ``kernels`` is rounded to a multiple of
    84. Needs 9 steps. Source: A. Dempster, D. F. Schmidt, G. I. Webb, MiniRocket, KDD 2021, by aeon.
    """
    check_windows(windows, known)
    rocket = MiniRocket(kernels, random_state=seed)
    known, windows = (np.ascontiguousarray(x.swapaxes(1, 2), np.float32) for x in (known, windows))
    return rocket.fit(known).transform(windows)


def fit_ridge(features, labels, held, penalties=PENALTIES):
    """Fit a ridge classifier: returns a function of features (n, k) that gives (n, classes) scores.

    The regression's targets are 1 for a row's own class and -1 for the others. The penalty is the one of
    ``penalties`` that is right most often on the rows ``held``, when it has learnt from the others, of equals
    the one with the least squared error; then all rows are fitted. As sklearn's RidgeClassifierCV, with one
    Gram matrix for all penalties.
    """
    target = np.where(np.asarray(labels)[:, None] == np.unique(labels), 1.0, -1.0)
    mean, offset = features.mean(axis=0, dtype=float), target.mean(axis=0)
    scale = features.std(axis=0, dtype=float)
    scale[scale < 1e-9] = 1  # a constant feature has no weight
    x, basis = (features - mean) / scale, None
    if len(x) < x.shape[1]:  # the weights lie in the space of the rows, which is smaller
        basis = np.linalg.qr(x.T)[0]
        x = x @ basis
    parts = [(x[rows].T @ x[rows], x[rows].T @ (target[rows] - offset)) for rows in (~held, held)]

    def weights(gram, moments, penalty):
        return solve(gram + penalty * np.eye(len(gram)), moments, assume_a="pos")

    def failure(penalty):
        guess, truth = x[held] @ weights(*parts[0], penalty) + offset, target[held]
        # Not by the error alone: where little can be told it is least for weights that say next to nothing.
        return (guess.argmax(axis=1) != truth.argmax(axis=1)).mean(), ((guess - truth) ** 2).mean()

    fitted = weights(*map(sum, zip(*parts, strict=True)), min(penalties, key=failure))
    fitted = (fitted if basis is None else basis @ fitted) / scale[:, None]
    return lambda other: other @ fitted + (offset - mean @ fitted)


def scaled_features(real, generated):
    """Return the `activity_features` of both sides, standardised by the real ones."""
    features = [activity_features(windows) for windows in (real, generated)]
    return map(StandardScaler().fit(features[0]).transform, features)


def correlations(windows):
    """Correlation of each pair of channels within each window, (n, pairs); 0 where a channel is constant."""
    centred = windows - windows.mean(axis=1, keepdims=True, dtype=float)
    products = np.einsum("nti,ntj->nij", centred, centred)
    deviations = np.sqrt(np.einsum("nii->ni", products))
    found = products / np.maximum(deviations[:, :, None] * deviations[:, None], np.finfo(float).tiny)
    return found[:, *np.triu_indices(windows.shape[2], 1)]


def tstr(train_x, train_y, test_x, test_y, seed=0, kind="forest", trees=300, kernels=5000):
    """Train an activity classifier on one set of windows, test it on another.

    Train on synthetic and test on real (TSTR), or the reverse (TRTS), or train on a mixture. ``kind`` is
    "forest", a random forest on `activity_features`, or "rocket", a ridge classifier on `rocket_features`,
    which sees how a window goes on in time; the forest hardly does: compare with windows shuffled in time.
    Returns "accuracy", "macro_f1" and "f1", {activity as text: F1}, over the activities of the test. Of TRTS
    the accuracy is the *condition adherence*: the share of generated windows that a classifier of real ones
    gives the activity that was asked for. Raises ValueError if labels and windows differ in number.
    """
    check_windows(train_x, test_x)
    check_labels(train_x, train_y)
    check_labels(test_x, test_y)
    activities = np.unique(test_y)
    if kind == "forest":
        forest = RandomForestClassifier(trees, random_state=seed)
        said = forest.fit(activity_features(train_x), train_y).predict(activity_features(test_x))
    else:
        known, asked = (rocket_features(x, train_x, kernels, seed) for x in (train_x, test_x))
        scores = fit_ridge(known, train_y, held_out(len(known), seed=seed))(asked)
        said = np.unique(train_y)[scores.argmax(axis=1)]
    f1 = f1_score(test_y, said, labels=activities, average=None, zero_division=0)
    named = dict(zip(map(str, activities.tolist()), f1.tolist(), strict=True))
    return {"accuracy": float((said == test_y).mean()), "macro_f1": float(f1.mean()), "f1": named}

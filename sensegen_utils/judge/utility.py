"""What generated windows are good for: features of windows, and an activity classifier trained on them."""

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score
from sklearn.preprocessing import StandardScaler

from sensegen_utils.data.layout import RATE
from sensegen_utils.judge.checks import check_labels, check_windows

# Squared units per Hz: white noise of 0.5 mg, about the sensor's resolution. Above 20 Hz the archive's own
# low-pass leaves less by ten orders of magnitude, which says nothing of movement.
POWER_FLOOR = 1e-8


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


def tstr(train_x, train_y, test_x, test_y, seed=0, trees=300):
    """Train an activity classifier on one set of windows, test it on another: a random forest on features.

    Train on synthetic and test on real (TSTR), or the reverse (TRTS), or train on a mixture. Returns
    "accuracy", "macro_f1" and "f1", {activity as text: F1}, over the activities of the test. Nearly blind to
    the order of time: compare with windows shuffled in time. Raises ValueError if labels and windows differ
    in number.
    """
    check_windows(train_x, test_x)
    check_labels(train_x, train_y)
    check_labels(test_x, test_y)
    forest = RandomForestClassifier(trees, random_state=seed)
    forest.fit(activity_features(train_x), train_y)
    said, activities = forest.predict(activity_features(test_x)), np.unique(test_y)
    f1 = f1_score(test_y, said, labels=activities, average=None, zero_division=0)
    named = dict(zip(map(str, activities.tolist()), f1.tolist(), strict=True))
    return {"accuracy": float((said == test_y).mean()), "macro_f1": float(f1.mean()), "f1": named}

"""What all judges share: which windows they refuse, how they scale them, and the mean over seeds.

Windows are (n, steps, channels): total acceleration x, y, z (g), then angular velocity x, y, z (rad/s), or
one channel alone. Labels are (n,) integers.
"""

import numpy as np
from scipy.stats import t as student

# The panel of classifier two-sample tests, strong ones first; the last is the report's own.
KINDS = {
    "rocket": "random convolutions", "quant": "interval quantiles", "trees": "boosted trees",
    "features": "features", "cnn": "residual network", "report": "the report's D",
}  # fmt: skip


def check_windows(*groups):
    """Raise ValueError unless all are finite (n, steps, channels) with equal steps and channels."""
    for windows in groups:
        if np.ndim(windows) != 3 or not np.size(windows):
            raise ValueError(f"shape {np.shape(windows)} instead of (n, steps, channels), none of them 0")
        if windows.shape[1:] != groups[0].shape[1:]:
            sizes = (*windows.shape[1:], *groups[0].shape[1:])
            raise ValueError("windows of {} steps and {} channels beside windows of {} and {}".format(*sizes))
        if not np.isfinite(windows).all():
            raise ValueError("the windows hold values that are not finite: did the generator diverge?")


def check_labels(windows, labels):
    """Raise ValueError unless there are as many labels as windows."""
    if len(windows) != len(labels):
        raise ValueError(f"{len(labels)} labels for {len(windows)} windows")


def standardised(real, *groups):
    """Return each group of windows, float64, scaled by the mean and deviation of the real ones' channels."""
    mean, deviation = (f(real, axis=(0, 1), dtype=float) for f in (np.mean, np.std))
    return [(windows - mean) / np.where(deviation > 0, deviation, 1) for windows in groups]


def held_out(count, subject=None, seed=0):
    """Choose a fifth of the volunteers, or of ``count`` windows without ``subject`` (n,): (n,) of booleans.

    Raises ValueError for a ``subject`` of another length or with a single volunteer.
    """
    groups = np.arange(count) if subject is None else np.asarray(subject)
    if len(groups) != count:
        raise ValueError(f"{len(groups)} subjects for {count} real windows")
    members = np.random.default_rng(seed).permutation(np.unique(groups))
    if len(members) < 2:
        raise ValueError("a judge needs at least two volunteers: one of them is held out of its training")
    return np.isin(groups, members[: max(1, len(members) // 5)])


def interval(values):
    """Return the mean over seeds and its 95 % t-interval: "mean", "low", "high" (None for a single value)."""
    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return {"mean": mean, "low": None, "high": None}
    half = float(student.ppf(0.975, count - 1) * np.std(values, ddof=1) / np.sqrt(count))
    return {"mean": mean, "low": mean - half, "high": mean + half}


def prediction_interval(values):
    """Return the range of one more seed's value, with 95 % (t): (low, high), both None for a single value."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return None, None
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) * np.sqrt(1 + 1 / len(values))
    return float(values.mean() - half), float(values.mean() + half)

"""What all judges share: which windows they refuse, how they scale them, and the mean over seeds.

Windows are (n, steps, channels) in physical units: total acceleration x, y, z (g), then angular velocity
x, y, z (rad/s), or one channel alone. Labels are (n,) integers. All judges call `check_windows`.
"""

import numpy as np
from scipy.stats import t as student


def check_windows(*groups):
    """Raise ValueError unless all are (n, steps, channels), with equal steps and channels, and finite."""
    for windows in groups:
        if np.ndim(windows) != 3 or not np.size(windows):
            raise ValueError(f"shape {np.shape(windows)} instead of (n, steps, channels), none of them 0")
        if windows.shape[1:] != groups[0].shape[1:]:
            sizes = (*windows.shape[1:], *groups[0].shape[1:])
            raise ValueError("windows of {} steps and {} channels beside windows of {} and {}".format(*sizes))
        if not np.isfinite(windows).all():
            raise ValueError("the windows hold values that are not finite: did the generator diverge?")


def check_labels(windows, labels):
    """Raise ValueError unless there is one label for each window."""
    if len(windows) != len(labels):
        raise ValueError(f"{len(labels)} labels for {len(windows)} windows")


def standardised(real, *groups):
    """Return each group of windows in standard deviations of the real ones, channel by channel: float64."""
    mean, deviation = (f(real, axis=(0, 1), dtype=float) for f in (np.mean, np.std))
    return [(windows - mean) / np.where(deviation > 0, deviation, 1) for windows in groups]


def interval(values):
    """Return the mean over seeds and its 95 % t-interval: "mean", "low", "high" (None for a single value)."""
    values = np.asarray(values, float)
    mean = float(values.mean())
    if len(values) < 2:
        return {"mean": mean, "low": None, "high": None}
    half = float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return {"mean": mean, "low": mean - half, "high": mean + half}

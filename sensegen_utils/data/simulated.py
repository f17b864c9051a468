"""A stand-in for the UCI HAR archive, from a fixed seed: simulated people in its layout."""

import zipfile
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from sensegen_utils.data import layout
from sensegen_utils.data.layout import ACTIVITIES, RATE, STEP, WINDOW
from sensegen_utils.files import atomic_path

ORDER = (5, 4, 6, 1, 3, 2)  # of the activities in the archive's recordings
UPRIGHT = (1.0, -0.17, -0.05)
GRAVITY = {4: (0.96, 0.12, 0.14), 6: (0.07, 0.65, 0.56)}  # direction in the phone's axes, else upright
# For the moving activities: step rate relative to walking; standard deviations of body acceleration (g) and
# rotation (rad/s) along x (vertical), y, z, about those of the archive; weight of the heel's impact.
GAIT = {
    1: (1.0, (0.22, 0.17, 0.14, 0.47, 0.52, 0.33), 0.4),
    2: (0.85, (0.25, 0.17, 0.16, 0.47, 0.52, 0.37), 0.3),
    3: (1.05, (0.37, 0.19, 0.15, 0.59, 0.53, 0.36), 1.0),
}
REST = (0.004, 0.007, 0.007, 0.02, 0.02, 0.015)  # standard deviations of sway and tremor, same units
SENSOR_NOISE = (0.003, 0.003, 0.003, 0.01, 0.01, 0.01)  # standard deviations, same units
GAIT_HARMONICS = np.array([0.5, 1, 2, 3, 4])  # of the step rate; 0.5 is the stride, left and right


def simulate_har(path, seed=0, train_subjects=6, test_subjects=2, repeats=2):
    """Write a zip in the archive's layout with simulated windows to ``path``; return the path.

    Each of the first ``train_subjects`` and ``test_subjects`` volunteers does the six activities ``repeats``
    times, 20 to 25 windows each, in two recordings. Gravity lies by posture, gait is a sum of harmonics of a
    personal step rate (1.5 to 2.1 Hz), total acceleration (g) is gravity + body acceleration, and rotation
    (rad/s) follows the same steps. One seed gives one content.
    """
    path, rng, folder = Path(path), np.random.default_rng(seed), layout.FOLDER
    files = {name: "Simulated data have no derived features.\n" for name in layout.EXPECTED}
    files[f"{folder}/README.txt"] = (
        f"{layout.SIMULATED_MARKER}\n\nMade by simulate_har(seed={seed}) in the layout of the UCI HAR archive"
        ", to try the notebooks\nwithout it. No number computed from these data says anything about people.\n"
    )
    files[f"{folder}/activity_labels.txt"] = "".join(f"{key} {name}\n" for key, name in ACTIVITIES.items())
    for part, subjects in (("train", train_subjects), ("test", test_subjects)):
        windows, *labels = _windows(rng, layout.SUBJECTS[part][:subjects], repeats)
        for name, values in zip(layout.SIGNALS, windows, strict=True):
            files[f"{folder}/{part}/Inertial Signals/{name}_{part}.txt"] = layout.archive_text(values)
        for name, codes in zip(("y", "subject"), labels, strict=True):
            files[f"{folder}/{part}/{name}_{part}.txt"] = "".join(f"{code}\n" for code in codes)
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name in layout.EXPECTED:
            info = zipfile.ZipInfo(name)  # of a fixed date, so that one seed gives one file
            archive.writestr(info, files[name], zipfile.ZIP_DEFLATED, compresslevel=1)
    return path


def _windows(rng, subjects, repeats):
    """Return windows, (9, n, 128) float32, and their activities and subjects, (n,) each."""
    windows, labels = [], []
    for subject in subjects:
        person = _person(rng)
        for activity in ORDER * repeats:
            count = int(rng.integers(20, 26))
            for share in (count // 2, count - count // 2):
                signals = _motion(rng, person, activity, (share + 1) * STEP)
                windows.append(sliding_window_view(signals, WINDOW, axis=1)[:, ::STEP])
                labels += [(activity, subject)] * share
    return np.concatenate(windows, axis=1), *np.array(labels).T


def _person(rng):
    return {
        "rate": rng.uniform(1.5, 2.1),
        "tilt": Rotation.from_rotvec(rng.normal(0, 0.12, 3)),
        "strength": rng.uniform(0.85, 1.15),
        "weights": np.array([0.7, 1, 0.5, 0.15, 0.05]) * rng.uniform(0.5, 1.5, (6, len(GAIT_HARMONICS))),
        "phases": rng.uniform(0, 2 * np.pi, (6, len(GAIT_HARMONICS))),
    }


def _motion(rng, person, activity, samples):
    """Return (9, samples) float32, the signals in the order of SIGNALS."""
    posture = np.array(GRAVITY.get(activity, UPRIGHT))
    tilt = person["tilt"] * Rotation.from_rotvec(rng.normal(0, 0.03, 3))
    gravity = tilt.apply(posture / np.linalg.norm(posture))[:, None]
    motion = np.array(REST)[:, None] * _slow(rng, (6, samples))
    if activity in GAIT:
        motion += _gait(rng, person, *GAIT[activity], samples)
    motion += np.array(SENSOR_NOISE)[:, None] * rng.normal(size=(6, samples))
    return np.concatenate([motion, gravity + motion[:3]]).astype(np.float32)


def _gait(rng, person, pace, deviations, impact, samples):
    # Neither the rhythm nor the strength of steps is quite regular.
    rate = person["rate"] * pace * (1 + 0.03 * _slow(rng, samples))
    strength = person["strength"] * (1 + 0.08 * _slow(rng, samples))
    phase = 2 * np.pi * (rng.uniform() + np.cumsum(rate) / RATE)
    weights = person["weights"] * np.where(GAIT_HARMONICS > 1, impact / 0.4, 1)
    weights *= np.array(deviations)[:, None] / np.sqrt((weights**2).sum(axis=1, keepdims=True) / 2)
    waves = np.cos(GAIT_HARMONICS[:, None] * phase + person["phases"][:, :, None])
    return strength * np.einsum("sh,sht->st", weights, waves)


def _slow(rng, shape):
    """Return noise of unit variance that changes over about a second, along the last axis of ``shape``."""
    noise = gaussian_filter1d(rng.normal(size=shape), RATE / 2, mode="wrap")
    return noise * np.sqrt(2 * np.sqrt(np.pi) * RATE / 2)

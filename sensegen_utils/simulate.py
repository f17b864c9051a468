"""A stand-in for the archive, for machines without it: same layout, simulated movement, fixed seed."""

import zipfile
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from sensegen_utils.har import ACTIVITIES, EXPECTED, FOLDER, SIGNALS, SIMULATED_MARKER, WINDOW
from sensegen_utils.records import atomic_path
from sensegen_utils.series import STEP

RATE = 50  # Hz
SUBJECTS = {  # the archive's own division
    "train": (1, 3, 5, 6, 7, 8, 11, 14, 15, 16, 17, 19, 21, 22, 23, 25, 26, 27, 28, 29, 30),
    "test": (2, 4, 9, 10, 12, 13, 18, 20, 24),
}
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
NOISE = (0.003, 0.003, 0.003, 0.01, 0.01, 0.01)  # of the sensors
HARMONICS = np.array([0.5, 1, 2, 3, 4])  # of the step rate; 0.5 is the stride, left and right


def simulate_har(path, seed=0, train_subjects=6, test_subjects=2, repeats=2):
    """Write a zip in the archive's layout with simulated windows to ``path``; return the path.

    Each of the first ``train_subjects`` and ``test_subjects`` volunteers does the six activities ``repeats``
    times, 20 to 25 windows each, in two recordings; by default about 1600 and 540 windows. Gravity lies by
    posture, gait is a sum of harmonics of a personal step rate (1.5 to 2.1 Hz), total acceleration (g) is
    gravity + body acceleration, rotation (rad/s) follows the same steps. One seed gives one content.
    """
    path, rng = Path(path), np.random.default_rng(seed)
    files = {name: "Simulated data have no derived features.\n" for name in EXPECTED}
    files[f"{FOLDER}/README.txt"] = (
        f"{SIMULATED_MARKER}\n\nMade by simulate_har(seed={seed}) in the layout of the UCI HAR archive, to "
        "try the notebooks\nwithout it. No number computed from these data says anything about people.\n"
    )
    files[f"{FOLDER}/activity_labels.txt"] = "".join(f"{key} {name}\n" for key, name in ACTIVITIES.items())
    for part, subjects in (("train", train_subjects), ("test", test_subjects)):
        windows, activity, subject = _part(rng, SUBJECTS[part][:subjects], repeats)
        for name, values in zip(SIGNALS, windows, strict=True):
            files[f"{FOLDER}/{part}/Inertial Signals/{name}_{part}.txt"] = archive_text(values)
        files[f"{FOLDER}/{part}/y_{part}.txt"] = "".join(f"{label}\n" for label in activity)
        files[f"{FOLDER}/{part}/subject_{part}.txt"] = "".join(f"{label}\n" for label in subject)
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name in EXPECTED:
            info = zipfile.ZipInfo(name)  # of a fixed date, so that one seed gives one file
            archive.writestr(info, files[name], zipfile.ZIP_DEFLATED, compresslevel=1)
    return path


def _part(rng, subjects, repeats):
    windows, labels = [], []
    for subject in subjects:
        person = _person(rng)
        for activity in ORDER * repeats:
            count = int(rng.integers(20, 26))
            for share in (count // 2, count - count // 2):
                recording = _recording(rng, person, activity, (share + 1) * STEP)
                cut = np.lib.stride_tricks.sliding_window_view(recording, WINDOW, axis=1)[:, ::STEP]
                windows.append(cut)
                labels += [(activity, subject)] * share
    return np.concatenate(windows, axis=1), *np.array(labels).T


def _person(rng):
    decay = np.array([0.7, 1, 0.5, 0.15, 0.05])
    return {
        "rate": rng.uniform(1.5, 2.1),
        "tilt": Rotation.from_rotvec(rng.normal(0, 0.12, 3)),
        "strength": rng.uniform(0.85, 1.15),
        "weights": decay * rng.uniform(0.5, 1.5, (6, len(HARMONICS))),
        "phases": rng.uniform(0, 2 * np.pi, (6, len(HARMONICS))),
    }


def _recording(rng, person, activity, samples):
    """Return (9, samples) float32, the signals in the order of SIGNALS."""
    posture = np.array(GRAVITY.get(activity, UPRIGHT))
    tilt = person["tilt"] * Rotation.from_rotvec(rng.normal(0, 0.03, 3))
    gravity = tilt.apply(posture / np.linalg.norm(posture))[:, None]
    motion = np.array(REST)[:, None] * _slow(rng, 6, samples)
    if activity in GAIT:
        motion += _gait(rng, person, *GAIT[activity], samples)
    motion += np.array(NOISE)[:, None] * rng.normal(size=(6, samples))
    return np.concatenate([motion, gravity + motion[:3]]).astype(np.float32)


def _gait(rng, person, pace, deviations, impact, samples):
    # Neither the rhythm nor the strength of steps is quite regular.
    rate = person["rate"] * pace * (1 + 0.03 * _slow(rng, 1, samples)[0])
    strength = person["strength"] * (1 + 0.08 * _slow(rng, 1, samples)[0])
    phase = 2 * np.pi * (rng.uniform() + np.cumsum(rate) / RATE)
    weights = person["weights"] * np.where(HARMONICS > 1, impact / 0.4, 1)
    weights *= np.array(deviations)[:, None] / np.sqrt((weights**2).sum(axis=1, keepdims=True) / 2)
    waves = np.cos(HARMONICS[:, None] * phase + person["phases"][:, :, None])
    return strength * np.einsum("sh,sht->st", weights, waves)


def _slow(rng, rows, samples):
    """Return noise of unit variance that changes over about a second."""
    noise = gaussian_filter1d(rng.normal(size=(rows, samples)), RATE / 2, axis=1, mode="wrap")
    return noise * np.sqrt(2 * np.sqrt(np.pi) * RATE / 2)


def archive_text(values):
    """Values (n, columns) as text in the archive's own format, one row a line."""
    line = "%15.7e" * values.shape[1] + "\r\n"
    text = line * len(values) % tuple(values.ravel().tolist())
    # The archive's exponents have three digits.
    return text.replace("e+", "e+0").replace("e-", "e-0")

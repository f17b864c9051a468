"""Two stand-ins for measured data, from a fixed seed: people in UCI HAR's layout, and vibrating machines."""

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
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

# Speed relative to that at work; amplitudes (m/s^2) at once, twice and three times the speed, from unbalance,
# misalignment and looseness; standard deviation (m/s^2) of the noise.
STATES = {
    "idle": (0.7, (0.25, 0.10, 0.05), 0.05),
    "run": (1.0, (1.0, 0.45, 0.25), 0.10),
    "worn bearing": (1.0, (1.0, 0.45, 0.25), 0.12),
}
CHANNELS = ("vertical_acc", "horizontal_acc")
# Blows of a pit on the inner race in one turn: half of the 8 elements, times 1 + d / D cos(contact angle).
INNER_RACE = 8 / 2 * (1 + 0.2)
IMPACT, EXTENT = 8.0, 0.4  # m/s^2 under the full load; Stribeck's epsilon, below 0.5: there is play
RESONANCE, DECAY = 110, 0.006  # Hz, s
PAUSE = 10  # s between two recordings of a machine
LOWEST_RATE = 300  # Hz; no machine's resonance lies beyond half of it


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
    motion = np.array(REST)[:, None] * _slow(rng, (6, samples), RATE)
    if activity in GAIT:
        motion += _gait(rng, person, *GAIT[activity], samples)
    motion += np.array(SENSOR_NOISE)[:, None] * rng.normal(size=(6, samples))
    return np.concatenate([motion, gravity + motion[:3]]).astype(np.float32)


def _gait(rng, person, pace, deviations, impact, samples):
    # Neither the rhythm nor the strength of steps is quite regular.
    rate = person["rate"] * pace * (1 + 0.03 * _slow(rng, samples, RATE))
    strength = person["strength"] * (1 + 0.08 * _slow(rng, samples, RATE))
    phase = 2 * np.pi * (rng.uniform() + np.cumsum(rate) / RATE)
    weights = person["weights"] * np.where(GAIT_HARMONICS > 1, impact / 0.4, 1)
    weights *= np.array(deviations)[:, None] / np.sqrt((weights**2).sum(axis=1, keepdims=True) / 2)
    waves = np.cos(GAIT_HARMONICS[:, None] * phase + person["phases"][:, :, None])
    return strength * np.einsum("sh,sht->st", weights, waves)


def _slow(rng, shape, rate):
    """Return noise of unit variance that changes over about a second, along the last axis of ``shape``."""
    noise = gaussian_filter1d(rng.normal(size=shape), rate / 2, mode="wrap")
    return noise * np.sqrt(2 * np.sqrt(np.pi) * rate / 2)


def simulate_vibration(machines=6, seconds=60, rate=400, seed=0):
    """Return the vibration of ``machines`` machines, each measured for ``seconds``, as a table of samples.

    The columns: "time" (s, with a pause between a machine's recordings), "vertical_acc" and "horizontal_acc"
    (m/s^2, on the housing of one bearing, resolution 0.001), "state" ("idle", "run", "worn bearing": one
    recording each, a third of the seconds), "machine" (1, 2, ...). ``rate`` is in Hz. One seed gives one
    table. Raises ValueError for no machine, for recordings shorter than a second, and below 300 Hz.

    The shaft turns 13 to 17 times a second. Its harmonics shake the housing in two directions, a quarter of a
    turn apart. The worn bearing is the model of P. D. McFadden and J. D. Smith (Journal of Sound and
    Vibration 96(1), 1984, 69-82): each rolling element that meets the pit on the inner race strikes a blow,
    as strong as the load (Stribeck's) where the pit then is, and the blow rings in a decaying resonance. One
    thing is not to scale: a real housing rings at some kHz, this one near 110 Hz, so that 400 Hz carry it.
    """
    if machines < 1 or seconds < len(STATES) or rate < LOWEST_RATE:
        least = f"one machine, {len(STATES)} s (one for each state), {LOWEST_RATE} Hz for the resonance"
        raise ValueError(f"{machines=}, {seconds=}, {rate=}: there must be at least {least}.")
    rng, samples, tables = np.random.default_rng(seed), int(seconds * rate / len(STATES)), []
    for number in range(1, machines + 1):
        machine = _machine(rng)
        for order, state in enumerate(STATES):
            clock = order * (samples / rate + PAUSE) + np.arange(samples) / rate
            vibration = _vibration(rng, machine, state, samples, rate).round(3)
            columns = {"time": clock.round(6), **dict(zip(CHANNELS, vibration, strict=True))}
            tables.append(pd.DataFrame(columns).assign(state=state, machine=number))
    return pd.concat(tables, ignore_index=True)


def _machine(rng):
    return {
        "speed": rng.uniform(13, 17),
        "gains": rng.uniform(0.85, 1.15, (len(CHANNELS), 3)),
        "phases": rng.uniform(-0.6, 0.6, (len(CHANNELS), 3)),
        "pit": rng.uniform(),  # where on the ring, in turns from the unbalance
        "resonance": RESONANCE * rng.uniform(0.93, 1.07),
        "impact": IMPACT * rng.uniform(0.8, 1.2),
    }


def _vibration(rng, machine, state, samples, rate):
    """Return (2, samples), the vertical and the horizontal acceleration (m/s^2)."""
    relative, amplitudes, noise = STATES[state]
    speed = machine["speed"] * relative * (1 + 0.01 * _slow(rng, samples, rate))
    turns = rng.uniform() + np.cumsum(speed) / rate
    times, quarter = np.arange(1, 4)[:, None], np.array([0, np.pi / 2])[:, None, None]
    angles = 2 * np.pi * times * turns - times * quarter + machine["phases"][:, :, None]
    vibration = np.einsum("ch,cht->ct", machine["gains"] * amplitudes, np.cos(angles))
    if state == "worn bearing":
        # The sensors stand at right angles, the blows come from the loaded side, below.
        vibration += np.array([[1.0], [0.7]]) * _blows(rng, machine, turns, samples, rate)
    return vibration + noise * rng.normal(size=vibration.shape)


def _blows(rng, machine, turns, samples, rate):
    slip = 0.02 * np.cumsum(rng.normal(size=samples)) / np.sqrt(rate)  # in turns
    passed = INNER_RACE * (turns + slip)
    hits = np.arange(np.ceil(passed[0]), passed[-1])
    moments = np.interp(hits, passed, np.arange(samples))  # in samples, between two of them
    pit = 2 * np.pi * (machine["pit"] + np.interp(moments, np.arange(samples), turns))
    load = np.clip(1 - (1 - np.cos(pit)) / (2 * EXTENT), 0, None) ** 1.5
    index = np.ceil(moments).astype(int)[:, None] + np.arange(int(8 * DECAY * rate))
    elapsed = (index - moments[:, None]) / rate
    ringing = np.exp(-elapsed / DECAY) * np.sin(2 * np.pi * machine["resonance"] * elapsed)
    weights = machine["impact"] * load[:, None] * ringing
    return np.bincount(index.ravel(), weights.ravel(), minlength=samples)[:samples]

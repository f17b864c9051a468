"""Artificial people for the tests of the judges, and what every metric must do with them."""

import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from sensegen_utils.judge import contenders

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


TRAIN, HELD_OUT, OTHERS = (people(420, seed) for seed in (1, 2, 3))
COUNTS = dict.fromkeys(range(1, 7), 70)
BROKEN = {name: generate(*TRAIN, COUNTS) for name, generate in contenders.BROKEN.items()}
ALL = BROKEN | {"train": TRAIN, "others": OTHERS}


def check_distance(distance, blind):
    """Assert that ``distance(name in ALL)`` is small for the same process and large for the broken ones.

    Except for those that it is blind to; all metrics are blind to a copy of the training set.
    """
    reference = max(abs(distance("train")), abs(distance("others")))
    assert distance("copy of training") == pytest.approx(distance("train"), abs=0.01)
    for broken in BROKEN.keys() - {"copy of training"}:
        if broken in blind:
            assert abs(distance(broken)) <= 1.1 * reference, broken
        else:
            assert distance(broken) > 3 * reference, broken


def check_json_and_same_again(everything):
    """Assert that results can be written as JSON, without NaN, and that a second call gives the same."""
    assert json.dumps(everything(), allow_nan=False) == json.dumps(everything(), allow_nan=False)

"""Two generators that need no neural network: a vector autoregression and a block bootstrap.

A learned generator has to beat both to be worth its training. The autoregression knows the spectra and cross
spectra of each activity and nothing else: it is the linear predictor that our own generator starts from, with
Gaussian innovations in place of the LSTM. The bootstrap has every detail right but for the seams, and shows
what a metric makes of copies.

Sources: H. Luetkepohl, New Introduction to Multiple Time Series Analysis, 2005, chapters 2 and 3; H. R.
Kuensch, The Jackknife and the Bootstrap for General Stationary Observations, Annals of Statistics 17, 1989.
"""

import numpy as np

from sensegen_utils.linear_prediction import innovations_by_label, of_label, restore

BLOCK = 32  # samples, 0.64 s: about one step of a walk, so a seam comes once a step


def var_nll(predictors, windows, activity):
    """NLL of each step given those before it, all channels jointly: (n, steps), nats, in the windows' units.

    ``predictors`` are `fit_by_label`'s. Raises ValueError for windows of an activity that they lack.
    """
    left, volume = innovations_by_label(windows, activity, predictors)
    return (0.5 * left.astype(float) ** 2 + 0.5 * np.log(2 * np.pi)).sum(axis=2) + volume


def sample_var(predictors, counts, steps, seed):
    """Draw windows of Gaussian innovations: float32 (n, steps, channels), and their activities (n,).

    ``predictors`` are `fit_by_label`'s, ``counts`` {activity: number}. A window begins with a draw from the
    distribution of single samples, so none is a copy, and needs no burn-in. Equal arguments give equal
    windows. Raises ValueError for an activity that ``predictors`` lack.
    """
    drawn = []
    for label, count in counts.items():
        own = of_label(predictors, label)
        noise = np.random.default_rng([seed, label]).standard_normal((count, steps, len(own["mean"])))
        drawn.append(restore(noise, own))
    return np.concatenate(drawn), _labels(counts)


def block_bootstrap(windows, activity, subject, counts, seed, steps=128, block=BLOCK):
    """Glue windows from random blocks of real windows: float32 (n, steps, channels), and activities (n,).

    ``windows`` is (n, length, channels), ``activity`` and ``subject`` (n,), ``counts`` {activity: number}. A
    block is ``block`` successive values of one real window, from anywhere in it. All blocks of a drawn window
    are of one activity and one volunteer, drawn as often as he or she has windows: blocks of several would
    differ in gravity and gait, and every seam would be a jump. Seams stand at random places, or a judge would
    look for them at the same ones.

    Raises ValueError for a block longer than the windows, or an activity without windows.
    """
    if not 1 <= block <= windows.shape[1]:
        raise ValueError(f"a block must have 1 to {windows.shape[1]} values, not {block}")
    # One block more than fills the window, of which a random part is cut off in front.
    blocks = -(-steps // block) + 1
    drawn = []
    for label, count in counts.items():
        rows = np.flatnonzero(activity == label)
        if not len(rows):
            raise ValueError(f"no windows of activity {label}; there are {np.unique(activity).tolist()}")
        rng = np.random.default_rng([seed, label])
        people = subject[rng.choice(rows, count)]
        sources = np.stack([rng.choice(rows[subject[rows] == person], blocks) for person in people])
        offsets = rng.integers(windows.shape[1] - block + 1, size=(count, blocks, 1)) + np.arange(block)
        glued = windows[sources[:, :, None], offsets].reshape(count, blocks * block, -1)
        kept = rng.integers(block, size=(count, 1)) + np.arange(steps)
        drawn.append(np.take_along_axis(glued, kept[:, :, None], axis=1).astype(np.float32))
    return np.concatenate(drawn), _labels(counts)


def _labels(counts):
    return np.repeat(list(counts), list(counts.values()))

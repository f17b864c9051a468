"""What our generator is compared with: real people, two baselines, four negative controls, other models.

The vector autoregression (VAR) knows the spectra and cross-spectra of each activity and nothing else: it is
our whitening filter, with Gaussian innovations in place of the LSTM's. The block bootstrap is right in every
detail but the seams, and shows what a metric makes of copies. Sources: H. Luetkepohl, New Introduction to
Multiple Time Series Analysis, 2005, chapters 2 and 3; H. R. Kuensch, The Jackknife and the Bootstrap for
General Stationary Observations, 1989.
"""

import numpy as np

from sensegen_utils.data.layout import WINDOW
from sensegen_utils.data.recordings import of_subjects, stack_signals
from sensegen_utils.model.whitening import innovations_by_label, of_label, restore

BLOCK = 32  # samples, 0.64 s: about one step of a walk, so a seam comes once a step


def real_windows(har, subjects, signals, most, seed):
    """Return the real windows that all contenders are compared with: {"train": side, "test": side}.

    A side has "x" (n, 128, channels), "y" (n,), the activities, and "subject" (n,). The volunteers of
    validation are on the side of training, since the generator has met them. Of more than ``most[part]``
    windows so many are drawn; None takes all.
    """
    real, volunteers = {}, subjects | {"train": (*subjects["train"], *subjects["validation"])}
    for part in ("train", "test"):
        side = of_subjects(har[part], volunteers[part])
        rows = np.sort(np.random.default_rng(seed).permutation(len(side["activity"]))[: most[part]])
        windows = stack_signals(side, signals)[rows]
        real[part] = {"x": windows, "y": side["activity"][rows], "subject": side["subject"][rows]}
    return real


def halves(subject, seed):
    """Draw half of the volunteers; return the rows of their windows, and as many rows of the others'."""
    rng = np.random.default_rng(seed)
    first = np.isin(subject, rng.permutation(np.unique(subject))[::2])
    size = min(first.sum(), (~first).sum())
    return [np.sort(rng.permutation(np.flatnonzero(side))[:size]) for side in (first, ~first)]


def in_order(windows, activity, wanted):
    """Return windows (n, ...) in the order of the ``wanted`` activities (n,).

    So a real window and the one in its row are of the same activity, when judges are compared by volunteer.
    """
    placed = np.empty_like(windows)
    placed[np.argsort(wanted, kind="stable")] = windows[np.argsort(activity, kind="stable")]
    return placed


def draw(name, known, counts, predictors, seed):
    """Draw from a baseline or a control by its name: float32 (n, steps, channels), and activities (n,).

    ``known`` is a side of `real_windows`, ``counts`` {activity: number}, ``predictors`` are a whitening's.
    """
    x, y, steps = known["x"], known["y"], known["x"].shape[1]
    if name == "VAR":
        return sample_var(predictors, counts, steps, seed)
    if name == "block bootstrap":
        return block_bootstrap(x, y, known["subject"], counts, seed, steps)
    return BROKEN[name](x, y, counts, seed)


def package_files(folder, model):
    """Return {name: file} of the samples in ``folder`` that other models have drawn (docs/benchmarks.md)."""
    files = sorted(folder.glob(f"08_*-{model}-seed*.npz"))
    return {path.stem[3:].rsplit("-", 2)[0].replace("-", " "): path for path in files}


def draw_from_file(path, part, counts, seed):
    """Draw from a file for "train" or "test": float32 (n, steps, channels), and their activities (n,)."""
    with np.load(path) as stored:
        return copy_of_training(stored[part].astype(np.float32), stored[f"{part}_activity"], counts, seed)


def var_nll(predictors, windows, activity):
    """NLL of each step given those before it, all channels jointly: (n, steps), nats, in the windows' units.

    ``predictors`` are a whitening's. Raises ValueError for windows of an activity that they lack.
    """
    left, volume = innovations_by_label(windows, activity, predictors)
    return (0.5 * left.astype(float) ** 2 + 0.5 * np.log(2 * np.pi)).sum(axis=2) + volume


def sample_var(predictors, counts, steps, seed):
    """Draw windows of Gaussian innovations: float32 (n, steps, channels), and their activities (n,).

    ``predictors`` are a whitening's, ``counts`` {activity: number}. A window begins with a draw from the
    distribution of single samples, so it needs no burn-in. Raises ValueError for an activity that
    ``predictors`` lack.
    """
    drawn = []
    for label, count in counts.items():
        own = of_label(predictors, label)
        noise = np.random.default_rng([seed, label]).standard_normal((count, steps, len(own["mean"])))
        drawn.append(restore(noise, own))
    return np.concatenate(drawn), np.repeat(list(counts), list(counts.values()))


def block_bootstrap(windows, activity, subject, counts, seed, steps=WINDOW, block=BLOCK):
    """Glue windows from random blocks of real windows: float32 (n, steps, channels), and activities (n,).

    ``windows`` is (n, length, channels), ``activity`` and ``subject`` (n,), ``counts`` {activity: number}.
    The blocks of a drawn window, ``block`` values each, are of one activity and one volunteer: else every
    seam would be a jump, as people differ in gravity and gait. Seams stand at random places, or a judge would
    look for them there. Raises ValueError for a block longer than the windows, or an activity without any.
    """
    if not 1 <= block <= windows.shape[1]:
        raise ValueError(f"a block must have 1 to {windows.shape[1]} values, not {block}")
    blocks = -(-steps // block) + 1  # one more than fills the window: a random part in front is cut off
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
    return np.concatenate(drawn), np.repeat(list(counts), list(counts.values()))


def white_noise(windows, activity, counts, seed=0):
    """Noise without memory, with each channel's mean and deviation, and labels it knows nothing of."""
    labels = np.repeat(list(counts), list(counts.values()))
    mean, deviation = (f(windows, axis=(0, 1), dtype=float) for f in (np.mean, np.std))
    noise = np.random.default_rng(seed + 1).normal(mean, deviation, (len(labels), *windows.shape[1:]))
    return noise.astype(np.float32), labels


def shuffled_time(windows, activity, counts, seed=0):
    """Real windows whose samples are in random order, the channels of one moment together."""
    copies, labels = copy_of_training(windows, activity, counts, seed)
    order = np.random.default_rng(seed + 1).permuted(np.indices(copies.shape[:2])[1], axis=1)
    return np.take_along_axis(copies, order[:, :, None], axis=1), labels


def class_mean(windows, activity, counts, seed=0):
    """For each activity its mean window, over and over."""
    labels = np.repeat(list(counts), list(counts.values()))
    means = {label: windows[np.asarray(activity) == label].mean(axis=0) for label in counts}
    return np.stack([means[label] for label in labels.tolist()]).astype(np.float32), labels


def copy_of_training(windows, activity, counts, seed=0):
    """Real windows as they are, and their labels; of an activity each at most once if there are enough."""
    rows = []
    for label, count in counts.items():
        own = np.flatnonzero(np.asarray(activity) == label)
        rows.extend(np.random.default_rng(seed).choice(own, count, replace=count > len(own)))
    return windows[rows], np.asarray(activity)[rows]


BROKEN = {
    "white noise": white_noise, "shuffled time": shuffled_time, "class mean": class_mean,
    "copy of training": copy_of_training,
}  # fmt: skip
CONTENDERS = ("G", "VAR", "block bootstrap", *BROKEN)

"""Windows of anybody's sensor in training, validation and test: by whole groups, or else by time."""

from itertools import pairwise

import numpy as np

PARTS = ("train", "validation", "test")


def split_by_group(windows, shares=(0.6, 0.2, 0.2), seed=0):
    """Divide what `own_sensor.cut_windows` returns into training, validation and test part, by whole groups.

    ``shares`` are of the number of groups; ``seed`` chooses which, so that as few labels as possible are
    missing from a part. Without groups each label's time is divided instead: the first share of it is for
    training, the last for the test (``seed`` changes nothing), and windows across a border are dropped, so no
    sample is in two parts. **Then the held-out numbers are optimistic**: the test is of the same person or
    machine, moments later, not of another one.

    Returns a dict: "train", "validation", "test", each a dict of "x" ((n, steps, channels) float32), "label"
    ((n,) int codes or None), "group" ((n,) or None) and "start" ((n,) int), and "label_names", "channels",
    "rate", "by" ("group" or "time"), "dropped" (windows across a border). Raises ValueError for fewer than
    three groups, for shares that are not three positive numbers of sum 1, for a part without windows, for a
    label that training lacks, and for a channel that is constant in training, or all channels in one label.
    """
    if len(shares) != 3 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise ValueError(f"shares={shares}: give three positive numbers of sum 1, such as (0.6, 0.2, 0.2).")
    by_group = windows["group"] is not None
    part = _parts_by_group(windows, shares, seed) if by_group else _parts_by_time(windows, shares)
    counts = np.bincount(part[part >= 0], minlength=3)
    if not counts.all():
        raise ValueError(
            f"{len(part)} windows are too few: {PARTS[counts.argmin()]} would have none. Record more, "
            "shorten the windows, or change the shares."
        )
    _check_training(windows, part == 0)
    fields = ("x", "label", "group", "start")
    return {
        name: {field: None if windows[field] is None else windows[field][part == number] for field in fields}
        for number, name in enumerate(PARTS)
    } | {
        "label_names": windows["label_names"],
        "channels": windows["channels"],
        "rate": windows["rate"],
        "by": "group" if by_group else "time",
        "dropped": int((part < 0).sum()),
    }


def _check_training(windows, training):
    for channel, name in enumerate(windows["channels"]):
        if not np.ptp(windows["x"][training, :, channel]):
            raise ValueError(f"Channel {name!r} is constant in all training windows. Leave it out.")
    for code, name in enumerate(windows["label_names"] or []):
        own = windows["x"][training & (windows["label"] == code)]
        if not len(own):
            raise ValueError(
                f"No training window has the label {name!r}. Choose groups that hold several labels each, or "
                "another seed, or leave this label out."
            )
        if not np.ptp(own, axis=(0, 1)).any():
            raise ValueError(f"Nothing varies in the training windows of the label {name!r}. Leave it out.")


def _parts_by_group(windows, shares, seed):
    groups, member = np.unique(windows["group"], return_inverse=True)
    if len(groups) < 3:
        raise ValueError(
            f"Windows of {len(groups)} group(s), {', '.join(map(str, groups))}, cannot be divided into three "
            "parts. Record at least three groups, use a finer one (sessions instead of persons), or read the "
            "sensor without group: then time is divided, and the held-out numbers are optimistic."
        )
    ends = np.round(np.cumsum(shares) * len(groups)).astype(int)
    first = np.clip(ends[0], 1, len(groups) - 2)
    second = np.clip(ends[1], first + 1, len(groups) - 1)
    place = np.repeat([0, 1, 2], [first, second - first, len(groups) - second])
    rng = np.random.default_rng(seed)
    divisions = [rng.permutation(place) for _ in range(100)]
    if windows["label"] is not None:
        holds = np.zeros((len(groups), len(windows["label_names"])), bool)
        holds[member, windows["label"]] = True

        def missing(division):
            absent = [int((~holds[division == part].any(axis=0)).sum()) for part in (0, 1, 2)]
            return absent[0], sum(absent)  # what training lacks cannot be learned, so it comes first

        return min(divisions, key=missing)[member]
    return divisions[0][member]


def _parts_by_time(windows, shares):
    part = np.full(len(windows["x"]), -1)
    steps = windows["x"].shape[1]
    label = np.zeros(len(part), int) if windows["label"] is None else windows["label"]
    for code in np.unique(label):
        own = np.flatnonzero(label == code)
        # On the label's own time axis, without what lies between its windows.
        end = np.cumsum(np.r_[steps, np.minimum(steps, np.diff(windows["start"][own]))])
        begin = end - steps
        edges = np.r_[begin[begin >= steps], end[-1]]  # so that training has at least one window
        borders = [edges[np.abs(edges - share * end[-1]).argmin()] for share in np.cumsum(shares)[:2]]
        for number, (low, high) in enumerate(pairwise([0, *borders, end[-1]])):
            part[own[(begin >= low) & (end <= high)]] = number
    return part

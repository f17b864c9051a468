"""Cut a recording into windows, and divide them into training, validation and test part."""

from itertools import pairwise
from numbers import Integral

import numpy as np
import pandas as pd
from sklearn.model_selection import ShuffleSplit

from own_sensor.clock import place
from own_sensor.reading import KINDS

PARTS = ("train", "validation", "test")
LEAST = 6  # windows of a part: the judges ask for a window's five nearest neighbours


def cut_windows(sensor, steps, stride=None):
    """Cut what `read_sensor` returns into windows of ``steps`` samples that lie in one piece each.

    ``stride`` is from one window's start to the next one's, by default half a window. Returns a dict: "x"
    ((n, steps, channels) float32), "label" ((n,) int, codes into "label_names"; or None), "group" and
    "recording" ((n,) or None), "start" ((n,) int, the first sample), "label_names" (those of windows, or
    None), "channels", "rate" (Hz), "skipped" (samples in pieces that are too short), "outside" (samples in no
    window), "notes" (sentences on what is left out). Raises ValueError, with the longest window that would
    fit, if none does.
    """
    for name, count in (("steps", steps), ("stride", stride)):
        if count is not None and not isinstance(count, Integral):
            raise ValueError(f"{name}={count!r}: it counts samples, so it must be a whole number.")
    stride = max(1, steps // 2) if stride is None else stride
    if steps < 1 or stride < 1:
        raise ValueError(f"steps={steps}, stride={stride}: both count samples and are at least 1.")
    pieces, origin, gaps = sensor["pieces"], sensor["origin"], len(sensor["gaps"])
    lengths = pieces[:, 1] - pieces[:, 0]
    if (longest := lengths.max()) < steps:
        first, end = pieces[lengths.argmax()]
        where = f"{place(origin['places'], first)} to {place(origin['places'], end - 1)}"
        broken = f"; {gaps} gaps in time break the recording." if gaps else "."
        raise ValueError(
            f"{origin['name']}: too short for a window of {steps} samples: the longest of {len(lengths)} "
            f"unbroken pieces, {where}, has {longest}. Use steps={longest} or less{broken}{_filled(sensor)}"
        )
    start = np.concatenate([np.arange(first, end - steps + 1, stride) for first, end in pieces])
    windows = {"x": sensor["values"][start[:, None] + np.arange(steps)], "start": start, "label_names": None}
    windows |= {key: sensor[key] if sensor[key] is None else sensor[key][start] for key in KINDS}
    if windows["label"] is not None:
        names, windows["label"] = np.unique(windows["label"], return_inverse=True)
        windows["label_names"] = names.tolist()
    windows |= {"channels": sensor["channels"], "rate": sensor["rate"]}
    windows |= {"skipped": int(lengths[lengths < steps].sum())}
    covered = np.minimum(np.diff(start, append=start[-1] + steps), steps).sum()
    return windows | _left_out(sensor, windows, len(sensor["values"]) - int(covered))


def _filled(sensor):
    """Return the advice to fill gaps, where there are some."""
    if not sensor["gaps"]:
        return ""
    return f" Single lost samples are interpolated with resample={sensor['rate']:g}."


def _left_out(sensor, windows, outside):
    samples, notes = len(sensor["values"]), []
    if outside > 0.05 * samples:
        notes.append(
            f"{outside / samples:.0%} of the samples ({outside} of {samples}) are in no window: the "
            f"{len(sensor['pieces'])} unbroken pieces are short, {len(sensor['gaps'])} of them begin after a "
            f"gap.{_filled(sensor)}"
        )
    if windows["label"] is not None:
        without = sorted(set(sensor["label"].tolist()) - set(windows["label_names"]), key=str)
        if without:
            names = ", ".join(repr(name) for name in without)
            notes.append(f"labels without a window, because their pieces are too short: {names}")
    return {"outside": outside, "notes": notes}


def split_by_group(windows, shares=(0.6, 0.2, 0.2), seed=0):
    """Divide what `cut_windows` returns into training, validation and test part, by whole groups.

    ``shares`` are of the number of groups. ``seed`` draws a hundred divisions; the first of those is taken
    from whose parts the fewest labels are missing. Without groups, recordings are divided in the same way, if
    there are three of each label. Else each label's time is divided in order, whatever the ``seed``, and
    windows across a border are dropped, so no sample is in two parts. **Without groups the held-out numbers
    are optimistic**: the test is of the same person or machine.

    Returns a dict: "train", "validation", "test" (each a dict of "x", "label", "group", "recording" and
    "start" as in `cut_windows`), "label_names", "channels", "rate", "by" ("group", "recording" or "time"),
    "dropped" (windows across a border). Raises ValueError for impossible shares, fewer than three groups, a
    part of fewer than six windows, which no judge could judge, and if a label is missing, a channel constant,
    or all channels of one label constant, in training.
    """
    if np.shape(shares) != (3,) or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise ValueError(f"shares={shares!r}: give three positive numbers of sum 1, such as (0.6, 0.2, 0.2).")
    label = np.zeros(len(windows["x"]), int) if windows["label"] is None else windows["label"]
    by = _divided_by(windows, label)
    whole = None if by == "time" else windows[by]
    part = _by_time(windows, label, shares) if whole is None else _by_group(whole, label, shares, seed)
    if (counts := np.bincount(part[part >= 0], minlength=3)).min() < LEAST:
        said = (
            f"{len(part)} windows are too few: {PARTS[counts.argmin()]} would have {counts.min() or 'none'}"
        )
        raise ValueError(
            f"{said}, and the judges need {LEAST} in each part. Record more, shorten the windows "
            f"(steps={windows['x'].shape[1]} now), or change the shares."
        )
    _check_training(windows, label, part == 0)
    divided = {"by": by, "dropped": int((part < 0).sum())}
    divided |= {key: windows[key] for key in ("label_names", "channels", "rate")}
    fields = {key: windows[key] for key in ("x", *KINDS, "start")}
    for number, name in enumerate(PARTS):
        divided[name] = {key: it if it is None else it[part == number] for key, it in fields.items()}
    return divided


def _divided_by(windows, label):
    if windows["group"] is not None:
        return "group"
    if windows.get("recording") is None:
        return "time"
    each = pd.DataFrame({"label": label, "recording": windows["recording"]}).drop_duplicates()
    return "recording" if each["label"].value_counts().min() >= 3 else "time"


def _check_training(windows, label, training):
    for name, spread in zip(windows["channels"], np.ptp(windows["x"][training], axis=(0, 1)), strict=True):
        if not spread:
            raise ValueError(f"Channel {name!r} is constant in all training windows. Leave it out.")
    for code, name in enumerate(windows["label_names"] or []):
        own = windows["x"][training & (label == code)]
        if not len(own):
            said = f"No training window has the label {name!r}. Choose groups that hold several labels each"
            raise ValueError(f"{said}, or another seed, or leave this label out.")
        if not np.ptp(own, axis=(0, 1)).any():
            raise ValueError(f"Nothing varies in the training windows of the label {name!r}. Leave it out.")


def _by_group(names, label, shares, seed):
    """Return (n,) int, the part of each window: 0 for training, 1 for validation, 2 for the test."""
    groups, member = np.unique(names, return_inverse=True)
    if (n := len(groups)) < 3:
        raise ValueError(
            f"Windows of {n} group(s), {', '.join(map(str, groups))}, cannot be divided into three parts. "
            "Record at least three groups, use a finer one (sessions instead of persons), or read the sensor "
            "without group: then recordings or time are divided, and the held-out numbers are optimistic."
        )
    first = min(max(round(shares[0] * n), 1), n - 2)
    last = min(max(round(shares[2] * n), 1), n - 1 - first)
    splitter = ShuffleSplit(100, train_size=first, test_size=last, random_state=seed)
    divisions = np.ones((100, n), int)
    for division, (train, test) in zip(divisions, splitter.split(groups), strict=True):
        division[train], division[test] = 0, 2
    holds = pd.crosstab(member, label).to_numpy() > 0
    absent = np.array([(~((divisions == part) @ holds)).sum(axis=1) for part in range(3)])
    # What training lacks cannot be learned, so it comes first.
    return divisions[np.lexsort((absent.sum(axis=0), absent[0]))[0], member]


def _by_time(windows, label, shares):
    """Return the same as `_by_group`, and -1 for a window across a border."""
    part, steps = np.full(len(label), -1), windows["x"].shape[1]
    for code in np.unique(label):
        own = np.flatnonzero(label == code)
        end = np.cumsum(np.r_[steps, np.minimum(steps, np.diff(windows["start"][own]))])
        begin = end - steps  # on the label's own time axis, without what lies between its windows
        edges = np.r_[begin[begin >= steps], end[-1]]  # so that training has at least one window
        borders = [edges[np.abs(edges - share * end[-1]).argmin()] for share in np.cumsum(shares)[:2]]
        for number, (low, high) in enumerate(pairwise([0, *borders, end[-1]])):
            part[own[(begin >= low) & (end <= high)]] = number
    return part

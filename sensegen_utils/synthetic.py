"""Synthetic motion for people who only want the data: load a trained generator, draw, save.

Samples are a dict, so that ``np.load`` gives the same of what `save_npz` wrote: "x" ((n, steps, channels)
float32), "activity" ((n,) int, UCI HAR's codes), "channels" and "units" (names, one a channel), "rate" (Hz),
"known_steps" (of the real windows that they continue, else 0), "model" and "seed" (what drew them); with
``people`` also "subject" ((n,) int, the synthetic volunteers from 1 on).
"""

import tempfile
from numbers import Integral, Real
from pathlib import Path

import numpy as np
import pandas as pd

from sensegen_utils.data.layout import ACTIVITIES, RATE, SIGNALS, UNITS, WINDOW, archive_text
from sensegen_utils.files import ROOT, atomic_path, save_samples
from sensegen_utils.model.generator import load_generator
from sensegen_utils.model.people import draw_style, give_style
from sensegen_utils.model.sampling import sample_windows
from sensegen_utils.profiles import WINDOW_MODELS

NOBODY = "none: no two windows belong to one, so there is no subject_train.txt"
README = Path(__file__).with_name("synthetic_readme.txt").read_text("utf-8")


def load_model(name="six", seed=0, profile="full"):
    """Load a trained generator from ``results/{profile}/models/{name}-seed{seed}.keras``, or from a path.

    ``name`` is "six", which draws total acceleration (g) and angular velocity (rad/s) along x, y, z, or
    "one", only total acceleration x. A path must end in such a file name, which says what the channels are.
    Returns a dict: "generator", "whitening", "channels", "units", "rate" (Hz), "file", "styles" (of people,
    from "six-people.npz" or "one-people.npz" beside it, or None). Raises FileNotFoundError, with the models
    that there are, if it is missing; ValueError if it is damaged, or not of UCI HAR's activities and these
    channels.
    """
    if not isinstance(name, str | Path):
        raise ValueError(f"name={name!r}: give six, one, or the path of a model's file")
    ours = Path("results", profile, "models", f"{name}-seed{seed}.keras")
    path = ROOT / ours if name in WINDOW_MODELS else Path(name)
    if not path.exists():
        others = [_from_root(each) for each in sorted(ROOT.glob("results/*/models/*.keras"))]
        raise FileNotFoundError(
            f"no trained model {_from_root(path)}; there are: {', '.join(others) or 'none'}. Give one of "
            'these, or run notebook 07, whose PROFILE, MODEL ("one" or "six") and SEED name the file'
        )
    generator, whitening = load_generator(path)
    kind = path.stem.rpartition("-seed")[0]
    channels = list(WINDOW_MODELS[kind]["signals"]) if kind in WINDOW_MODELS else []
    known = whitening or {"labels": [], "mean": []}
    if not channels or len(channels) != len(known["mean"]) or not set(known["labels"]) <= set(ACTIVITIES):
        raise ValueError(
            f"{path} has {len(known['mean'])} channels and the labels {known['labels']}: it is not what its "
            f"name says. Models of UCI HAR's activities are called {'- or '.join(WINDOW_MODELS)}-seed0.keras "
            "and so on; others are drawn from with model.sampling"
        )
    about = {"units": [UNITS[channel] for channel in channels], "rate": RATE, "file": _from_root(path)}
    about["styles"] = _styles(path.with_name(f"{kind}-people.npz"))
    return {"generator": generator, "whitening": whitening, "channels": channels} | about


def sample(
    model, activity="WALKING", windows=10, seconds=2.56, seed=0, prefix=None, mixture_temperature=1.0,
    sigma_temperature=1.0, candidates=1, log_odds=None, people=None,
):  # fmt: skip
    """Draw ``windows`` labelled windows of each activity, one activity after the other.

    With ``people`` so many synthetic volunteers have as many windows each, one volunteer after the other
    within an activity. The windows of a volunteer belong together, as `model.people` says and notebook 8f
    shows. Without, no two windows do: do not divide them by person.

    ``activity`` is a name, a code from 1 to 6, a list of them, or None: all that the model knows. ``prefix``
    (n, known steps, channels), in the model's units at its rate, are real windows to continue, in the order
    of the result; they are not part of it. The model was trained on 2.56 s, known steps included: look at
    longer windows before you use them. Temperatures below 1 make samples more typical. With ``candidates`` a
    discriminator, ``log_odds``, keeps one of so many for each window (notebook 8d), before it gets a style.
    Equal arguments give equal samples on one machine.

    Returns the samples, as above. Raises ValueError, which says what to give, for a wrong argument.
    """
    if not isinstance(model, dict) or "whitening" not in model:
        raise ValueError(f"model={model!r:.80}: give what load_model returns")
    codes = model["whitening"]["labels"] if activity is None else _codes(activity)
    if not isinstance(windows, Integral) or windows < 1:
        raise ValueError(f"windows={windows!r}: give a whole number of windows for each activity, at least 1")
    if not isinstance(seconds, Real) or not 1 <= seconds * RATE < np.inf:
        raise ValueError(f"seconds={seconds!r}: one sample takes {1 / RATE} s, so give at least that")
    if people is not None:
        if not isinstance(people, Integral) or people < 1:
            raise ValueError(f"people={people!r}: give a whole number of synthetic volunteers, at least 1")
        if model.get("styles") is None:
            raise ValueError(f"{model['file']} has no styles of people beside it: notebook 8f fits them")
        if prefix is not None or round(seconds * RATE) != WINDOW:
            raise ValueError("volunteers have windows of 2.56 s from the start: no prefix, no other seconds")
    known = None
    if prefix is not None:
        prefix = np.asarray(prefix, np.float32)
        n, channels = windows * len(codes), len(model["channels"])
        if prefix.ndim != 3 or prefix.shape[::2] != (n, channels) or not prefix.shape[1]:
            raise ValueError(
                f"prefix of shape {prefix.shape}: {windows} windows for each of {len(codes)} activities need "
                f"({n}, known steps, {channels}), the channels being {', '.join(model['channels'])}"
            )
        most = [8 if unit == "g" else 50 for unit in model["units"]]  # beyond it is another unit
        if (wrong := ~(np.abs(prefix) <= most)).any():
            row, step, channel = np.argwhere(wrong)[0]
            there = f"{prefix[row, step, channel]:g} in {model['channels'][channel]}"
            asked = f"give finite numbers in {model['units'][channel]}"
            raise ValueError(f"window {row} of prefix holds {there}: {asked}")
        known = dict(zip(codes, np.split(prefix, len(codes)), strict=True))
    x, label = sample_windows(
        model["generator"], model["whitening"], dict.fromkeys(codes, windows * (people or 1)),
        round(seconds * RATE), seed, known, mixture_temperature, sigma_temperature, candidates, log_odds,
    )  # fmt: skip
    about = {key: model[key] for key in ("channels", "units", "rate")}
    about |= {"known_steps": 0 if prefix is None else prefix.shape[1], "model": model["file"], "seed": seed}
    if people is not None:
        about["subject"] = np.tile(np.repeat(np.arange(1, people + 1), windows), len(codes))
        rng = np.random.default_rng([seed, *b"people"])  # not the stream of the first samples
        for own in (about["subject"] == who for who in range(1, people + 1)):
            x[own] = give_style(x[own], label[own], draw_style(model["styles"], rng), model["styles"])
    return {"x": x, "activity": label} | about


def to_frame(samples):
    """Samples as a tidy table: window, activity (name), seconds, and a column for each channel with its unit.

    One row a moment. Seconds count from a window's first drawn sample. Raises ValueError for no samples.
    """
    _check(samples)
    n, steps, channels = samples["x"].shape
    columns = {
        "window": np.repeat(np.arange(n), steps),
        **{name: np.repeat(samples[name], steps) for name in ("subject",) if name in samples},
        "activity": np.repeat([ACTIVITIES[int(code)] for code in samples["activity"]], steps),
        "seconds": np.tile(np.arange(steps) / int(samples["rate"]), n),
    }
    values = samples["x"].reshape(-1, channels).T
    return pd.DataFrame(columns | dict(zip(_names_with_units(samples), values, strict=True)))


def save_npz(samples, path):
    """Write samples as a compressed .npz, in one move. Raises ValueError for another suffix or no samples."""
    _check(samples, path, ".npz")
    save_samples(path, **samples)


def save_csv(samples, path):
    """Write `to_frame`'s table as .csv or .csv.gz, in one move. Raises ValueError as `save_npz`."""
    _check(samples, path, ".csv", ".csv.gz")
    with atomic_path(path) as temporary:
        to_frame(samples).to_csv(temporary, index=False)


def save_har_layout(samples, folder):
    """Write windows of 128 samples as a training part in UCI HAR's own files and text format.

    README.txt says what drew them and which of the archive's files are missing, and why. The folder appears
    as a whole, in place of an earlier one of this function. Raises ValueError for windows of another length,
    for what is no samples, and for a folder that holds anything else.
    """
    _check(samples)
    folder, steps = Path(folder).expanduser().resolve(), samples["x"].shape[1]
    if steps != WINDOW:
        raise ValueError(f"windows of {steps} samples: UCI HAR's have {WINDOW}, so draw with seconds=2.56")
    readme = folder / "README.txt"
    known = {"README.txt", "activity_labels.txt", "train/y_train.txt", "train/subject_train.txt"}
    known |= {f"train/Inertial Signals/{signal}_train.txt" for signal in SIGNALS}
    ours = readme.is_file() and readme.read_text("utf-8", "replace").startswith(README.splitlines()[0])
    there = {each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()}
    ours &= there <= known | {".DS_Store"}  # and nothing but ours, and what a Mac leaves
    if folder.exists() and not ours and (folder.is_file() or any(folder.iterdir())):
        raise ValueError(f"{folder} is there already, and is no folder of synthetic data: choose another")
    files = {
        "README.txt": _readme(samples),
        "activity_labels.txt": "".join(f"{code} {name}\n" for code, name in ACTIVITIES.items()),
        "train/y_train.txt": "".join(f"{code}\n" for code in samples["activity"]),
    }
    if "subject" in samples:
        files["train/subject_train.txt"] = "".join(f"{who}\n" for who in samples["subject"])
    for channel, values in zip(samples["channels"], np.moveaxis(samples["x"], 2, 0), strict=True):
        files[f"train/Inertial Signals/{channel}_train.txt"] = archive_text(values)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".synthetic-") as temporary:
        new = Path(temporary) / folder.name
        for name, text in files.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).write_text(text, "utf-8", newline="")
        if folder.exists():
            folder.rename(Path(temporary) / ".earlier")
        new.rename(folder)


def _from_root(path):
    path, root = Path(path).absolute(), ROOT.absolute()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _styles(path):
    try:
        return dict(np.load(path)) if path.exists() else None
    except Exception as error:  # damaged zips raise a dozen kinds
        raise ValueError(f"{path} is damaged ({error}): run notebook 8f again, or delete it") from error


def _codes(activity):
    given = list(activity) if np.iterable(activity) and not isinstance(activity, str | dict) else [activity]
    by_name = {name: code for code, name in ACTIVITIES.items()}
    codes = [by_name.get(each.upper(), each) if isinstance(each, str) else each for each in given]
    for code in codes:
        if not isinstance(code, Real) or code not in ACTIVITIES:
            known = ", ".join(f"{name} ({code})" for name, code in by_name.items())
            raise ValueError(f"unknown activity {code!r}; there are: {known}")
    if not codes or len(set(codes)) < len(codes):
        raise ValueError(f"activity={activity!r}: give at least one activity, and each once")
    return [int(code) for code in codes]


def _check(samples, path="", *suffixes):
    if not hasattr(samples, "keys") or not {"x", "activity", "channels", "rate"} <= set(samples):
        raise ValueError(f"samples={samples!r:.80}: give what sample returns, or what save_npz wrote of it")
    if suffixes and not str(path).endswith(suffixes):
        raise ValueError(f"{path} must end in {' or '.join(suffixes)}")


def _names_with_units(samples):
    return [f"{name} ({unit})" for name, unit in zip(samples["channels"], samples["units"], strict=True)]


def _readme(samples):
    counts = zip(*np.unique(samples["activity"], return_counts=True), strict=True)
    continued = f"each continues {samples['known_steps']} samples of a given window, not in this folder"
    return README.format(
        windows=", ".join(f"{ACTIVITIES[int(code)]} {count}" for code, count in counts),
        signals=", ".join(_names_with_units(samples)),
        continued=continued if samples["known_steps"] else "none continues another",
        volunteers=f"{max(samples['subject'])}, synthetic, too" if "subject" in samples else NOBODY,
        **samples,
    )

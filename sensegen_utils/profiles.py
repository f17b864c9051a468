"""The profiles and the experiments: reads config/*.yaml, the one place where their numbers stand."""

from pathlib import Path

import yaml

CONFIG = Path(__file__).resolve().parents[1] / "config"  # of this checkout, whatever SENSEGEN_ROOT says


def read(name):
    """Return the content of config/<name>.yaml, with tuples for its lists."""
    return _tuples(yaml.safe_load((CONFIG / f"{name}.yaml").read_text("utf-8")))


def _tuples(value):
    """Return ``value`` with a tuple for every list: nobody changes these numbers by accident."""
    if isinstance(value, dict):
        return {key: _tuples(each) for key, each in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


_EXPERIMENTS = read("experiments")
SUBJECTS = _EXPERIMENTS["SUBJECTS"]
SIGMA_FLOOR = _EXPERIMENTS["SIGMA_FLOOR"]
BEYOND_FLOOR = _EXPERIMENTS["BEYOND_FLOOR"]
CURVE_RUN = _EXPERIMENTS["CURVE_RUN"]
PUBLISHED_START_RUN = _EXPERIMENTS["PUBLISHED_START_RUN"]
EXPERIMENTS = _EXPERIMENTS["EXPERIMENTS"]
VARIANTS = _EXPERIMENTS["VARIANTS"]
STANDARDISED_RUNS = _EXPERIMENTS["STANDARDISED_RUNS"]
WINDOW_MODELS = _EXPERIMENTS["WINDOW_MODELS"]
PROFILES = {name: {"subjects": SUBJECTS} | read(name) for name in ("smoke", "quick", "full")}


def get_profile(name):
    """Return the numbers of a profile; raise ValueError, which lists the profiles, for an unknown name.

    A sweep has those of the profile that its file, config/sweep-*.yaml, names, but for those that it changes.
    """
    if name.startswith("sweep-") and (CONFIG / f"{name}.yaml").exists():
        sweep = read(name)
        return _get("profile", sweep["profile"], PROFILES) | sweep["numbers"]
    return _get("profile", name, PROFILES)


def get_model(name):
    """Return a model on the true time axis; raise ValueError, which lists them, for an unknown name."""
    return _get("model", name, WINDOW_MODELS)


def get_variant(name, lstm_layers):
    """Return how G is trained on the report's axis; raise ValueError, which lists the variants, as above."""
    return _get("variant", "published-start" if (name, lstm_layers) == ("", 1) else name, VARIANTS)


def _get(what, name, known):
    if name not in known:
        raise ValueError(f"unknown {what} {name!r}; choose one of: {', '.join(known)}")
    return known[name]


def run_name(signal, lstm_units, lstm_layers, seed, sigma_floor=SIGMA_FLOOR, variant=""):
    """Return the name of one training run, for its files; what is not the default is part of it."""
    floor = "" if sigma_floor == SIGMA_FLOOR else f"-floor{sigma_floor:g}"
    return f"{signal}-{lstm_layers}x{lstm_units}-seed{seed}{floor}{f'-{variant}' * bool(variant)}"


def window_run_name(model, seed, steps=128, components=24):
    """The same for a run on the true time axis."""
    changed = f"-{steps}steps" * (steps != 128) + f"-{components}components" * (components != 24)
    return f"{model}{changed}-seed{seed}"

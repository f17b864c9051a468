"""Records: every number that a run produces, with the settings that determine it and what made it."""

import json
import time
from pathlib import Path
from reprlib import repr as short

from sensegen_utils import profiles
from sensegen_utils.files import ROOT, atomic_path
from sensegen_utils.report.words import duration

PICTURES = [f"total_acc_x_{steps}" for steps in (1000, 2000, 4000)]  # of notebook 5, as in the report
PICTURES += ["body_gyro_x_2000", "pairs_800", "failed_case"]


def get_run(
    path, settings, compute, provenance, files=(), checkpoints=(), anew=False, hint="How long is not known."
):
    """Return the record at ``path`` if it was made with ``settings``; else compute, store and return it.

    A stored record may hold more settings than are asked for. ``compute`` takes no argument and returns a
    dict of results; ``provenance`` is that function's. Without one of the ``files`` beside its record
    (weights, rows) a run is not finished. ``checkpoints`` are what a stopped run goes on from. ``anew``
    computes in any case; it, and a "version" that was raised, first put both aside, and if they are stopped,
    the next call goes on. Before it computes, this prints why, and how long it took the last time and where,
    or ``hint``. The old record stays if ``compute`` raises, or returns NaN, which is refused with ValueError.
    """
    path, wanted = Path(path), json.loads(json.dumps(settings, default=float))
    missing, begun_anew = [each for each in files if not each.exists()], path.with_suffix(".anew")
    forget = anew
    try:
        stored = load_record(path)
        told = stored.get("settings", {})
        differ = [name for name in wanted if name not in told or told[name] != wanted[name]]
        if not (differ or missing or anew):
            commit = computed_by(stored)["git_commit"]
            print(f"found: records/{path.name}, made {_how(stored)}, commit {commit}")
            return stored
        forget = anew or "version" in differ
        said = (f"{name} {short(told.get(name, 'not stated'))}, now {short(wanted[name])}" for name in differ)
        reason = f"{missing[0].name} is missing" if missing and not anew else "asked for anew"
        reason = f"made with other settings ({'; '.join(said)})" if differ else reason
    except (FileNotFoundError, ValueError) as error:
        stored, reason = None, "not readable" if isinstance(error, ValueError) else "there is none yet"
    print(f"records/{path.name}: {reason}. Computing. {_last_time(stored, path) or hint}", flush=True)
    if forget and not begun_anew.exists():
        for each in filter(Path.exists, (*files, *checkpoints)):
            each.replace(each.with_name(f"{each.name}.old"))  # nothing that took long is deleted
        path.parent.mkdir(parents=True, exist_ok=True)
        begun_anew.touch()
    provenance, results = provenance | {"wall_seconds": -time.monotonic()}, compute()
    head = {"provenance": provenance, "settings": wanted}
    save_record(head | results | head, path)
    begun_anew.unlink(missing_ok=True)
    return load_record(path)


def save_record(record, path):
    """Write a record as JSON, in one move; a clock that runs in its provenance is stopped.

    NaN is refused with ValueError, which names its key.
    """
    made = record["provenance"]
    if (made["wall_seconds"] or 0) < 0:
        made = made | {"wall_seconds": round(made["wall_seconds"] + time.monotonic(), 1)}
    for key, value in record.items():
        try:
            json.dumps(value, allow_nan=False, default=float)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{key!r} of {path} cannot be stored ({error}): write null, say why") from error
    text = json.dumps(record | {"provenance": made}, indent=1, allow_nan=False, default=float)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", "utf-8")


def load_record(path):
    """Read a record. Raises FileNotFoundError or ValueError, naming the file and what makes it anew."""
    path = Path(path)
    number, profile = path.stem.split("_")[0], path.absolute().parts[-3].removeprefix("simulated-")
    remake = f"run notebook {number} with the parameters in this name, or ./run_all.sh {profile}"
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"no record {path}: {remake}") from error
    except ValueError as error:
        raise ValueError(f"{path} is not a readable record ({error}): delete it and {remake}") from error


def computing_seconds(record):
    """Return how long computing a record took, or None if it does not say.

    "wall_seconds" counts only from the last checkpoint on; the seconds of all epochs or rows are longer then.
    """
    parts = [record, *record.get("rows", []), *record.get("predictors", [])]
    logged = sum(part.get("training_seconds", part.get("seconds", 0)) for part in parts)
    return max(logged, record["provenance"]["wall_seconds"] or 0) or None


def computed_by(record):
    """Return "machine" and "git_commit" of the last part of a record's computing."""
    return (record.get("trained_on") or [record["provenance"]])[-1]


def load_results(folder, seed=0):
    """Load the records of ``results/<profile>`` that audit and tables need, and all of them as "all".

    Records of notebooks 1 to 4 must be there, but for "beyond", "published_start", "published_weights" and
    "three_layers"; raises as `load_record`. What else has not run is None, or an empty list or dict.
    """
    folder, everything = Path(folder), []

    def load(name, needed=True):
        path = folder / "records" / f"{name}.json"
        everything.extend([load_record(path)] if needed or path.exists() else [])
        return everything[-1] if needed or path.exists() else None

    def generator(seed, model=profiles.CURVE_RUN, needed=True, **what):
        return load(f"02_mdn_generator-{profiles.run_name(**model, seed=seed, **what)}", needed)

    def loop(signal, lstm_units, lstm_layers, epochs):
        return load(f"04_alternating_training-{profiles.run_name(signal, lstm_units, lstm_layers, seed)}")

    def by_model(name):
        for model in profiles.WINDOW_MODELS:
            paths = (folder / "records").glob(f"{name}-{model}*.json")
            yield model, [load(path.stem) for path in sorted(paths)]

    def named(variant):
        return sorted(path.stem for path in (folder / "records").glob(f"02_mdn_generator-*-{variant}.json"))

    data, audit = load("01_data_preparation"), folder / "records" / "06_audit.json"
    made, audited = data["provenance"], load_record(audit) if audit.exists() else {}
    seeds = range(seed, seed + profiles.get_profile(made["profile"])["generator_seeds"])
    return {
        "data": data,
        "profile": made["profile"],
        "kind": made["data"]["kind"],
        "curves": [generator(each) for each in seeds],
        "published_sigma": [load(name) for name in named("published-sigma")],
        "published_start": generator(seed, profiles.PUBLISHED_START_RUN, False, variant="published-start"),
        "standardised": [load(name) for name in named("standardised")],
        "beyond": generator(seed, needed=False, sigma_floor=profiles.BEYOND_FLOOR),
        "failure": load("02b_nan_in_training"),
        "published_weights": load("02c_published_weights", False),
        "three_layers": load("02d_three_layers", False),
        "judge": load(f"03_discriminator-{profiles.run_name(**profiles.CURVE_RUN, seed=seed)}"),
        "predictors": load("03b_next_step_predictor"),
        "experiments": [loop(**each) for each in profiles.EXPERIMENTS],
        "aliasing": audited.get("aliasing"),
        "seeds": audited.get("seeds", []),
        "models": dict(by_model("07_true_time_axis")),
        "ablation": load("07b_ablation", False),
        "fidelity": {model: found[0] for model, found in by_model("08_fidelity") if found},
        "use": {model: found[0] for model, found in by_model("08b_use_and_privacy") if found},
        "stronger": {model: found[0] for model, found in by_model("08c_stronger_judges") if found},
        "choosing": {model: found[0] for model, found in by_model("08d_choosing") if found},
        "common": {model: found[0] for model, found in by_model("08e_common_measures") if found},
        "people": {model: found[0] for model, found in by_model("08f_synthetic_volunteers") if found},
        "sensor": load("09_your_own_sensor", False),
        "vibration": load(f"09_your_own_sensor-vibration-seed{seed}", False),
        "pictures": [name for name in PICTURES if (folder / "figures" / f"05_{name}.png").exists()],
        "all": everything,
    }


def _how(record):
    machine, seconds = computed_by(record)["machine"], computing_seconds(record)
    return f"{f'in {duration(seconds)} ' * bool(seconds)}on {machine['processor']} ({machine['cores']} cores)"


def _last_time(stored, path):
    """Tell how long the stored record took, or else that of the full profile; None if neither says so."""
    whose, full = "The last time it was made", ROOT / "results" / "full" / "records" / path.name
    if stored is None and full.exists() and full != path:
        whose, stored = "In the full profile it was made", load_record(full)
    return f"{whose} {_how(stored)}." if stored and computing_seconds(stored) else None

# Which run of which notebook needs which others. ./run_all.sh calls this, with the options in engine/run.sh.
#
# One rule a kind of run. A run writes results/<folder>/{records,figures,samples,models}, an executed copy of its
# notebook and a log, and last of all its receipt, results/<folder>/runs/<run>.json. A receipt that no longer says
# what is asked makes its run, and what depends on it, run again (engine/receipts.py). The age of files says
# nothing after a checkout: hence ancient() on results, and an old date on every receipt.

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

sys.path[:0] = [workflow.basedir, str(Path(workflow.basedir, "engine"))]
import receipts
from sensegen_utils import profiles as p

PROFILE = config["profile"]
N = p.get_profile(PROFILE)
BASE = f"{os.environ['SENSEGEN_ROOT']}/results" if os.environ.get("SENSEGEN_ROOT") else "results"
RESULTS = f"{BASE}/{config['folder']}"  # simulated-<profile> for simulated data
S = int(os.environ.get("SENSEGEN_SEED", 0))  # of all runs, for maintainers: docs/maintenance.md, "Tolerances"
if S and BASE == "results":
    sys.exit(f"SENSEGEN_SEED={S}: set SENSEGEN_ROOT too, to a folder for the results; those of seed 0 stay as they are")
OWN = f"{BASE}/{PROFILE}"  # of what needs no archive
DATA = str(config.get("data") or "")  # the sha256 of the archive, if run_all.sh was told
receipts.PLAN["profile"] = PROFILE

GENERATOR = "{signal}-{layers}x{units}-seed{seed}"


wildcard_constraints:
    signal="[a-z_]+",
    layers=r"\d+",
    units=r"\d+",
    seed=r"\d+",
    variant=r"|-floor[0-9.e-]+|-published-start|-published-sigma|-standardised",
    model="[a-z]+",


KINDS = {}


def folder_of(run):
    """The folder of a run's receipt, record and log."""
    return OWN if run.startswith(("00_", "09_", "10_")) else RESULTS


def kind(rule, run, jobs=({},), **what):
    """Note a kind of run: its name, its jobs (their wildcards), and

    needs: names of runs whose records it reads; also: other results that it reads; after: runs that must be done;
    writes: what others need or a reader looks at, beside the record; parameters and numbers: what it is asked.
    """
    defaults = dict(needs=(), also=(), after=(), writes=(), record=True, parameters={},
                    numbers=(), constants=lambda w: {}, archive=True, memory=2000, tells=None)
    KINDS[rule] = defaults | what | dict(rule=rule, run=run, jobs=[dict(job) for job in jobs])
    KINDS[rule]["folder"] = folder_of(run)


def code(run):
    name = run.partition("-")[0]
    return "sensegen_utils/report/render.py" if name == "report" else f"notebooks/{name}.ipynb"


def of_signal(w):
    return {"SIGNAL": w.signal, "LSTM_UNITS": int(w.units), "LSTM_LAYERS": int(w.layers), "SEED": int(w.seed)}


def of_generator(w):
    """The parameters of notebook 2: the report's run, the one beyond it, or a variant of it."""
    if w.variant.startswith("-floor"):
        return of_signal(w) | {"FLOOR": float(w.variant[len("-floor"):]), "EPOCHS": N["beyond_epochs"]}
    if not w.variant:
        return of_signal(w) | {"FLOOR": p.SIGMA_FLOOR}
    epochs = N[f"{w.variant[1:].replace('-', '_')}_epochs"]
    if w.variant == "-standardised":
        this = w.signal, int(w.units), int(w.seed) - S
        (run,) = (run for run in p.STANDARDISED_RUNS if (run["signal"], run["lstm_units"], run["seed"]) == this)
        epochs = min(epochs, run["epochs"])
    return of_signal(w) | {"FLOOR": p.SIGMA_FLOOR, "VARIANT": w.variant[1:], "EPOCHS": epochs}


def wildcards(model, seed=S, **more):
    """The wildcards of a model in config/experiments.yaml."""
    names = {"signal": "signal", "layers": "lstm_layers", "units": "lstm_units"}
    return {wildcard: model[name] for wildcard, name in names.items()} | {"seed": seed} | more


GENERATORS = [wildcards(p.CURVE_RUN, seed, variant="") for seed in range(S, S + N["generator_seeds"])]
if N["beyond_epochs"]:
    GENERATORS.append(wildcards(p.CURVE_RUN, variant=f"-floor{p.BEYOND_FLOOR:g}"))
if N["published_start_epochs"]:
    GENERATORS.append(wildcards(p.PUBLISHED_START_RUN, variant="-published-start"))
GENERATORS += [
    wildcards(p.CURVE_RUN, seed, variant="-published-sigma") for seed in range(S, S + N["published_sigma_seeds"])
]
GENERATORS += [
    wildcards(run, S + run["seed"], variant="-standardised") for run in p.STANDARDISED_RUNS[: N["standardised_runs"]]
]
WINDOW_SEEDS = range(S, S + N["window_seeds"])
WINDOWS = [{"model": model, "seed": seed} for model in N["window_models"] for seed in WINDOW_SEEDS]

kind("data_preparation", "01_data_preparation",
     writes=["figures/01_activities.png", "figures/01_two_axes.png"],
     tells=("recordings", "recordings.train"))
kind("mdn_generator", f"02_mdn_generator-{GENERATOR}{{variant}}", GENERATORS,
     parameters=of_generator,
     numbers=lambda w: ["series_steps", "held_out_every"] + ["generator_epochs"] * (not w.variant),
     writes=[f"samples/02_{GENERATOR}{{variant}}.npz", f"figures/02_loss-{GENERATOR}{{variant}}.png",
             f"figures/02_samples-{GENERATOR}{{variant}}.png"],
     tells=("training NLL", "training_nll"))
CURVE = p.run_name(**p.CURVE_RUN, seed=S)
kind("nan_in_training", "02b_nan_in_training", needs=[f"02_mdn_generator-{CURVE}"],
     numbers=["series_steps", "failure_epochs", "failure_seeds"],
     constants=lambda w: {"SIGMA_FLOOR": p.SIGMA_FLOOR, "CURVE_RUN": p.CURVE_RUN},
     writes=[f"samples/02_{CURVE}-failure.npz", "figures/02_nan.png", "figures/02b_nan.png"], tells=("seeds", "rows"))
# Only its record comes with the repository: the weights that it measures are in the public code.
FROM_CLONE = PROFILE == "full" and (
    os.environ.get("SENSEGEN_PUBLISHED_CODE") or os.path.exists(f"{RESULTS}/records/02c_published_weights.json"))
kind("published_weights", "02c_published_weights", [{}] if FROM_CLONE else [],
     also=[f"samples/02_{CURVE}.npz"], after=[f"02_mdn_generator-{CURVE}"], numbers=["series_steps"],
     writes=["samples/02c_published_weights.npz", "figures/02c_samples.png"], tells=("checkpoints", "rows"))
kind("three_layers", "02d_three_layers", [{}] * (PROFILE != "quick"),
     numbers=["series_steps", "three_layers_epochs"],
     constants=lambda w: {"PUBLISHED_START_RUN": p.PUBLISHED_START_RUN, "VARIANTS": p.VARIANTS},
     writes=["figures/02d_three_layers.png"], tells=("NLL, standardised", "variants.standardised.nll"))
kind("discriminator", f"03_discriminator-{GENERATOR}", [wildcards(p.CURVE_RUN)],
     needs=[f"02_mdn_generator-{GENERATOR}"],
     parameters=of_signal, numbers=["judge_epochs", "judge_stride", "judge_losses", "judge_controls"],
     writes=[f"figures/03_discriminator-{GENERATOR}.png", f"figures/03_loss-{GENERATOR}.png"],
     tells=("accuracy on unseen volunteers", "results.0.verdicts.1.accuracy"))
kind("next_step_predictor", "03b_next_step_predictor",
     numbers=["series_steps", "predictor_epochs", "predictor_layers"],
     writes=["figures/03b_predictors.png"], tells=("predictors", "predictors"))
kind("alternating_training", f"04_alternating_training-{GENERATOR}", map(wildcards, p.EXPERIMENTS),
     parameters=of_signal,
     numbers=["series_steps", "rounds", "discriminator_epochs_per_round", "generator_epochs_per_round"],
     constants=lambda w: {"SIGMA_FLOOR": p.SIGMA_FLOOR, "reported_epochs": [
         each["epochs"] for each in p.EXPERIMENTS
         if (each["signal"], each["lstm_units"], each["lstm_layers"]) == (w.signal, int(w.units), int(w.layers))]},
     writes=[f"samples/04_{GENERATOR}.npz", f"figures/04_rounds-{GENERATOR}.png"],
     tells=("training NLL", "training_nll"))


def runs(*rules):
    """The names of all runs of these kinds in this profile."""
    return [KINDS[rule]["run"].format(**job) for rule in rules for job in KINDS[rule]["jobs"]]


def samples(*rules):
    """What their notebooks drew."""
    patterns = [(each, job) for rule in rules for job in KINDS[rule]["jobs"] for each in KINDS[rule]["writes"]]
    return [each.format(**job) for each, job in patterns if each.startswith("samples/")]


LEARNED = any(run["signal"] == "body_gyro_x" for run in p.STANDARDISED_RUNS[: N["standardised_runs"]])
OF_THE_REPORT = ("data_preparation", "mdn_generator", "nan_in_training", "discriminator", "next_step_predictor",
                 "alternating_training")
kind("results_and_figures", "05_results_and_figures", record=False,
     needs=runs(*OF_THE_REPORT), also=samples("mdn_generator", "nan_in_training", "alternating_training"),
     writes=[f"figures/05_{name}.png" for name in (
         "loss_curves", "rounds", "judge", "total_acc_x_1000", "total_acc_x_2000", "total_acc_x_4000",
         "body_gyro_x_2000", "pairs_800", "failed_case", *["gyroscope_not_learned"] * LEARNED)])
kind("where_the_numbers_come_from", "06_where_the_numbers_come_from",
     needs=runs(*OF_THE_REPORT), after=["05_results_and_figures"],
     writes=[f"figures/06_{name}.png" for name in ("aliasing", "published_curve", "nan", "beyond")],
     tells=("claims audited", "audit"))
kind("true_time_axis", "07_true_time_axis-{model}-seed{seed}", WINDOWS,
     parameters=lambda w: {"MODEL": w.model, "SEED": int(w.seed)},
     numbers=["subjects", "window_epochs"], constants=lambda w: {"model": p.WINDOW_MODELS[w.model]},
     writes=["models/{model}-seed{seed}.keras"]
            + [f"figures/07_{name}-{{model}}-seed{{seed}}.png" for name in (
                "loss", "nll", "pit", "samples", "drift", "continued")],
     memory=3000, tells=("test NLL", "nll.test"))
kind("ablation", "07b_ablation", [{}] * (PROFILE != "quick"),
     numbers=["subjects", "ablation_epochs", "ablation_variants", "ablation_seeds"],
     constants=lambda w: {"model": p.WINDOW_MODELS["one"]},
     writes=["figures/07b_ablation.png"], memory=3000, tells=("trainings", "rows"))
OF_MODEL = dict(
    needs=[f"07_true_time_axis-{{model}}-seed{seed}" for seed in WINDOW_SEEDS],
    also=[f"models/{{model}}-seed{seed}.keras" for seed in WINDOW_SEEDS],
    parameters=lambda w: {"MODEL": w.model}, memory=4000)
OF_ONE = OF_MODEL | dict(needs=[f"07_true_time_axis-{{model}}-seed{S}"], also=[f"models/{{model}}-seed{S}.keras"])
MODELS = [{"model": model} for model in N["window_models"]]
kind("fidelity", "08_fidelity-{model}", MODELS, **OF_MODEL,
     numbers=["subjects", "window_seeds", "contenders", "judged_windows", "judge_networks_epochs",
              "timegan_iterations"],
     writes=["figures/08_summary-{model}.png", "figures/08_spectra-{model}.png", "figures/08_tsne-{model}.png"],
     tells=("contenders judged", "rows"))
kind("use_and_privacy", "08b_use_and_privacy-{model}", MODELS, **OF_MODEL,
     numbers=["subjects", "window_seeds", "contenders", "judged_windows", "dtw_windows", "real_sizes",
              "synthetic_shares", "mixing_seeds"],
     writes=["figures/08b_mixing-{model}.png"], tells=("contenders judged", "rows"))
# Not in quick, where two minutes count.
kind("stronger_judges", "08c_stronger_judges-{model}", MODELS if PROFILE != "quick" else [],
     **OF_ONE | {"needs": [*OF_ONE["needs"], "08_fidelity-{model}"]}, numbers=["subjects", "judged_windows", "draws", "panel"],
     writes=["figures/08c_judges-{model}.png", "figures/08c_length-{model}.png"], tells=("contenders judged", "rows"))
kind("choosing", "08d_choosing-{model}", MODELS if PROFILE != "quick" else [],
     needs=["08c_stronger_judges-{model}"], also=[f"models/{{model}}-seed{S}.keras"],
     parameters=lambda w: {"MODEL": w.model}, numbers=["subjects", "judged_windows", "candidates", "panel"],
     writes=["figures/08d_choosing-{model}.png"], memory=4000, tells=("numbers of candidates", "rows"))
kind("common_measures", "08e_common_measures-{model}", MODELS if PROFILE != "quick" else [], **OF_ONE,
     numbers=["subjects", "contenders", "judged_windows", "draws", "judge_networks_epochs", "panel", "real_sizes"],
     writes=["figures/08e_mixing-{model}.png"], tells=("contenders measured", "rows"))
kind("synthetic_volunteers", "08f_synthetic_volunteers-{model}", MODELS if PROFILE != "quick" else [],
     **OF_ONE | {"needs": [*OF_ONE["needs"], "08c_stronger_judges-{model}"]}, numbers=["subjects", "judged_windows", "draws", "panel"],
     writes=["models/{model}-people.npz", "figures/08f_icc-{model}.png", "figures/08f_tsne-{model}.png"],
     tells=("re-identified, synthetic", "alike.synthetic.forest"))
SIX = "full/models/six-seed0.keras"  # comes with the repository; the full profile trains it anew
kind("quickstart", "00_quickstart", record=False, archive=False, also=[f"{BASE}/{SIX}"],
     after=["07_true_time_axis-six-seed0"] * (RESULTS == f"{BASE}/full"),
     writes=["figures/00_quickstart.png"])
kind("explorer", "10_explorer", record=False, archive=False, also=[f"{BASE}/{SIX}"],
     after=["07_true_time_axis-six-seed0"] * (RESULTS == f"{BASE}/full"))
kind("your_own_sensor", "09_your_own_sensor", archive=False,
     numbers=["sensor_epochs", "judge_networks_epochs"],
     writes=[f"figures/09_{name}-basic_motions-seed{S}.png" for name in ("loss", "samples", "judges")],
     tells=("test NLL", "nll.test"))
kind("simulated_sensor", f"09_your_own_sensor-vibration-seed{S}", [{}] * (PROFILE == "full"), archive=False, parameters={"SENSOR": "vibration"},
     numbers=["sensor_epochs", "machines", "judge_networks_epochs"],
     writes=[f"figures/09_{name}-vibration-seed{S}.png" for name in ("loss", "samples", "judges")],
     tells=("test NLL", "nll.test"))
kind("report", "report", record=False, parameters=lambda w: {"FOLDER": config["folder"]},
     needs=runs(*(rule for rule in KINDS if KINDS[rule]["record"])),
     after=["05_results_and_figures", "00_quickstart"], writes=["REPORT.md"])

if PROFILE.startswith("sweep-"):  # nothing but the points of config/sweep-*.yaml: see engine/sweep.py
    import sweep

    NOTEBOOK, POINTS = sweep.read(PROFILE)
    KINDS.clear()
    kind("sweep", f"{NOTEBOOK}-{{point}}", [{"point": point} for point in POINTS],
         parameters=lambda w: POINTS[w.point], numbers=sweep.numbers_of(NOTEBOOK), memory=3000,
         tells=sweep.NOTEBOOKS[NOTEBOOK]["tells"])
    receipts.PLAN["profile"] = f"sweep config/{PROFILE}.yaml"


def place(path, folder=RESULTS):
    """Where a result is: as it says, or in the folder of this profile."""
    return path if path.startswith(BASE) else f"{folder}/{path}"


def receipt(run):
    return f"{folder_of(run)}/runs/{run}.json"


def record_of(run):
    return f"{folder_of(run)}/records/{'06_audit' if run.startswith('06_') else run}.json"


def minutes(each):
    """Minutes that a run takes on one core, as config/<profile>.yaml says."""
    return N["minutes"][each["run"].partition("_")[0]]


def files(each):
    """The results that a run starts from: its receipt keeps their digests."""
    return [record_of(run) for run in each["needs"]] + [place(also) for also in each["also"]]


def asked(each):
    """Return a function of the wildcards: all that the numbers of the run follow from, besides `files`."""

    def of(wildcards):
        call = lambda what: what(wildcards) if callable(what) else what
        return {
            "code": code(each["run"]),
            "version": receipts.version(code(each["run"])),
            "parameters": {"PROFILE": PROFILE} | ({"SEED": S} if S else {}) | call(each["parameters"]),
            "numbers": {name: N[name] for name in call(each["numbers"])} | each["constants"](wildcards)
            | ({"data": DATA} if DATA and each["archive"] else {}),
        }

    return of


def changed(each):
    """Return a function of the wildcards: a file newer than all results if the run's receipt is out of date."""

    def of(wildcards):
        run = each["run"].format(**wildcards)
        note = Path(each["folder"], "logs", f"{run}.changed")
        if not workflow.is_main_process:  # a job of a cluster runs what the main process decided to run
            return []
        what = receipts.what_changed(
            asked(each)(wildcards), [file.format(**wildcards) for file in files(each)], receipt(run)
        )
        receipts.PLAN["changed"][run] = what
        if not what:
            note.unlink(missing_ok=True)
            return []
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(what + "\n")
        return [str(note)]

    return of


RANK = {}  # of a kind: minutes to the end of what waits for it. The longest way is begun first, after notebook 1.
for rule, each in reversed(KINDS.items()):
    waiting = [later for later in RANK if any(code(need) == code(each["run"]) for need in KINDS[later]["needs"])]
    RANK[rule] = minutes(each) + max((RANK[later] for later in waiting), default=0)

ALL = []
for each in KINDS.values():
    receipts.PLAN["by_rule"][each["rule"]] = 60 * minutes(each)
    each["writes"] = list(each["writes"]) + [record_of(each["run"])] * each["record"]
    for job in each["jobs"]:
        run = each["run"].format(**job)
        took = receipts.seconds(record_of(run)) if workflow.dryrun else 0
        if took > 6 * minutes(each):  # else it was only told again, and knows no more of its computing
            receipts.PLAN["last"][run] = took
        ALL.append(receipt(run))
        ALL += [place(path.format(**job), each["folder"]) for path in each["writes"] if "models/" not in path]
if config.get("adopt"):  # for maintainers, before they commit results that have no receipts: these are finished
    for each in KINDS.values():
        for job in each["jobs"]:
            written = [place(path.format(**job), each["folder"]) for path in each["writes"] if "models/" not in path]
            if all(os.path.exists(path) for path in written):
                inputs = receipts.digests(file.format(**job) for file in files(each))
                content = asked(each)(SimpleNamespace(**job)) | {"inputs": inputs}
                receipts.write(Path(receipt(each["run"].format(**job))), content)
if workflow.is_main_process:
    for path in {os.path.dirname(path) for path in ALL if "/runs/" in path}:
        for each in Path(path).glob("*.json"):
            os.utime(each, (946684800, 946684800))
    if not workflow.dryrun:
        LOCK = receipts.held(f"{RESULTS}/logs/.lock")
        if not LOCK:
            sys.exit(f"another ./run_all.sh works in {RESULTS}: wait for it, or stop it")


TO_LOG = "> {log:q} 2>&1"
if os.environ.get("SENSEGEN_VERBOSE"):
    TO_LOG = '> >(tee {log:q} | while IFS= read -r line; do echo "[{params.run}] $line"; done) 2>&1'


rule all:
    input:
        ALL,


for each in KINDS.values():

    rule:
        name:
            each["rule"]
        input:
            files=ancient(files(each)),
            receipts=[receipt(run) for run in (*each["needs"], *each["after"])],
            changed=changed(each),
        output:
            *[update(place(path, each["folder"])) for path in each["writes"]],
            receipt=update(receipt(each["run"])),
        params:
            asked=lambda wildcards, each=each: json.dumps(asked(each)(wildcards)),
            tells=json.dumps(each["tells"]),
            run=each["run"],
        log:
            f"{each['folder']}/logs/{each['run']}.log",
        benchmark:
            f"{each['folder']}/logs/benchmarks/{each['run']}.tsv"
        priority: 10**6 if each["rule"] == "data_preparation" else int(10 * RANK[each["rule"]])
        resources:
            mem_mb=each["memory"],
            runtime=int(6 * minutes(each)) + 15,
        shell:
            "exec python engine/run_notebook.py {params.asked:q} {output.receipt:q} --files {input.files:q}"
            " --writes {output:q} --tells {params.tells:q} " + TO_LOG

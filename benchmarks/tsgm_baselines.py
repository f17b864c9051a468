"""Baselines from the package tsgm 0.1.0: TimeGAN, two VAEs and a diffusion model, each with its own defaults.

Run ``python -m benchmarks.tsgm_baselines {timegan,vae,betavae,ddpm} {one,six}`` from here in an environment
of its own (README.md), for tsgm pins a statsmodels that cannot be imported with pandas 3. Trained on UCI
HAR's training and validation volunteers for ``--minutes``, the model draws as many windows of each activity
as they and the test volunteers have, into ``results/PROFILE/samples/08_tsgm-MODEL-NAME-seedSEED.npz``:

* "train", "test": float32 (windows, 128, channels), in the signals' units. Not float16: its rounding at 1 g
  is half a count of the sensor, and a judge could learn to see it.
* "train_activity", "test_activity": (windows,), the order of the real windows.
* "provenance": JSON text: settings, versions, machines, and for each part of the budget its seconds, epochs
  and losses.

The models, and where their numbers come from:

* ``timegan``: `TimeGAN()` as its constructor has it (GRU, 24 units, 3 layers, batches of 256, gamma 1, Adam).
* ``vae``: `cBetaVAE` on ``cvae_conv5``, 32 latents a step, Adam, batches of 128 (tutorial "cVAE").
* ``betavae``: `BetaVAE` on ``vae_conv5``, 10 latents, Adam, batches of 64 (tutorial "VAE").
* ``ddpm``: `DDPM` on ``ddpm_denoiser``, 1000 steps, Adam(3e-4), batches of 128 (tsgm's own test of it).

All see windows scaled to [0, 1] channel by channel, as in the tutorials. Only ``vae`` takes labels. The
others are trained once for each activity, as tsgm's "Classical Methods vs VAE" does, on a share of the budget
in proportion to the activity's windows: samples without a label could be used for nothing here.

What is not tsgm's default:

* Training ends with the budget, not after a number of epochs. TimeGAN's three phases, which have equally
  many iterations each in its ``fit``, get shares of the time that make them about equal.
* TimeGAN's iterations are those of ``fit``, called one by one, to stop and go on; batches are always full.
* Two things are compiled, which changes no formula: the loss by which TimeGAN decides whether to train its
  discriminator, where ``fit`` would spend more than half of its time, and DDPM's steps back from noise.

A kill costs two minutes of training, or the drawing of one activity; the same command goes on. Weights after
a time are not reproducible to the digit, for the number of epochs depends on the machine.
"""

import argparse
import contextlib
import importlib.metadata
import io
import json
import math
import os
import platform
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")  # tsgm would take JAX where that is installed

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from sensegen_utils import har as uci
from sensegen_utils.profiles import WINDOW_MODELS, get_profile
from sensegen_utils.records import atomic_path, results_dir, save_samples, this_machine
from sensegen_utils.series import of_subjects, stack_signals

PACKAGES = ("tsgm", "tensorflow", "keras", "numpy")
MINUTES = 20
SAVE_EVERY = 120  # seconds of training
# TimeGAN's first phase, of the budget. An iteration of the three phases takes about 0.2, 0.2 and 4 s of one
# core with six channels, so the third comes to about as many as the first; the second has exactly as many.
AUTOENCODER = 0.05
EACH_PHASE = ((0, {}), (AUTOENCODER, {"autoencoder": 1}), (AUTOENCODER, {}))


def main(kind, name, minutes=MINUTES, seed=0, profile="full"):
    """Train one model within ``minutes``, or go on where a kill stopped it; return the path of its samples.

    Raises ValueError for an unknown profile, and for files of the same name that other settings made.
    """
    har = uci.load_har()
    folder, subjects = results_dir(profile, har["kind"]), get_profile(profile)["subjects"]
    signals, run = WINDOW_MODELS[name]["signals"], f"08_tsgm-{kind}-{name}-seed{seed}"
    settings = {
        "model": kind, "signals": list(signals), "minutes": minutes, "seed": seed, "data": har["sha256"],
        "subjects": {part: list(who) for part, who in subjects.items()},
        "tsgm": importlib.metadata.version("tsgm"),
    }  # fmt: skip
    path = folder / "samples" / f"{run}.npz"
    if path.exists():
        with np.load(path) as done:
            check_settings(json.loads(str(done["provenance"]))["settings"], settings, path)
        return path
    train = of_subjects(har["train"], subjects["train"] + subjects["validation"])
    windows, activity = stack_signals(train, signals), train["activity"]
    wanted = {"train": activity, "test": of_subjects(har["test"], subjects["test"])["activity"]}
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    drawn, provenance = train_and_draw(
        kind, windows, activity, wanted, settings, folder / "checkpoints" / run
    )
    save_samples(
        path, **drawn, **{f"{part}_activity": labels for part, labels in wanted.items()},
        provenance=json.dumps(provenance | {"versions": versions | {"python": platform.python_version()}}),
    )  # fmt: skip
    for left in (folder / "checkpoints").glob(f"{run}-part-*.npz"):
        left.unlink()
    return path


def train_and_draw(kind, windows, activity, wanted, settings, stem):
    """Train on windows (n, steps, channels) of activities (n,); draw windows of the activities in ``wanted``.

    ``wanted`` is {name: (k,) activities}; ``settings`` holds "minutes" and "seed"; what a kill would lose is
    kept in files that begin with ``stem``. Returns {name: float32 (k, steps, channels)} and the provenance.
    Raises ValueError for files of other settings, FloatingPointError for losses or samples that are not
    finite.
    """
    labels = np.unique(activity).tolist()
    low, high = windows.min(axis=(0, 1)), windows.max(axis=(0, 1))
    scaled = scale(windows, low, high)
    parts = {"all": labels} if kind == "vae" else {str(label): [label] for label in labels}
    paths = {part: stem.with_name(f"{stem.name}-part-{part}.npz") for part in parts}
    kept = {part: read_part(path, settings) for part, path in paths.items()}
    # A run that goes on must not repeat the noise that it began with.
    done = sum(sum(progress["counts"].values()) for progress, _ in kept.values())
    keras.utils.set_random_seed(settings["seed"] + 1000 * done)
    start = time.monotonic()
    model = MODELS[kind](windows.shape[1], windows.shape[2], labels)
    variables, first = prepare(model, scaled, activity)
    setup_seconds = time.monotonic() - start
    drawn = {part: np.zeros((len(rows), *windows.shape[1:]), np.float32) for part, rows in wanted.items()}
    for part, own in parts.items():
        progress, arrays = kept[part]
        rows = np.isin(activity, own)
        order = {name: np.flatnonzero(np.isin(codes, own)) for name, codes in wanted.items()}
        if "sampling_seconds" not in progress:
            set_values(variables, arrays or first)
            if (here := this_machine()) not in progress["trained_on"]:
                progress["trained_on"].append(here)
            train_within(
                60 * settings["minutes"] * rows.mean(),
                model["feed"](scaled[rows], activity[rows]),
                progress,
                lambda now, path=paths[part]: write_part(path, now, [v.numpy() for v in variables]),
                title=f"{stem.name} {part}",
            )
            start = time.monotonic()
            codes = np.concatenate([wanted[name][index] for name, index in order.items()])
            arrays = [unscale(np.asarray(model["draw"](codes)), low, high)]
            if not np.isfinite(arrays[0]).all():
                raise FloatingPointError(
                    f"{kind} drew values that are not finite (part {part}): delete {paths[part]}, and run "
                    "again with another seed"
                )
            progress["sampling_seconds"] = time.monotonic() - start
            write_part(paths[part], progress, arrays)
        values = iter(np.split(arrays[0], np.cumsum([len(index) for index in order.values()])[:-1]))
        for name, index in order.items():
            drawn[name][index] = next(values)
        kept[part] = progress, None
    return drawn, {
        "settings": settings,
        "machine": this_machine(),
        "setup_seconds": setup_seconds,
        "training_seconds": sum(progress["seconds"] for progress, _ in kept.values()),
        "sampling_seconds": sum(progress["sampling_seconds"] for progress, _ in kept.values()),
        "parts": {part: progress for part, (progress, _) in kept.items()},
    }  # fmt: skip


def scale(windows, low, high):
    """Scale windows (n, steps, channels) to [0, 1] by the channels' least and greatest values: float32.

    The same as tsgm's TSFeatureWiseScaler.
    """
    return ((windows - low) / (high - low)).astype(np.float32)


def unscale(windows, low, high):
    """Undo `scale`; what the model drew is not clipped. Leaves its argument as it is, unlike tsgm's."""
    return (windows * (high - low) + low).astype(np.float32)


def train_within(budget, epoch, progress, save, save_every=SAVE_EVERY, clock=time.monotonic, title=None):
    """Call ``epoch`` until ``budget`` seconds are spent, those of earlier calls included.

    ``epoch`` takes the part of the budget that is spent, in [0, 1), and {kind: number of epochs so far}, and
    returns which kind this one was and its losses, a dict. ``progress``, as `read_part` returns it, is
    changed; ``save`` is called with it after each ``save_every`` seconds of training and at the end. The last
    epoch begins within the budget and may end beyond it. Raises FloatingPointError for a loss that is not
    finite.
    """
    unsaved = 0.0
    done, form = min(progress["seconds"], budget), "{desc} {percentage:3.0f} %|{bar}| {elapsed}{postfix}"
    with tqdm(desc=title, total=budget, initial=done, mininterval=5, bar_format=form) as bar:
        while progress["seconds"] < budget:
            start, cpu = clock(), time.process_time()
            kind, losses = epoch(progress["seconds"] / budget, progress["counts"])
            spent = clock() - start
            if not all(math.isfinite(loss) for loss in losses.values()):
                raise FloatingPointError(
                    f"{title}: a loss became not finite, {losses}, after {progress['counts']}; run the same "
                    "command again to go on from the last checkpoint, or choose another seed"
                )
            progress["seconds"] += spent
            progress["cpu_seconds"] += time.process_time() - cpu
            progress["counts"][kind] = progress["counts"].get(kind, 0) + 1
            progress["first_losses"].setdefault(kind, losses)
            progress["last_losses"][kind] = losses
            unsaved += spent
            if unsaved >= save_every or progress["seconds"] >= budget:
                save(progress)
                unsaved = 0.0
            bar.set_postfix({name: f"{loss:.4g}" for name, loss in losses.items()}, refresh=False)
            bar.update(min(spent, budget - bar.n))


def read_part(path, settings):
    """Return progress and arrays of one part of a run: as kept in ``path``, or as before the first epoch.

    The arrays are a list: the variables' values, or once "sampling_seconds" is in the progress, the windows
    drawn; None before the first epoch. Raises ValueError if other settings made the file.
    """
    if not path.exists():
        return {
            "settings": settings, "seconds": 0.0, "cpu_seconds": 0.0, "counts": {}, "first_losses": {},
            "last_losses": {}, "trained_on": [],
        }, None  # fmt: skip
    with np.load(path) as kept:
        progress = json.loads(str(kept["progress"]))
        check_settings(progress["settings"], settings, path)
        return progress, [kept[f"arr_{i}"] for i in range(len(kept.files) - 1)]


def write_part(path, progress, arrays):
    """Write what `read_part` reads, in one move."""
    with atomic_path(path) as temporary:
        np.savez(temporary, *arrays, progress=json.dumps(progress))


def check_settings(found, wanted, path):
    """Raise ValueError, naming the file and the differences, if ``found`` is not ``wanted``."""
    if different := [key for key in wanted if found.get(key) != wanted[key]]:
        details = ", ".join(f"{key} {found.get(key)!r}, now {wanted[key]!r}" for key in different)
        raise ValueError(f"{path} was made with other settings ({details}): delete it to train anew")


def prepare(model, windows, activity):
    """Compile by training on a few windows; return all variables, and their values before that, as lists.

    An optimizer has its variables only after its first step, and a checkpoint needs them all.
    """
    variables = [variable for network in model["networks"] for variable in network.weights]
    first = [variable.numpy() for variable in variables]
    epoch = model["feed"](windows[:256], activity[:256])
    for spent, counts in EACH_PHASE:
        epoch(spent, counts)
    slots = [variable for optimizer in model["optimizers"] for variable in optimizer.variables]
    first += [slot.numpy() if slot.name == "learning_rate" else np.zeros(slot.shape) for slot in slots]
    set_values(variables + slots, first)
    return variables + slots, first


def set_values(variables, values):
    """Assign values to variables, in their order."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def build_timegan(steps, channels, labels):
    """TimeGAN for one activity at a time.

    Returns a dict, as all four builders do: "networks" and "optimizers" hold what training changes; "feed"
    takes scaled windows and their activities and returns `train_within`'s ``epoch``; "draw" takes activities
    (n,) and returns windows (n, steps, channels), scaled.
    """
    from tsgm.models.timeGAN import TimeGAN

    model = TimeGAN(seq_len=steps, n_features=channels)
    model.compile()
    with contextlib.redirect_stdout(io.StringIO()):  # the summaries of five models
        model._define_timegan()
    model._check_discriminator_loss = tf.function(model._check_discriminator_loss)
    noise = model.get_noise_batch()

    def feed(windows, activity):
        data = tf.data.Dataset.from_tensor_slices(windows).shuffle(len(windows))
        batches = iter(data.repeat().batch(model.batch_size))

        # Source: TimeGAN.fit of tsgm 0.1.0; its two first phases, and one iteration of the third.
        def epoch(spent, counts):
            if spent < AUTOENCODER:
                loss = model._train_autoencoder(next(batches), model.autoencoder_opt)
                return "autoencoder", {"reconstruction": float(loss)}
            if counts.get("supervisor", 0) < counts.get("autoencoder", 0):
                loss = model._train_supervisor(next(batches), model.adversarialsup_opt)
                return "supervisor", {"next_step": float(loss)}
            for _ in range(2):
                real = next(batches)
                generator = model._train_generator(real, next(noise), model.generator_opt)[-1]
                _, embedder = model._train_embedder(real, model.embedder_opt)
            real, random = next(batches), next(noise)
            discriminator = model._check_discriminator_loss(real, random)
            if discriminator > 0.15:
                discriminator = model._train_discriminator(real, random, model.discriminator_opt)
            losses = {"generator": generator, "embedder": embedder, "discriminator": discriminator}
            return "joint", {name: float(loss) for name, loss in losses.items()}

        return epoch

    return {
        "networks": [
            model.embedder, model.recovery, model.supervisor, model.discriminator, model.generator_aux
        ],
        "optimizers": [
            model.autoencoder_opt, model.adversarialsup_opt, model.generator_opt, model.embedder_opt,
            model.discriminator_opt,
        ],
        "feed": feed,
        "draw": lambda activity: model.generate(len(activity)),
    }  # fmt: skip


def build_vae(steps, channels, labels, latents=32):
    """The conditional VAE, for all activities at once; see `build_timegan`.

    By its architecture a sample of a window depends on the latents of the same moment only, which are drawn
    independently: its windows are white noise around each activity's mean, however long it is trained.
    """
    from tsgm.models import zoo
    from tsgm.models.cvae import cBetaVAE

    architecture = zoo["cvae_conv5"](
        seq_len=steps, feat_dim=channels, latent_dim=latents, output_dim=len(labels)
    )
    model = cBetaVAE(architecture.encoder, architecture.decoder, latent_dim=latents, temporal=False)
    model.compile(optimizer=keras.optimizers.Adam())

    def one_hot(activity):
        return np.equal.outer(activity, labels).astype(np.float32)

    def draw(activity):
        # The decoder holds eight times the steps in 64 channels: a hundred megabytes for so many windows.
        blocks = [activity[start : start + 512] for start in range(0, len(activity), 512)]
        return np.concatenate([model.generate(tf.constant(one_hot(block)))[0] for block in blocks])

    return {
        "networks": [model.encoder, model.decoder],
        "optimizers": [model.optimizer],
        "feed": lambda windows, activity: _fit(model, windows, one_hot(activity), batch_size=128),
        "draw": draw,
    }


def build_betavae(steps, channels, labels):
    """The unconditional VAE, for one activity at a time; see `build_timegan`."""
    from tsgm.models import zoo
    from tsgm.models.cvae import BetaVAE

    architecture = zoo["vae_conv5"](steps, channels, 10)
    model = BetaVAE(architecture.encoder, architecture.decoder)
    model.compile(optimizer=keras.optimizers.Adam())
    return {
        "networks": [model.encoder, model.decoder],
        "optimizers": [model.optimizer],
        "feed": lambda windows, activity: _fit(model, windows, batch_size=64),
        "draw": lambda activity: model.generate(len(activity)),
    }


def build_ddpm(steps, channels, labels, timesteps=1000):
    """The diffusion model, for one activity at a time; see `build_timegan`.

    Its denoiser sees four samples to each side, and the position in the window only by the embedding of the
    diffusion step. It draws from an average of the weights over 1000 updates, without clipping: before some
    thousands of updates (ten an epoch) that average still holds the random start, and the windows diverge.
    """
    from tsgm.models import zoo
    from tsgm.models.ddpm import DDPM

    networks = [zoo["ddpm_denoiser"](seq_len=steps, feat_dim=channels).model for _ in range(2)]
    model = DDPM(*networks, timesteps)
    model.compile(optimizer=keras.optimizers.Adam(0.0003))

    @tf.function
    def step_back(noisy, step):
        at = tf.fill((tf.shape(noisy)[0], 1), step)
        return model.gdf_util.p_sample(model.ema_network([noisy, at], training=False), noisy, at)

    def draw(activity):  # source: DDPM.generate of tsgm 0.1.0
        windows = keras.random.normal((len(activity), steps, channels))
        for step in reversed(range(timesteps)):
            windows = step_back(windows, tf.constant(step))
        return windows

    return {
        "networks": networks,  # the second is the moving average of the first, from which is drawn
        "optimizers": [model.optimizer],
        "feed": lambda windows, activity: _fit(model, windows, batch_size=128),
        "draw": draw,
    }


MODELS = {"timegan": build_timegan, "vae": build_vae, "betavae": build_betavae, "ddpm": build_ddpm}


def _fit(model, *data, batch_size):
    def epoch(spent, counts):
        # Not fit's history: DDPM's says 0 whatever the loss, since tsgm leaves Keras's own tracker empty.
        batches = []
        keep = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: batches.append(logs))
        model.fit(*data, batch_size=batch_size, verbose=0, callbacks=[keep])
        return "epoch", {name: float(batches[-1][name]) for name in batches[-1]}

    return epoch


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("name", choices=WINDOW_MODELS, help="the signals: those of notebook 07")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="of training; drawing comes on top")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--profile", default="full", help="whose volunteers and folder of results")
    arguments = parser.parse_args()
    written = main(*(vars(arguments)[key] for key in ("model", "name", "minutes", "seed", "profile")))
    print(f"{arguments.model} on {arguments.name}: {written.name} is in results/{written.parts[-3]}/samples")

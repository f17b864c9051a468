"""Baselines from the package tsgm 0.1.0: TimeGAN, two VAEs and a diffusion model, each with its own defaults.

Run ``python -m benchmarks.tsgm_baselines {timegan,vae,betavae,ddpm} {one,six}`` in an environment of its own
(docs/benchmarks.md says why). The model trains on UCI HAR's training and validation volunteers for
``--minutes``. Then it draws as many windows of each activity as they and the test volunteers have, into
``results/PROFILE/samples/08_tsgm-MODEL-NAME-seedSEED.npz``:

* "train", "test": (windows, 128, channels), in the signals' units; a judge could see the rounding of float16.
* "train_activity", "test_activity": (windows,), the order of the real windows.
* "provenance": JSON text: settings, versions, machine, and for each network its seconds, epochs and losses.

All see windows scaled to [0, 1] channel by channel, as in tsgm's tutorials. Only ``vae`` takes labels. The
others are trained once for each activity, as tsgm's "Classical Methods vs VAE" does, each on a share of the
budget in proportion to its windows.

Two things are not tsgm's default. Training ends with the budget, not after a number of epochs, so TimeGAN's
iterations are those of its ``fit``, called one by one. And two calls are compiled, which changes no formula:
the loss by which TimeGAN decides whether to train its discriminator, and DDPM's network in each step back.

After a kill the same command goes on with the next network: each is kept once it is trained and drawn from.
Samples are not reproducible to the digit, since the number of epochs depends on the machine.
"""

import argparse
import contextlib
import importlib.metadata
import io
import json
import os
import platform
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")  # tsgm would take JAX where that is installed

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

with contextlib.suppress(ModuleNotFoundError):  # the environment of the tests has none
    from tsgm.models import cvae, ddpm, timeGAN, zoo

from sensegen_utils.data.recordings import of_subjects, stack_signals
from sensegen_utils.data.uci_har import load_har
from sensegen_utils.files import results_dir, save_samples
from sensegen_utils.profiles import WINDOW_MODELS, get_profile
from sensegen_utils.provenance import this_machine


def main(kind, name, minutes=20, seed=0, profile="full"):
    """Train one model within ``minutes``, or go on where a kill stopped it; return the path of its samples.

    Raises ValueError for an unknown profile, and for files of the same name that other settings made.
    """
    har = load_har()
    folder, subjects = results_dir(profile, har["kind"]), get_profile(profile)["subjects"]
    signals, run = WINDOW_MODELS[name]["signals"], f"08_tsgm-{kind}-{name}-seed{seed}"
    settings = {
        "model": kind, "signals": list(signals), "minutes": minutes, "seed": seed, "data": har["sha256"],
        "subjects": {part: list(who) for part, who in subjects.items()},
        "tsgm": importlib.metadata.version("tsgm"),
    }  # fmt: skip
    path = folder / "samples" / f"{run}.npz"
    if path.exists():
        check_settings(json.loads(str(np.load(path)["provenance"])), settings, path)
        return path
    train = of_subjects(har["train"], [*subjects["train"], *subjects["validation"]])
    windows, codes = stack_signals(train, signals), train["activity"]
    of_test = of_subjects(har["test"], subjects["test"])["activity"]
    stem = folder / "checkpoints" / run
    drawn, provenance = train_and_draw(kind, windows, codes, np.concatenate([codes, of_test]), settings, stem)
    versions = {name: importlib.metadata.version(name) for name in ("tsgm", "tensorflow", "keras", "numpy")}
    provenance |= {"machine": this_machine()} | {"versions": versions | {"python": platform.python_version()}}
    arrays = {"train": drawn[: len(codes)], "test": drawn[len(codes) :], "train_activity": codes}
    save_samples(path, **arrays, test_activity=of_test, provenance=json.dumps(provenance))
    for left in stem.parent.glob(f"{run}-part-*.npz"):
        left.unlink()
    return path


def train_and_draw(kind, windows, activity, wanted, settings, stem):
    """Train on windows (n, steps, channels) of activities (n,); draw a window of each activity in ``wanted``.

    ``settings`` holds "minutes" and "seed"; what each network drew is kept in a file that begins with
    ``stem``. Returns the windows, float32, and the provenance. Raises ValueError for files of other settings,
    FloatingPointError for losses or samples that are not finite.
    """
    low, high = windows.min(axis=(0, 1)), windows.max(axis=(0, 1))
    drawn, labels = np.zeros((len(wanted), *windows.shape[1:]), np.float32), np.unique(activity).tolist()
    parts = {"all": labels} if kind == "vae" else {str(label): [label] for label in labels}
    for part, own in parts.items():
        path, rows, where = Path(f"{stem}-part-{part}.npz"), np.isin(activity, own), np.isin(wanted, own)
        if not path.exists():
            keras.utils.clear_session()
            keras.utils.set_random_seed(1000 * settings["seed"] + own[0])
            scaled = (windows[rows] - low) / (high - low)
            epoch, draw = MODELS[kind](scaled.astype(np.float32), activity[rows], own)
            progress = train_within(60 * settings["minutes"] * rows.mean(), epoch, path.stem)
            start = time.monotonic()
            values = np.asarray(draw(wanted[where])) * (high - low) + low
            if not np.isfinite(values).all():
                raise FloatingPointError(f"{path.stem}: samples are not finite; choose another seed")
            progress |= {"settings": settings, "sampling_seconds": time.monotonic() - start}
            progress["trained_on"] = [this_machine()]
            save_samples(path, windows=values.astype(np.float32), progress=json.dumps(progress))
        with np.load(path) as kept:
            parts[part] = json.loads(str(kept["progress"]))
            check_settings(parts[part], settings, path)
            drawn[where] = kept["windows"]
    training, drawing = (sum(part[key] for part in parts.values()) for key in ("seconds", "sampling_seconds"))
    seconds = {"training_seconds": training, "sampling_seconds": drawing}
    return drawn, {"settings": settings, "parts": parts} | seconds


def train_within(budget, epoch, title, clock=time.monotonic):
    """Call ``epoch`` until ``budget`` seconds are spent; the last call begins within them and may end beyond.

    ``epoch`` takes the part of the budget that is spent, in [0, 1), and {kind: epochs so far}. It returns its
    kind and its losses, a dict. The first epoch of a kind compiles, so its time does not count. Returns the
    seconds, the counts and the losses of each kind. Raises FloatingPointError for a loss that is not finite.
    """
    seconds, counts, first, last = 0.0, {}, {}, {}
    with tqdm(desc=title, total=budget, mininterval=5, bar_format="{desc} {percentage:3.0f} %|{bar}|") as bar:
        while seconds < budget:
            start = clock()
            kind, losses = epoch(seconds / budget, counts)
            if not np.isfinite(list(losses.values())).all():
                raise FloatingPointError(f"{title}: {losses} after {counts}; choose another seed")
            spent = clock() - start if kind in counts else 0.0
            seconds, counts[kind] = seconds + spent, counts.get(kind, 0) + 1
            first.setdefault(kind, losses)
            last[kind] = losses
            bar.update(min(spent, budget - bar.n))
    return {"seconds": seconds, "counts": counts, "first_losses": first, "last_losses": last}


def check_settings(kept, settings, path):
    """Raise ValueError, naming the file and the differences, if other settings made it."""
    found = kept["settings"]
    if different := [key for key in settings if found.get(key) != settings[key]]:
        details = ", ".join(f"{key} {found.get(key)!r}, now {settings[key]!r}" for key in different)
        raise ValueError(f"{path} was made with other settings ({details}): delete it to train anew")


def build_timegan(windows, activity, labels):
    """TimeGAN for one activity, as its constructor has it (GRU, 24 units, 3 layers, batches of 256, Adam).

    All four models take scaled windows (n, steps, channels), their activities (n,), and the labels that
    occur. They return `train_within`'s ``epoch``, and a function that takes activities (k,) and draws a
    scaled window of each.
    """
    model = timeGAN.TimeGAN(seq_len=windows.shape[1], n_features=windows.shape[2])
    model.compile()
    with contextlib.redirect_stdout(io.StringIO()):  # the summaries of five models
        model._define_timegan()
    model._check_discriminator_loss = tf.function(model._check_discriminator_loss)
    noise = model.get_noise_batch()
    data = tf.data.Dataset.from_tensor_slices(windows).shuffle(len(windows))
    batches = iter(data.repeat().batch(model.batch_size))

    # Source: TimeGAN.fit of tsgm 0.1.0; its two first phases, and one iteration of the third.
    def epoch(spent, counts):
        if spent < 0.05:  # iterations of the phases take about 0.2, 0.2 and 4 s, so each phase gets as many
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

    return epoch, lambda activity: model.generate(len(activity))


def build_vae(windows, activity, labels):
    """The conditional VAE of tsgm's tutorial "cVAE", for all activities; see `build_timegan`.

    By its architecture a sample of a window depends on the latents of the same moment only, which are drawn
    independently: its windows are white noise around each activity's mean, however long it is trained.
    """
    sizes = {"seq_len": windows.shape[1], "feat_dim": windows.shape[2], "output_dim": len(labels)}
    networks = zoo["cvae_conv5"](latent_dim=32, **sizes)
    model = cvae.cBetaVAE(networks.encoder, networks.decoder, latent_dim=32, temporal=False)

    def one_hot(activity):
        return np.equal.outer(activity, labels).astype(np.float32)

    def draw(activity):
        # The decoder holds eight times the steps in 64 channels: a hundred megabytes for so many windows.
        blocks = np.split(one_hot(activity), range(512, len(activity), 512))
        return np.concatenate([model.generate(tf.constant(block))[0] for block in blocks])

    return fit(model, windows, one_hot(activity), batch_size=128), draw


def build_betavae(windows, activity, labels):
    """The VAE of tsgm's tutorial "VAE", for one activity; see `build_timegan`."""
    networks = zoo["vae_conv5"](*windows.shape[1:], 10)
    model = cvae.BetaVAE(networks.encoder, networks.decoder)
    return fit(model, windows, batch_size=64), lambda activity: model.generate(len(activity))


def build_ddpm(windows, activity, labels, timesteps=1000):
    """The diffusion model of tsgm's own test, for one activity; see `build_timegan`.

    Its denoiser sees four samples to each side, and the position in the window only by the embedding of the
    diffusion step. It draws from an average of the weights over 1000 updates. Before some thousands of them
    (ten an epoch) that average still holds the random start, and the windows diverge.
    """
    sizes = {"seq_len": windows.shape[1], "feat_dim": windows.shape[2]}
    networks = [zoo["ddpm_denoiser"](**sizes).model for _ in range(2)]
    model = ddpm.DDPM(*networks, timesteps)
    networks[1].predict = tf.function(lambda inputs, **_: networks[1](inputs, training=False))
    return fit(model, windows, batch_size=128, rate=0.0003), lambda activity: model.generate(len(activity))


def fit(model, *data, batch_size, rate=0.001):
    """`train_within`'s ``epoch`` for a Keras model: one epoch of its own ``fit``."""
    model.compile(optimizer=keras.optimizers.Adam(rate))
    # Not fit's history: DDPM's says 0 whatever the loss, since tsgm leaves Keras's own tracker empty.
    last = {}
    keep = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: last.update(logs))

    def epoch(spent, counts):
        model.fit(*data, batch_size=batch_size, verbose=0, callbacks=[keep])
        return "epoch", {name: float(loss) for name, loss in last.items()}

    return epoch


MODELS = {"timegan": build_timegan, "vae": build_vae, "betavae": build_betavae, "ddpm": build_ddpm}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("kind", choices=MODELS, help="the model")
    parser.add_argument("name", choices=WINDOW_MODELS, help="the signals: those of notebook 07")
    parser.add_argument("--minutes", type=float, default=20, help="of training; drawing comes on top")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--profile", default="full", help="whose volunteers and folder of results")
    print(main(**vars(parser.parse_args())).name, "is written")

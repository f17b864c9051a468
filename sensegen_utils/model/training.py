"""Train with Keras's own fit, resumable at every epoch: checkpoints, the loss log, and the callbacks."""

import functools
import hashlib
import itertools
import json
import time
import zipfile
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from tqdm import tqdm

from sensegen_utils.data.recordings import training_chunks
from sensegen_utils.files import atomic_path
from sensegen_utils.model.generator import load_generator
from sensegen_utils.model.whitening import inputs_and_targets
from sensegen_utils.provenance import this_machine

SETTINGS_MEMBER = "training.json"
MADE_WITH = {"keras": ".".join(keras.version().split(".")[:2])}  # another version may change numbers
START_AGAIN = "run ./run_all.sh with --fresh, or delete the checkpoint, to start again"


def set_seed(seed):
    """Seed Python, NumPy and TensorFlow and make operations deterministic: same machine, same numbers."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def fingerprint(*models):
    """Hash of all weights, 12 hex digits: what was computed with one model is of no use for another."""
    weights = b"".join(weight.tobytes() for model in models for weight in model.get_weights())
    return hashlib.sha256(weights).hexdigest()[:12]


def reset_state(model):
    """Set the carried state of every stateful layer to zero."""
    for layer in model.layers:
        if getattr(layer, "stateful", False):
            layer.reset_state()


def resume(model, checkpoint, settings):
    """Load weights and optimizer from ``checkpoint`` if it exists; return the number of epochs done.

    ``model`` is built and compiled; ``settings`` is plain data that describes the training. Raises
    ValueError, naming the file and the next step, if the checkpoint is damaged or was made with other
    settings or another version of Keras.
    """
    model.optimizer.build(model.trainable_variables)  # else TensorFlow traces the first update twice
    if not Path(checkpoint).exists():
        return 0
    try:
        saved, wanted = _read(checkpoint), json.loads(json.dumps(settings | MADE_WITH))
        old = saved["settings"]
        different = [key for key in sorted(wanted.keys() | old.keys()) if wanted.get(key) != old.get(key)]
        if not different:
            if saved["optimizer"]:
                model.load_weights(checkpoint)
            else:
                model.set_weights(load_generator(checkpoint)[0].get_weights())
            return saved["epochs"]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{checkpoint} is damaged ({error}): {START_AGAIN}") from error
    details = ", ".join(f"{key} {old.get(key)!r}, now {wanted.get(key)!r}" for key in different)
    raise ValueError(f"{checkpoint} was made with other settings ({details}): {START_AGAIN}")


def save_checkpoint(model, checkpoint, settings, epochs, machines=()):
    """Write weights, optimizer, settings and epoch as one file, in one move: a kill leaves the last one.

    ``machines`` are those that trained so far, as `this_machine` describes them.
    """
    description = {"settings": settings | MADE_WITH, "epochs": epochs, "optimizer": True}
    _write(model, checkpoint, description | {"trained_on": list(machines)})


def trained_on(checkpoint):
    """The machines and commits that trained a checkpoint, in order; empty if it is older than this list."""
    return _read(checkpoint).get("trained_on", [])


def training_callbacks(model, checkpoint, settings, epochs_done, epochs, save_every=10):
    """Keras callbacks of a resumable run, for ``fit(..., initial_epoch=epochs_done, verbose=0)``.

    They reset the carried state at each epoch, as the report's code does, and before each validation; stop
    with FloatingPointError on a loss that is not finite; append epoch, loss and seconds to the log beside
    the checkpoint; save the checkpoint at the end, and after each epoch that ends ``save_every`` seconds
    after the last one saved; and show progress. Raises ValueError if the checkpoint to go on from holds
    final weights only.
    """
    if epochs_done and not _read(checkpoint)["optimizer"]:
        raise ValueError(
            f"{checkpoint} holds the final weights of {epochs_done} epochs without the optimizer, so it "
            f"cannot be trained on to {epochs}: {START_AGAIN}"
        )
    _trim_log(Path(checkpoint).with_suffix(".csv"), epochs_done)
    machines = trained_on(checkpoint) if epochs_done else []
    machines += [here for here in [this_machine()] if here not in machines]
    save = functools.partial(save_checkpoint, model, checkpoint, settings, machines=machines)
    bar = tqdm(desc=Path(checkpoint).stem, initial=epochs_done, total=epochs, unit="epoch", mininterval=5)
    return [_ResumableRun(checkpoint, save, epochs_done, save_every, bar)]


class _ResumableRun(keras.callbacks.CSVLogger):
    def __init__(self, checkpoint, save, epochs_done, save_every, bar):
        super().__init__(Path(checkpoint).with_suffix(".csv"), append=True)
        self.checkpoint, self.save, self.epochs_done, self.bar = checkpoint, save, epochs_done, bar
        self.save_every, self.saved = save_every, time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.start = epoch, time.monotonic()
        reset_state(self.model)

    def on_test_begin(self, logs=None):
        reset_state(self.model)

    def on_train_batch_end(self, batch, logs=None):
        if not np.isfinite(logs["loss"]):
            raise FloatingPointError(
                f"the loss became {logs['loss']} in epoch {self.epoch}, update {batch}. The last good "
                f"weights are in {self.checkpoint}: lower the learning rate or raise the sigma floor, and "
                "run again with --fresh"
            )

    def on_epoch_end(self, epoch, logs=None):
        logs["seconds"] = round(time.monotonic() - self.start, 3)
        # The log comes before the checkpoint: resuming cuts a row too many, but could not restore one.
        super().on_epoch_end(epoch, logs)
        self.epochs_done = epoch + 1
        if time.monotonic() - self.saved >= self.save_every:
            self.save(self.epochs_done)
            self.saved = time.monotonic()
        self.bar.set_postfix(loss=f"{logs['loss']:.3f}", refresh=False)
        self.bar.update()

    def on_train_end(self, logs=None):
        super().on_train_end(logs)
        self.save(self.epochs_done)  # again: an optimizer that averages weights has just set them
        self.bar.close()


def training_batches(whitening, draw, batch_size, seed, first_epoch=0):
    """Endless batches of `inputs_and_targets`, for ``fit(..., steps_per_epoch=number // batch_size)``.

    ``draw`` takes a NumPy generator and returns the windows and labels of one epoch, always equally many.
    Epoch k has its own generator, from ``seed`` and k, so that a resumed training sees what it would have
    seen. A last batch that is not full is left out, other windows each time. ValueError if none is full.
    """
    for epoch in itertools.count(first_epoch):
        rng = np.random.default_rng([seed, epoch])
        inputs, targets = inputs_and_targets(whitening, *draw(rng))
        if len(inputs) < batch_size:
            raise ValueError(f"{len(inputs)} windows do not fill a batch of {batch_size}")
        order = rng.permutation(len(inputs))
        for start in range(0, len(order) - batch_size + 1, batch_size):
            rows = order[start : start + batch_size]
            yield inputs[rows], targets[rows]


def warmup_cosine(learning_rate, epochs, updates):
    """Learning rate over ``epochs`` x ``updates``: one epoch of warm-up to its peak, then a cosine to 0."""
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(1, (epochs - 1) * updates), warmup_target=learning_rate, warmup_steps=updates
    )


def fit_keeping_best(generator, whitening, draw, validation, checkpoint, settings, seed, updates):
    """Train a compiled G on windows, resumable, and leave it with the weights of its best epoch.

    ``draw`` is that of `training_batches`, ``validation`` the windows and labels whose NLL decides;
    ``settings`` describes the training and holds "batch" and "epochs"; an epoch has ``updates``. Training
    goes to its end, since the learning rate is scheduled for it. The best weights have a file of their own.
    Returns the best epoch (from 1) and the log. Raises as `resume`.
    """
    best, epochs = Path(checkpoint).with_name(f"{Path(checkpoint).stem}-best.keras"), settings["epochs"]
    done = resume(generator, checkpoint, settings)
    least = {"loss": read_log(checkpoint).val_loss[:done].min() if done else np.inf}

    def keep(epoch, logs):
        if logs["val_loss"] < least["loss"]:
            least["loss"] = logs["val_loss"]
            save_checkpoint(generator, best, settings, epoch + 1, [this_machine()])

    if done < epochs:
        callbacks = training_callbacks(generator, checkpoint, settings, done, epochs)
        generator.fit(
            training_batches(whitening, draw, settings["batch"], seed, done), steps_per_epoch=updates,
            initial_epoch=done, epochs=epochs, shuffle=False, verbose=0,
            validation_data=inputs_and_targets(whitening, *validation), validation_batch_size=512,
            # The best weights first, so that no checkpoint is ahead of them.
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=keep), *callbacks],
        )  # fmt: skip
    if not (epoch := resume(generator, best, settings)):
        raise ValueError(f"{best}, the weights of the best epoch, is missing: {START_AGAIN}")
    return epoch, read_log(checkpoint)


def evaluate_nll(generator, series, chunk_steps=20):
    """Mean NLL of series (rows, length) under a compiled G, in nats per step, weights at rest, zero state."""
    inputs, targets = training_chunks(series, chunk_steps)
    reset_state(generator)
    return generator.evaluate(inputs, targets, batch_size=len(series), verbose=0)


def read_log(checkpoint):
    """Read the log of a run: epoch, loss, seconds, other metrics; with validation also val_loss and so on."""
    return pd.read_csv(Path(checkpoint).with_suffix(".csv")).dropna(axis="columns", how="all")


def _read(checkpoint):
    with zipfile.ZipFile(checkpoint) as archive:
        return json.loads(archive.read(SETTINGS_MEMBER))


def _write(model, checkpoint, description):
    with atomic_path(checkpoint) as temporary:
        model.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(SETTINGS_MEMBER, json.dumps(description))


def _trim_log(log, epochs_done):
    rows = log.read_text().splitlines(keepends=True) if epochs_done and log.exists() else []
    if len(rows[1:]) < epochs_done:
        raise ValueError(f"{log} has {len(rows[1:])} of the {epochs_done} epochs trained: {START_AGAIN}")
    with atomic_path(log) as temporary:  # it makes the folder; Keras writes a header into an empty log
        temporary.write_text("".join(rows[: epochs_done + 1]))

"""G on the true time axis: windows of any number of channels, conditioned on a label.

The LSTM and its mixture are the report's. What is new stands around them: a linear predictor for each label
(`linear_prediction`) says what a filter knows of the next sample, and G learns the innovations, what is left,
which are white and of unit variance. G reads the last innovation, the last sample, and the label. A component
of the mixture is a diagonal Gaussian over the channels' innovations: the predictor's triangular factor makes
correlated channels of them, so that each component has a full covariance without parameters for it. The
first sample of a window, which has no past, comes from a Gaussian mixture for each label (`first_sample`).

A front is all that stands around the network, a dict: "labels" (list), "predictors" (`fit_by_label`'s),
"first" ({label: `fit_first_sample`'s}), "mean" and "deviation" (channels,) of the training windows, "floor"
(channels,), all in the channels' units.
"""

import functools
import io
import itertools
import json
import math
import zipfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from sensegen_utils.fast_lstm import FastLSTM
from sensegen_utils.first_sample import (
    draw_first_sample,
    first_sample_nll,
    first_sample_pit,
    fit_first_sample,
)
from sensegen_utils.generator import COMPONENTS, HALF_LOG_2PI
from sensegen_utils.linear_prediction import (
    fit_by_label,
    innovations,
    innovations_by_label,
    log_volume,
    of_label,
)
from sensegen_utils.records import atomic_path
from sensegen_utils.sampling import SERIES_AT_ONCE, STEPS_AT_ONCE, draw_from_mixture
from sensegen_utils.training import load_generator

FRONT_MEMBER = "front.npz"
OF_ALL = ("mean", "deviation", "floor")
BY_LABEL = {"predictors": ("mean", "weights", "factors"), "first": ("weights", "means", "covariances")}
ROWS = 64  # windows are drawn in multiples of it: each other number of them takes XLA seconds to compile


def fit_front(windows, label, order, floor):
    """Fit what stands around the network to training windows (n, steps, channels) and their labels (n,).

    ``order`` is the predictors'; ``floor`` (channels,), in the channel's unit, is added to the sigma of what
    ``order`` past samples leave of it: tie it to the sensor's resolution. Raises as `fit_by_label`.
    """
    names = np.unique(label).tolist()
    return {
        "labels": names,
        "predictors": fit_by_label(windows, label, order),
        "first": {name: fit_first_sample(windows[label == name]) for name in names},
        "mean": windows.mean(axis=(0, 1), dtype=np.float64),
        "deviation": windows.std(axis=(0, 1), dtype=np.float64),
        "floor": np.broadcast_to(floor, windows.shape[2:]).astype(np.float64),
    }


def inputs_and_targets(front, windows, label):
    """What G reads, and what `innovation_nll` compares its output with, for windows (n, steps, channels).

    Inputs, float32 (n, steps - 1, 2 x channels + labels): the innovation and the standardised sample of
    every step but the last, and the one-hot label. Targets, float32 (n, steps - 1, 2 x channels): the
    innovations of the step after each, and the floors of their sigmas. Raises ValueError for a label that
    the front lacks.
    """
    (n, steps, channels), names = windows.shape, front["labels"]
    left, _ = innovations_by_label(windows, label, front["predictors"])
    inputs = np.empty((n, steps - 1, 2 * channels + len(names)), np.float32)
    inputs[:, :, :channels] = left[:, :-1]
    inputs[:, :, channels : 2 * channels] = (windows[:, :-1] - front["mean"]) / front["deviation"]
    inputs[:, :, 2 * channels :] = np.equal.outer(label, names)[:, None]
    floors = np.stack([_floor(front, name) for name in names])[np.searchsorted(names, label)]
    after = left[:, 1:]
    return inputs, np.concatenate([after, np.broadcast_to(floors[:, None], after.shape)], axis=2)


def training_batches(front, draw, batch_size, seed, first_epoch=0):
    """Endless batches of `inputs_and_targets`, for ``fit(..., steps_per_epoch=number // batch_size)``.

    ``draw`` takes a NumPy generator and returns the windows and labels of one epoch, always equally many.
    Epoch k has its own generator, from ``seed`` and k, so that training which goes on at ``first_epoch`` sees
    what it would have seen. A last batch that is not full is left out, other windows each time.
    """
    for epoch in itertools.count(first_epoch):
        rng = np.random.default_rng([seed, epoch])
        inputs, targets = inputs_and_targets(front, *draw(rng))
        order = rng.permutation(len(inputs))
        for start in range(0, len(order) - batch_size + 1, batch_size):
            rows = order[start : start + batch_size]
            yield inputs[rows], targets[rows]


def build_window_generator(
    channels, labels, lstm_units=256, lstm_layers=1, components=COMPONENTS, dropout=0.0
):
    """Build G: LSTM layers, a sigmoid layer of 128, a linear layer of components x (1 + 2 x channels).

    Input (batch, steps, 2 x channels + labels), as `inputs_and_targets` makes it; output: the logits of the
    components, their means, and their log standard deviations, in innovations.
    """
    inputs = hidden = keras.Input((None, 2 * channels + labels), name="past")
    for _ in range(lstm_layers):
        hidden = FastLSTM(lstm_units, return_sequences=True)(hidden)
        hidden = layers.Dropout(dropout)(hidden) if dropout else hidden
    hidden = layers.Dense(128, activation="sigmoid", name="DENSE1")(hidden)
    outputs = layers.Dense(components * (1 + 2 * channels), name="DENSE2")(hidden)
    return keras.Model(inputs, outputs, name="G")


@keras.saving.register_keras_serializable("sensegen")
def innovation_nll(targets, params):
    """NLL of innovations under G's mixture, (...), in nats; with `log_volume` it is that of the samples.

    ``targets`` (..., 2 x channels) and ``params`` as in `inputs_and_targets` and `build_window_generator`.
    """
    left, floor = ops.split(targets, 2, axis=-1)
    log_weights, means, sigmas = _split(params, left.shape[-1], floor)
    distance = (left[..., None, :] - means) / sigmas
    log_densities = ops.sum(-0.5 * ops.square(distance) - ops.log(sigmas) - HALF_LOG_2PI, axis=-1)
    return -ops.logsumexp(log_weights + log_densities, axis=-1)


def window_nll(generator, front, windows, label):
    """NLL of each step of windows (n, steps, channels) of labels (n,): (n, steps), nats, channels jointly.

    It is that of the samples in their own units. Raises ValueError for a label that the front lacks.
    """
    nll = _measure(first_sample_nll, innovation_nll, generator, front, windows, label)
    for name in np.unique(label).tolist():
        nll[label == name, 1:] += log_volume(front["predictors"][name], windows.shape[1])[1:]
    return nll


def innovation_pit(generator, front, windows, label):
    """Probability integral transform of windows (n, steps, channels): (n, steps, channels), in [0, 1].

    Where each first sample, and then each innovation, lies in its own distribution under G: uniform if G is
    calibrated. With several channels each is taken by itself, given the past but not the other channels of
    the same moment. Raises ValueError for a label that the front lacks.

    Reference: T. Gneiting et al., Probabilistic forecasts, calibration and sharpness, JRSS B 2007.
    """
    return _measure(first_sample_pit, _pit, generator, front, windows, label)


def sample_windows(generator, front, counts, steps, seed, prefix=None):
    """Draw windows: float32 (n, steps, channels) in the channels' units, and their labels (n,).

    ``counts`` is {label: number}. A window begins with a draw from the label's mixture of first samples, or
    continues ``prefix``, {label: (number, known steps, channels)} of real samples, which are not part of the
    result. Equal arguments give equal windows.

    Raises ValueError for a label that the front lacks and a prefix of the wrong shape, FloatingPointError
    when the generator produces a value that is not finite.
    """
    channels = len(front["mean"])
    step_block = _compiled_steps(generator, channels, _order(front))
    drawn = []
    for label, count in counts.items():
        of_label(front["predictors"], label)
        known = np.zeros((count, 0, channels)) if prefix is None else np.asarray(prefix[label])
        if known.ndim != 3 or len(known) != count or known.shape[2] != channels:
            raise ValueError(
                f"the prefix of label {label} must have shape ({count}, steps, {channels}), not {known.shape}"
            )
        for start in range(0, count, SERIES_AT_ONCE):
            rng = np.random.default_rng([seed, front["labels"].index(label), start])
            drawn.append(_draw(step_block, front, label, known[start : start + SERIES_AT_ONCE], steps, rng))
    windows = np.concatenate(drawn)
    if not np.isfinite(windows).all():
        row, step, _ = np.argwhere(~np.isfinite(windows))[0]
        raise FloatingPointError(
            f"the generator produced {windows[row, step]} in window {row} at step {step}; its weights are "
            "probably not finite: look at its training log"
        )
    return windows, np.repeat(list(counts), list(counts.values()))


def save_window_generator(generator, front, path):
    """Write weights and front as one .keras file, in one move: all it takes to draw windows."""
    arrays = {
        f"{part} {key} {name}": front[part][name][key]
        for part, keys in BY_LABEL.items()
        for key in keys
        for name in front["labels"]
    }
    arrays |= {key: front[key] for key in OF_ALL}
    content = io.BytesIO()
    np.savez_compressed(content, labels=json.dumps(front["labels"]), **arrays)
    with atomic_path(path) as temporary:
        generator.save(temporary, include_optimizer=False)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(FRONT_MEMBER, content.getvalue())


def load_window_generator(path):
    """Read what `save_window_generator` wrote: the generator and its front.

    Raises ValueError, naming the file and the next step, if it is missing, damaged, or another model's.
    """
    try:
        with (
            zipfile.ZipFile(path) as archive,
            np.load(io.BytesIO(archive.read(FRONT_MEMBER))) as arrays,
        ):
            labels = json.loads(str(arrays["labels"]))
            front = {"labels": labels} | {key: arrays[key] for key in OF_ALL}
            for part, keys in BY_LABEL.items():
                front[part] = {name: {key: arrays[f"{part} {key} {name}"] for key in keys} for name in labels}
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{Path(path)} is not a trained generator of windows ({error}): run notebook 07, or 09 for "
            "your own sensor"
        ) from error
    return load_generator(path), front


def _measure(first, later, generator, front, windows, label):
    """What ``first`` makes of the first samples and their mixture, ``later`` of targets and parameters.

    float32 (n, steps, ...); G runs on 512 windows at a time.
    """
    inputs, targets = inputs_and_targets(front, windows, label)
    parts = [slice(start, start + 512) for start in range(0, len(windows), 512)]
    found = [later(targets[part], generator(inputs[part], training=False)).numpy() for part in parts]
    measured = np.pad(np.concatenate(found), ((0, 0), (1, 0), *((0, 0),) * (found[0].ndim - 2)))
    for name in np.unique(label).tolist():
        rows = label == name
        measured[rows, 0] = first(front["first"][name], windows[rows, 0])
    return measured


def _pit(targets, params):
    left, floor = ops.split(ops.convert_to_tensor(targets), 2, axis=-1)
    log_weights, means, sigmas = _split(params, left.shape[-1], floor)
    below = 0.5 * (1 + ops.erf((left[..., None, :] - means) / (sigmas * math.sqrt(2))))
    return ops.sum(ops.exp(log_weights)[..., None] * below, axis=-2)


def _floor(front, label):
    return (front["floor"] / np.diag(front["predictors"][label]["factors"][-1])).astype(np.float32)


def _split(params, channels, floor):
    """Log weights (..., components), means and sigmas (..., components, channels)."""
    components = params.shape[-1] // (1 + 2 * channels)
    logits, means, log_sigmas = ops.split(params, [components, components * (1 + channels)], axis=-1)
    shape = (*ops.shape(params)[:-1], components, channels)
    sigmas = ops.exp(ops.reshape(log_sigmas, shape)) + floor[..., None, :]
    return ops.log_softmax(logits, axis=-1), ops.reshape(means, shape), sigmas


def _order(front):
    return len(next(iter(front["predictors"].values()))["weights"]) - 1


@functools.lru_cache(maxsize=4)
def _compiled_steps(generator, channels, order):
    lstm_layers = [layer for layer in generator.layers if isinstance(layer, keras.layers.LSTM)]
    dense_layers = [layer for layer in generator.layers if isinstance(layer, keras.layers.Dense)]
    memory = max(order, 1) * channels

    # Some wheels (Windows) carry no XLA; the same code then runs as ordinary graph operations.
    @tf.function(jit_compile=tf.test.is_built_with_xla() or None, reduce_retracing=True)
    def steps_of(first, carried, own, given, given_steps, uniform, normal):
        """64 steps, from step ``first`` on; ``own`` are the label's predictors, floor and one-hot code."""
        (history, left, states), drawn = carried, tf.TensorArray(tf.float32, STEPS_AT_ONCE)
        for t in tf.range(STEPS_AT_ONCE):
            last = (history[:, -channels:] + own["offset"]) / own["deviation"]
            code = tf.repeat(own["code"][None], tf.shape(left)[0], axis=0)
            hidden, new_states = tf.concat([left, last, code], 1), []
            for layer, state in zip(lstm_layers, states, strict=True):
                hidden, state = layer.cell(hidden, state)
                new_states.append(state)
            states = new_states
            for layer in dense_layers:
                hidden = layer(hidden)
            log_weights, means, sigmas = _split(hidden, channels, own["floor"][None])
            left = draw_from_mixture(tf.exp(log_weights), means, sigmas, uniform[t], normal[t])
            left = tf.where(t < given_steps, given[t], left)
            lags = tf.minimum(first + t, order)
            centred = history @ own["weights"][lags] + left @ tf.transpose(own["factors"][lags])
            history = tf.concat([history[:, channels:], centred], 1)
            drawn = drawn.write(t, centred + own["mean"])
        return (history, left, states), drawn.stack()

    def begin(centred, left):
        states = [[tf.zeros((len(left), layer.units))] * 2 for layer in lstm_layers]
        return tf.constant(np.pad(centred, ((0, 0), (memory - channels, 0)))), tf.constant(left), states

    return begin, steps_of


def _draw(step_block, front, label, known, steps, rng):
    begin, steps_of = step_block
    wanted, known_steps, channels = known.shape
    count = -(-wanted // ROWS) * ROWS
    predictors = front["predictors"][label]
    own = {key: tf.constant(array, tf.float32) for key, array in predictors.items()}
    own |= {
        "offset": tf.constant(predictors["mean"] - front["mean"], tf.float32),
        "deviation": tf.constant(front["deviation"], tf.float32),
        "floor": tf.constant(_floor(front, label)),
        "code": tf.constant(np.equal(front["labels"], label), tf.float32),
    }
    # Drawing begins at the second step: the first is known, or comes from its own mixture.
    begun = draw_first_sample(front["first"][label], count, rng)[:, None]
    if known_steps:
        begun = np.tile(predictors["mean"], (count, known_steps, 1))
        begun[:wanted] = known
    left = innovations(begun, predictors)
    carried, parts = begin(np.float32(begun[:, 0] - predictors["mean"]), left[:, 0]), []
    for first in range(1, known_steps + steps, STEPS_AT_ONCE):
        uniform = rng.random((STEPS_AT_ONCE, count), np.float32)
        normal = rng.standard_normal((STEPS_AT_ONCE, count, channels), np.float32)
        given = left[:, first : first + STEPS_AT_ONCE].swapaxes(0, 1)
        padded = np.zeros_like(normal)
        padded[: len(given)] = given
        carried, part = steps_of(
            tf.constant(first), carried, own, padded, tf.constant(len(given)), uniform, normal
        )
        parts.append(part.numpy())
    drawn = np.concatenate([np.float32(begun[:, :1]), *(part.swapaxes(0, 1) for part in parts)], axis=1)
    return drawn[:wanted, known_steps : known_steps + steps]

"""The generator G: stacked LSTMs whose output is a Gaussian mixture over the next sample.

On the report's axis G reads one channel and nothing else. At 50 Hz a whitening filter stands in front of it
(`whitening`), and G reads the last innovation, the last sample and the label.
"""

import functools
import io
import json
import math
import zipfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from fast_keras import FastLSTM
from sensegen_utils.files import atomic_path
from sensegen_utils.model.mixture import COMPONENTS, innovation_nll, innovation_pit
from sensegen_utils.model.whitening import first_sample_nll, first_sample_pit, inputs_and_targets, log_volume

WHITENING_MEMBER = "front.npz"  # of a .keras file, beside Keras's own members
OF_ALL = ("mean", "deviation", "floor")
BY_LABEL = {"predictors": ("mean", "weights", "factors"), "first": ("weights", "means", "covariances")}


def build_generator(
    lstm_units=256, lstm_layers=3, components=COMPONENTS, channels=1, labels=0, batch_size=None, dropout=0.0,
    tf1_initializers=False, idle_dense=False, mean=0.0, deviation=1.0, log_variance=False,
):  # fmt: skip
    """Build G: LSTM layers, a sigmoid layer of 128, a linear layer of components x (1 + 2 x channels).

    Input: the series itself (batch, steps, channels), or with ``labels`` what `inputs_and_targets` makes of
    windows (batch, steps, 2 x channels + labels). Output: the mixture of the next sample, or of the next
    innovation, as `mixture` splits it.

    With ``batch_size`` the LSTM layers carry their state from one batch to the next, as the report's code
    trains. ``tf1_initializers`` starts from TensorFlow 1's distributions, as the public code did:
    Glorot-uniform over the joint LSTM kernel, truncated normal of 0.2 for the dense kernels. ``idle_dense``
    adds the Dense(24) of the report's layer table, which stands in no formula of the report.

    For one channel, two fixed layers can standardise the series inside of G: with ``mean`` and ``deviation``
    in the signal's unit, the LSTM reads, and the dense layers put out, standardised values, while G's input
    and output stay in that unit. With ``log_variance`` the dense layers put out logarithms of variances, as
    the public code has them, and G's output halves them.

    Source: report, "Generative Model"; paper, section on the generative model.
    """
    features = 2 * channels + labels if labels else channels
    hidden = inputs = keras.Input(batch_shape=(batch_size, None, features))
    scaled = (mean, deviation) != (0, 1)
    if scaled:
        hidden = layers.Rescaling(1 / deviation, -mean / deviation)(hidden)
    dense = {"kernel_initializer": keras.initializers.TruncatedNormal(stddev=0.2)} if tf1_initializers else {}
    for _ in range(lstm_layers):
        kernels = tf1_lstm_kernels(hidden.shape[-1], lstm_units) if tf1_initializers else {}
        lstm = FastLSTM(lstm_units, return_sequences=True, stateful=batch_size is not None, **kernels)
        hidden = layers.Dropout(dropout)(lstm(hidden)) if dropout else lstm(hidden)
    hidden = layers.Dense(128, activation="sigmoid", name="DENSE1", **dense)(hidden)
    outputs = layers.Dense(components * (1 + 2 * channels), name="DENSE2", **dense)(hidden)
    if scaled or log_variance:
        scales = np.repeat([1, deviation, 0.5 if log_variance else 1], components)
        offsets = np.repeat([0, mean, math.log(deviation)], components)
        outputs = layers.Rescaling(scales.tolist(), offsets.tolist())(outputs)
    if idle_dense:
        outputs = layers.Dense(components, name="dense")(outputs)
    return keras.Model(inputs, outputs, name="G")


def tf1_lstm_kernels(input_size, units):
    """Keyword arguments for a Keras LSTM: TensorFlow 1's Glorot-uniform start of input and state as one."""
    limit = math.sqrt(6 / (input_size + units + 4 * units))
    uniform = keras.initializers.RandomUniform
    return {name: uniform(-limit, limit) for name in ("kernel_initializer", "recurrent_initializer")}


def window_nll(generator, whitening, windows, label):
    """NLL of each step of windows (n, steps, channels) of labels (n,): (n, steps), nats, channels jointly.

    In the samples' own units. Raises ValueError for a label that was not in training.
    """
    nll = _measure(first_sample_nll, innovation_nll, generator, whitening, windows, label)
    for name in np.unique(label).tolist():
        nll[label == name, 1:] += log_volume(whitening["predictors"][name], windows.shape[1])[1:]
    return nll


def window_pit(generator, whitening, windows, label):
    """Probability integral transform of windows' first samples and later innovations under G, in [0, 1].

    (n, steps, channels), uniform if G is calibrated. Raises as `window_nll`.
    """
    return _measure(first_sample_pit, innovation_pit, generator, whitening, windows, label)


def loss_of_windows(log, best, validation_nll, steps):
    """A training log's losses as NLL of whole windows, in nats per step and the channels' units.

    ``log`` holds "loss" and "val_loss" of innovations; ``validation_nll`` is `window_nll`'s mean with the
    weights of epoch ``best`` (from 1). The two differ by a constant, which no training changes. Returns both
    columns as Series.
    """
    known = log.val_loss[best - 1]
    return tuple(validation_nll + (log[name] - known) * (steps - 1) / steps for name in ("loss", "val_loss"))


def save_generator(generator, whitening, path):
    """Write weights and whitening as one .keras file, in one move: all it takes to draw windows."""
    arrays = {"labels": json.dumps(whitening["labels"])}
    for part, keys in BY_LABEL.items():
        for key in keys:
            arrays |= {f"{part} {key} {name}": fitted[key] for name, fitted in whitening[part].items()}
    arrays |= {key: whitening[key] for key in OF_ALL}
    with atomic_path(path) as temporary:
        generator.save(temporary, include_optimizer=False)
        with zipfile.ZipFile(temporary, "a") as archive, archive.open(WHITENING_MEMBER, "w") as member:
            np.savez_compressed(member, **arrays)


def load_generator(path):
    """Load a trained G and its whitening, which is None on the report's axis.

    Raises ValueError, naming the file and the next step, if it is missing or damaged.
    """
    try:
        generator = keras.saving.load_model(path, {"sensegen>FastLSTM": FastLSTM}, compile=False)
        with zipfile.ZipFile(path) as archive:
            if WHITENING_MEMBER not in archive.namelist():
                return generator, None
            arrays = np.load(io.BytesIO(archive.read(WHITENING_MEMBER)))
        labels = json.loads(str(arrays["labels"]))
        whitening = {"labels": labels} | {key: arrays[key] for key in OF_ALL}
        for part, keys in BY_LABEL.items():
            whitening[part] = {name: {key: arrays[f"{part} {key} {name}"] for key in keys} for name in labels}
        return generator, whitening
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        notebook = Path(path).stem[:2] if Path(path).stem[:2].isdigit() else "07"
        raise ValueError(
            f"no trained generator can be read from {Path(path)} ({error}): run notebook {notebook} with the "
            "parameters in this name, or ./run_all.sh"
        ) from error


@functools.lru_cache(maxsize=4)  # a notebook measures several parts of the data by one generator
def _compiled(later, generator):
    return tf.function(lambda y, x: later(y, generator(x, training=False)), reduce_retracing=True)


def _measure(first, later, generator, whitening, windows, label):
    """What ``first`` makes of first samples, ``later`` of targets and parameters: float32 (n, steps, ...)."""
    inputs, targets = inputs_and_targets(whitening, windows, label)
    parts = [slice(start, start + 512) for start in range(0, len(windows), 512)]
    found = [_compiled(later, generator)(targets[part], inputs[part]).numpy() for part in parts]
    measured = np.pad(np.concatenate(found), ((0, 0), (1, 0), *((0, 0),) * (found[0].ndim - 2)))
    for name in np.unique(label).tolist():
        rows = label == name
        measured[rows, 0] = first(whitening["first"][name], windows[rows, 0])
    return measured

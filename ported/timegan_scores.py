"""TimeGAN's discriminative and predictive score, as coded, with Keras.

Windows are (n, steps, channels). Both scores scale them per channel to [0, 1] by the real ones, start from
TensorFlow 1's initial weights, and take 128 windows an update. Both raise ValueError for windows that are not
finite or of different shapes, and for one channel, where they are not defined.

Source: J. Yoon et al., Time-series Generative Adversarial Networks, NeurIPS 2019; jsyoon0823/TimeGAN,
metrics/, b6ee3c7 (not 1bd4864, later withdrawn, which builds one network for real and another for generated
windows).
"""

import keras
import numpy as np
from keras import layers

from fast_keras.once import outputs, untrained
from ported import check_pair

BATCH, ADAM = 128, {"learning_rate": 1e-3, "epsilon": 1e-8}


def discriminative_score(real, generated, iterations=2000, seed=0):
    """Tell real from generated windows by a GRU of channels // 2 units, and judge a random fifth.

    As coded it leaks: overlapping windows, and people, are on both sides of that division, and the scaling
    has seen the test. Returns "score", |0.5 - accuracy|; "accuracy"; "training_accuracy". Raises ValueError
    for unequal numbers, too.
    """
    parts = _to_unit_range(real, generated)
    if len(real) != len(generated):
        raise ValueError(f"{len(real)} real and {len(generated)} generated windows: the two must be balanced")
    rng, cut, channels = np.random.default_rng(seed), int(0.8 * len(real)), real.shape[2]
    parts = [x[rng.permutation(len(x))] for x in parts]
    size = {"features": channels, "units": channels // 2}
    model = untrained(_network, "binary_crossentropy", seed, size, **ADAM)
    for _ in range(iterations):
        batch = [part[rng.permutation(cut)[:BATCH]] for part in parts]
        labels = np.repeat(np.float32([1, 0]), len(batch[0]))[:, None]
        model.train_on_batch(np.concatenate(batch), labels)
    right = np.stack([outputs(model, parts[0]) > 0.5, outputs(model, parts[1]) <= 0.5])
    fitted, test = float(right[:, :cut].mean()), float(right[:, cut:].mean())
    return {"score": abs(0.5 - test), "accuracy": test, "training_accuracy": fitted}


def predictive_score(real, generated, iterations=5000, seed=0):
    """Return the error on real windows of a GRU trained on generated ones, in ranges of the real channel.

    It predicts the last channel at the next step from the others up to now; the error is the mean absolute
    one. As coded all generated windows train and all real ones test, so a copy of these does best: pass
    held-out volunteers as ``real``.
    """
    real, generated = _to_unit_range(real, generated)
    rng, channels = np.random.default_rng(seed), real.shape[2]
    size = {"features": channels - 1, "units": channels // 2, "every_step": True}
    model = untrained(_network, "mean_absolute_error", seed, size, **ADAM)
    for _ in range(iterations):
        batch = generated[rng.permutation(len(generated))[:BATCH]]
        model.train_on_batch(batch[:, :-1, :-1], batch[:, 1:, -1:])
    predicted = outputs(model, real[:, :-1, :-1])
    return float(np.abs(predicted - real[:, 1:, -1:]).mean(dtype=float))


def _to_unit_range(real, generated):
    check_pair(real, generated)
    if real.shape[2] < 2:
        raise ValueError("TimeGAN's scores are not defined for one channel: the GRU has int(1 / 2) = 0 units")
    low = real.min(axis=(0, 1))
    span = real.max(axis=(0, 1)) - low + 1e-7  # as TimeGAN's data_loading.py
    return [((windows - low) / span).astype(np.float32) for windows in (real, generated)]


def _network(features, units, every_step=False):
    gate_units = np.array([2, 2, 1]) * units  # update and reset share one kernel there, the candidate has one
    limits = np.repeat(np.sqrt(6 / (features + units + gate_units)), units)

    def kernel(shape, dtype=None):
        return keras.random.uniform(shape, -1, 1, dtype=dtype) * limits

    bias = keras.initializers.Constant(np.repeat(np.float32([1, 1, 0]), units))
    start = {"kernel_initializer": kernel, "recurrent_initializer": kernel, "bias_initializer": bias}
    inputs = keras.Input((None, features))
    hidden = layers.GRU(units, return_sequences=every_step, reset_after=False, **start)(inputs)
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(hidden))

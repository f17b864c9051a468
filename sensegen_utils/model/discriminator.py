"""The discriminator D, the sequences it judges, and the interval of its accuracy."""

import keras
import numpy as np
from keras import layers
from scipy.stats import norm

LEARNING_RATE, BATCH = 3e-4, 128  # report, "Discriminative Model Training Parameters"
SEQUENCE_STEPS = 128  # ours: the report does not say how long the sequences are that D sees


def build_discriminator(lstm_units=128, channels=1):
    """Build D: LSTM, a tanh layer of 32, one sigmoid unit. Input (batch, steps, channels), output P(real).

    The report names no activation for the layer of 32. Source: report, "Discriminative RNN Model".
    """
    inputs = keras.Input(shape=(None, channels), name="sequence")
    hidden = layers.LSTM(lstm_units, name="lstm")(inputs)
    hidden = layers.Dense(32, activation="tanh", name="DENSE1")(hidden)
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid", name="dense")(hidden), name="D")


def cut_sequences(series, steps=SEQUENCE_STEPS, stride=None):
    """Cut series (rows, length) into sequences (n, steps), in order of time, all rows of one start together.

    ``stride``, by default ``steps``, is between two starts. Raises ValueError for series that are too short.
    """
    if series.shape[1] < steps:
        raise ValueError(f"series of {series.shape[1]} steps are too short for sequences of {steps}")
    windows = np.lib.stride_tricks.sliding_window_view(series, steps, axis=1)
    return windows[:, :: steps if stride is None else stride].swapaxes(0, 1).reshape(-1, steps)


def labelled(real, fake, seed):
    """Mix real (label 1) and fake sequences: inputs (n, steps, 1), labels (n, 1), shuffled.

    Raises ValueError for unequal numbers: an accuracy of 50 % would then not mean that D cannot tell.
    """
    if len(real) != len(fake):
        raise ValueError(f"{len(real)} real and {len(fake)} fake sequences: the two must be balanced")
    order = np.random.default_rng(seed).permutation(2 * len(real))
    sequences = np.concatenate([real, fake]).astype(np.float32)[order, :, None]
    return sequences, np.repeat(np.float32([1, 0]), len(real))[order, None]


def accuracy_interval(accuracy, independent):
    """95 % Wilson interval of an accuracy that rests on ``independent`` judgements: (low, high).

    The report's four series are 20 ms apart, so sequences of one start are near copies: count them once. What
    is right of them need then be no whole number, as SciPy would have it.
    """
    z2 = norm.ppf(0.975) ** 2 / independent
    centre, half = accuracy + z2 / 2, np.sqrt(z2 * (accuracy * (1 - accuracy) + z2 / 4))
    return float((centre - half) / (1 + z2)), float((centre + half) / (1 + z2))

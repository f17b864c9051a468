"""The discriminator D, the sequences it judges, and the interval of its accuracy."""

import keras
import numpy as np
from keras import layers
from scipy.stats import binomtest

SEQUENCE_STEPS = 128  # ours: the report does not say how long the sequences are that D sees


def build_discriminator(lstm_units=128):
    """Build D: LSTM, a tanh layer of 32, one sigmoid unit. Input (batch, steps, 1), output P(real).

    The report names no activation for the layer of 32; tanh is our choice.
    Source: report, "Discriminative RNN Model".
    """
    inputs = keras.Input(shape=(None, 1), name="sequence")
    hidden = layers.LSTM(lstm_units, name="lstm")(inputs)
    hidden = layers.Dense(32, activation="tanh", name="DENSE1")(hidden)
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid", name="dense")(hidden), name="D")


def cut_sequences(series, steps=SEQUENCE_STEPS, stride=None):
    """Cut series (rows, length) into sequences (n, steps), in order of time, all rows of one start together.

    ``stride`` is the distance of two starts; without it the sequences do not overlap. Raises ValueError if
    the series is shorter than one sequence.
    """
    if series.shape[1] < steps:
        raise ValueError(f"series of {series.shape[1]} steps are too short for sequences of {steps}")
    windows = np.lib.stride_tricks.sliding_window_view(series, steps, axis=1)[:, :: stride or steps]
    return windows.swapaxes(0, 1).reshape(-1, steps)


def labelled(real, fake, seed):
    """Mix real and fake sequences for training or judging: inputs (n, steps, 1), labels (n, 1), shuffled.

    Label 1 is real. Raises ValueError unless there are as many real as fake sequences: with unequal numbers
    an accuracy of 50 % would not mean that D cannot tell.
    """
    if len(real) != len(fake):
        raise ValueError(f"{len(real)} real and {len(fake)} fake sequences: the two must be balanced")
    order = np.random.default_rng(seed).permutation(2 * len(real))
    sequences = np.concatenate([real, fake]).astype(np.float32)[order, :, None]
    return sequences, np.repeat(np.float32([1, 0]), len(real))[order, None]


def accuracy_interval(accuracy, independent):
    """95 % Wilson interval of an accuracy that rests on ``independent`` judgements: (low, high).

    The four series of the report are samples 20 ms apart of the same windows, so sequences that start at
    the same step are near copies. Count them once in ``independent``, or the interval is too narrow.
    """
    interval = binomtest(round(accuracy * independent), independent).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)

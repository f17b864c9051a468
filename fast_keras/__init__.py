"""Keras's LSTM and Adam, faster on a CPU and equal up to rounding; `once` compiles a kind of network once.

It imports nothing of `sensegen_utils`.
"""

from fast_keras.adam import FastAdam
from fast_keras.lstm import FastLSTM

__all__ = ["FastAdam", "FastLSTM"]

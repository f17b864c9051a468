"""Networks that are trained over and over: a kind and size is compiled once, which takes seconds."""

import functools

import keras
import numpy as np
import tensorflow as tf


@functools.lru_cache(maxsize=8)
def _compiled(build, loss, size, adam):
    """Return a compiled network, and its optimizer's variables before any update."""
    model = build(**dict(size))
    model.compile(keras.optimizers.Adam(**dict(adam)), loss=loss)
    model.optimizer.build(model.trainable_variables)
    return model, [variable.numpy() for variable in model.optimizer.variables]


def untrained(build, loss, seed, size, **adam):
    """Return what ``build`` makes of ``size``, compiled with `Adam`, with the first weights of ``seed``.

    All networks of one kind and size are one object: use it before the next call, or keep its weights.
    """
    model, of_optimizer = _compiled(build, loss, tuple(size.items()), tuple(adam.items()))
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    first = [*(variable.numpy() for variable in build(**size).variables), *of_optimizer]
    for variable, value in zip([*model.variables, *model.optimizer.variables], first, strict=True):
        variable.assign(value)
    return model


@functools.lru_cache(maxsize=8)
def _traced(model):
    """Return the network as a graph, for any number of windows: else its LSTM loops over steps in Python."""
    # Not `predict`: TensorFlow warns of what that traces anew for the last batch of each of many networks.
    windows = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)
    return tf.function(functools.partial(model, training=False), [windows], autograph=False)


def outputs(model, windows):
    """Return what a network says of (n, steps, channels), float32."""
    starts = range(0, len(windows), 512)
    return np.concatenate([_traced(model)(windows[start : start + 512]) for start in starts])

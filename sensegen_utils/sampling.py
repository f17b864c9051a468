"""Draw synthetic series from a trained generator, many at once, in one compiled loop."""

import functools

import keras
import numpy as np
import tensorflow as tf

from sensegen_utils.generator import SIGMA_FLOOR, split_mixture


def sample(
    generator,
    series,
    steps,
    seed,
    mixture_temperature=1.0,
    sigma_temperature=1.0,
    prefix=None,
    sigma_floor=SIGMA_FLOOR,
):
    """Draw synthetic series: float32 array (series, steps), in the signal's unit.

    Each series starts from a zero state and one value of standard normal noise (the paper's "random noise
    input"), or continues ``prefix``, a real array (series, prefix_steps) that is not part of the result.
    ``mixture_temperature`` divides the mixture logits, ``sigma_temperature`` multiplies sigma: below 1 both
    make the samples more typical. Equal arguments give equal samples. Works for a generator of any batch
    size, stateful or not, and leaves its state alone.

    Raises ValueError for a temperature that is not positive or a prefix of the wrong shape,
    FloatingPointError when the generator produces a value that is not finite.
    """
    if min(mixture_temperature, sigma_temperature) <= 0:
        raise ValueError(
            f"temperatures must be positive, not {mixture_temperature} and {sigma_temperature}; "
            "use a small value such as 0.01 for nearly deterministic samples"
        )
    if prefix is None:
        prefix = np.random.default_rng(seed).standard_normal((series, 1))
    prefix = np.asarray(prefix, np.float32)
    if prefix.ndim != 2 or len(prefix) != series or prefix.shape[1] == 0:
        raise ValueError(f"prefix must have shape ({series}, at least 1), not {prefix.shape}")
    values = _compiled_loop(generator, sigma_floor)(
        tf.constant(prefix),
        tf.constant(steps),
        tf.constant(seed),
        tf.constant(mixture_temperature, tf.float32),
        tf.constant(sigma_temperature, tf.float32),
    ).numpy()
    if not np.isfinite(values).all():
        row, step = np.argwhere(~np.isfinite(values))[0]
        raise FloatingPointError(
            f"the generator produced {values[row, step]} in series {row} at step {step}; "
            "its weights are probably not finite: look at its training log"
        )
    return values


@functools.lru_cache(maxsize=8)
def _compiled_loop(generator, sigma_floor):
    lstm_layers = [layer for layer in generator.layers if isinstance(layer, keras.layers.LSTM)]
    dense_layers = [layer for layer in generator.layers if isinstance(layer, keras.layers.Dense)]

    def advance(value, states):
        hidden, new_states = value, []
        for layer, state in zip(lstm_layers, states, strict=True):
            hidden, state = layer.cell(hidden, state)
            new_states.append(state)
        return hidden, new_states

    @tf.function(reduce_retracing=True)
    def draw(prefix, steps, seed, mixture_temperature, sigma_temperature):
        series = tf.shape(prefix)[0]
        states = [[tf.zeros((series, layer.units))] * 2 for layer in lstm_layers]
        for t in tf.range(tf.shape(prefix)[1] - 1):
            _, states = advance(tf.gather(prefix, [t], axis=1), states)
        value, drawn = prefix[:, -1:], tf.TensorArray(tf.float32, size=steps)
        for t in tf.range(steps):
            hidden, states = advance(value, states)
            for layer in dense_layers:
                hidden = layer(hidden)
            log_weights, means, log_sigmas = split_mixture(hidden, sigma_floor)
            value = _draw_from_mixture(
                log_weights / mixture_temperature,
                means,
                tf.exp(log_sigmas) * sigma_temperature,
                tf.stack([seed, t]),
            )
            drawn = drawn.write(t, value[:, 0])
        return tf.transpose(drawn.stack())

    return draw


def _draw_from_mixture(logits, means, sigmas, seed):
    shape = (tf.shape(logits)[0], 1)
    # Inverse CDF over the components: one uniform number a sample instead of one a component.
    cumulative = tf.cumsum(tf.nn.softmax(logits), axis=-1)
    threshold = tf.random.stateless_uniform(shape, seed) * cumulative[:, -1:]
    chosen = tf.reduce_sum(tf.cast(cumulative < threshold, tf.int32), axis=-1, keepdims=True)
    mean, sigma = (tf.gather(values, chosen, axis=1, batch_dims=1) for values in (means, sigmas))
    return mean + sigma * tf.random.stateless_normal(shape, seed + tf.constant([1 << 30, 0]))

"""A drop-in `keras.layers.LSTM` that trains on a CPU in half to five sixths of the time.

Stock Keras dispatches dozens of small operations per time step, and adds one outer product to each weight
gradient at every step. Here, as in cuDNN, the input product `x @ W + b` is one product over all steps; a
custom gradient stacks the gate gradients over time, so each weight gradient is one product after the loop;
and XLA compiles what must stay sequential, the two loops. The large products stay outside of XLA, which is
slow at the transposed ones and would keep TensorFlow from running them beside the loop of the layer below.
"""

import keras
import tensorflow as tf

SMALL_BATCH = 32  # up to here gates keep the rounding that the recorded trainings were made with
MAX_BATCH = 512  # the largest that was measured; from there on memory for the gates counts in gigabytes

# Some wheels (Windows) carry no XLA; the same code then runs as ordinary graph operations.
_compiled = tf.function(autograph=False, jit_compile=tf.test.is_built_with_xla() or None)


def _activate(z, large):
    """Apply the sigmoid to input, forget and output gate and tanh to the candidate: ``(batch, 4 units)``."""
    if large:
        # sigmoid(x) = tanh(x / 2) / 2 + 1 / 2: one pass over all four is faster than four and a copy.
        scale = tf.repeat(tf.constant([0.5, 0.5, 1, 0.5], z.dtype), z.shape[-1] // 4)
        return tf.tanh(z * scale) * scale + (1 - scale)
    i, f, g, o = tf.split(z, 4, axis=-1)
    return tf.concat([tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)], -1)


@_compiled
def _forward(xz, h, c, recurrent, large):
    """Return time-major hidden and cell states, both with the initial one in front, and gate activations."""
    steps = tf.shape(xz)[0]

    def step(t, h, c, hs, cs, gates):
        now = _activate(xz[t] + tf.matmul(h, recurrent), large)
        i, f, g, o = tf.split(now, 4, axis=-1)
        c = f * c + i * g
        h = o * tf.tanh(c)
        return t + 1, h, c, hs.write(t + 1, h), cs.write(t + 1, c), gates.write(t, now)

    hs, cs = (tf.TensorArray(xz.dtype, steps + 1).write(0, s) for s in (h, c))
    start = (0, h, c, hs, cs, tf.TensorArray(xz.dtype, steps))
    *_, hs, cs, gates = tf.while_loop(lambda t, *_: t < steps, step, start)
    return hs.stack(), cs.stack(), gates.stack()


@_compiled
def _backward(dhs, dh, dc, cs, gates, recurrent_transposed):
    """Return the gradients of the gate pre-activations at all steps and of both initial states."""
    steps = tf.shape(gates)[0]

    def add_outputs(t, dh, dc):
        *_, o = tf.split(gates[t], 4, axis=-1)
        tanh_c = tf.tanh(cs[t + 1])
        dh = dh + dhs[t]
        return dh, dc + dh * o * (1 - tanh_c * tanh_c)

    # The sums over outputs and next step are carried, since XLA would compute them anew for each gate.
    def step(t, dh, dc, _dh, _dc, dzs):
        i, f, g, o = tf.split(gates[t], 4, axis=-1)
        di, df, dg, do = (
            dc * g * i * (1 - i),
            dc * cs[t] * f * (1 - f),
            dc * i * (1 - g * g),
            dh * tf.tanh(cs[t + 1]) * o * (1 - o),
        )
        dz = tf.concat([di, df, dg, do], -1)
        dh, dc = tf.matmul(dz, recurrent_transposed), dc * f
        return t - 1, *add_outputs(tf.maximum(t - 1, 0), dh, dc), dh, dc, dzs.write(t, dz)

    start = (steps - 1, *add_outputs(steps - 1, dh, dc), dh, dc, tf.TensorArray(gates.dtype, steps))
    *_, dh, dc, dzs = tf.while_loop(lambda t, *_: t >= 0, step, start)
    return dzs.stack(), dh, dc


@tf.custom_gradient
def _lstm(inputs, h, c, kernel, recurrent, bias):
    """Return the hidden states `(batch, time, units)` and the last hidden and cell state."""
    large = inputs.shape[0] > SMALL_BATCH
    x = tf.transpose(inputs, (1, 0, 2))
    shape, features, units = tf.shape(x), kernel.shape[0], recurrent.shape[0]
    flat_x = tf.reshape(x, (-1, features))
    xz = tf.reshape(tf.nn.bias_add(tf.matmul(flat_x, kernel), bias), (shape[0], shape[1], 4 * units))
    # Without stop_gradient an eager tape would also record the loop, and XLA cannot compile that version.
    hs, cs, gates = _forward(*map(tf.stop_gradient, (xz, h, c, recurrent)), large)

    def gradient(dhs, dh, dc):
        # XLA on a CPU multiplies by a transposed operand several times more slowly than by a copied one.
        dz, dh, dc = _backward(tf.transpose(dhs, (1, 0, 2)), dh, dc, cs, gates, tf.transpose(recurrent))
        dz = tf.reshape(dz, (-1, 4 * units))
        # So does TensorFlow, by a third, but with few rows the copy costs more than it saves.
        dx = tf.matmul(dz, tf.transpose(kernel)) if large else tf.matmul(dz, kernel, transpose_b=True)
        dkernel = tf.matmul(flat_x, dz, transpose_a=True)
        drecurrent = tf.matmul(tf.reshape(hs[:-1], (-1, units)), dz, transpose_a=True)
        # A product with ones sums the rows several times faster than TensorFlow's own reduction.
        dbias = tf.matmul(tf.ones_like(dz[None, :, 0]), dz)[0] if large else tf.reduce_sum(dz, 0)
        return tf.transpose(tf.reshape(dx, shape), (1, 0, 2)), dh, dc, dkernel, drecurrent, dbias

    # The loops lose the static shape, which the next layer needs to see how large its batch is.
    outputs = tf.ensure_shape(tf.transpose(hs[1:], (1, 0, 2)), (*inputs.shape[:2], units))
    return (outputs, tf.ensure_shape(hs[-1], h.shape), tf.ensure_shape(cs[-1], c.shape)), gradient


@keras.saving.register_keras_serializable("sensegen")
class FastLSTM(keras.layers.LSTM):
    """`keras.layers.LSTM` with the same arguments, weights, files and results up to rounding, only faster.

    Where `_is_fast` says no, and for batches of unknown size, it falls back to the stock loop. XLA compiles
    anew (about half a second) for each length and batch size. Gradients are of first order only.
    """

    def inner_loop(self, sequences, initial_state, mask, training=False):
        """Run the sequence; called by `keras.layers.RNN.call`, which handles states and what to return."""
        if not self._is_fast(sequences, mask, training):
            return super().inner_loop(sequences, initial_state, mask=mask, training=training)
        if self.go_backwards:
            sequences = tf.reverse(sequences, [1])
        weights = self.cell.kernel, self.cell.recurrent_kernel, self.cell.bias
        weights = [tf.convert_to_tensor(weight) for weight in weights]
        batch = sequences.shape[0]
        # XLA's loops keep the second core idle, so TensorFlow runs the halves of a large batch side by side.
        sizes = [batch // 2, batch - batch // 2] if batch > 2 * SMALL_BATCH else [batch]
        parts = zip(*(tf.split(each, sizes) for each in (sequences, *initial_state)), strict=True)
        done = [_lstm(*part, *weights) for part in parts]
        outputs, h, c = (tf.concat(each, 0) for each in zip(*done, strict=True))
        return h, outputs, [h, c]

    def _is_fast(self, sequences, mask, training):
        batch = sequences.shape[0]
        return (
            keras.backend.backend() == "tensorflow"
            and batch is not None
            and batch <= (MAX_BATCH if training else SMALL_BATCH)  # else memory for the gates is wasted
            and not any(m is not None for m in keras.tree.flatten(mask))
            and not (training and (self.dropout or self.recurrent_dropout))
            and self.activation is keras.activations.tanh
            and self.recurrent_activation is keras.activations.sigmoid
            and self.use_bias
            and self.use_cudnn is not True
            and self.compute_dtype in ("float32", "float64")
            and not tf.config.get_visible_devices("GPU")  # cuDNN is faster still
        )


# Weight files address a layer by the name of its class; this keeps those of the stock layer interchangeable.
FastLSTM.__name__ = "LSTM"

"""A drop-in `keras.optimizers.Adam` that updates on a CPU in a third of the time.

Stock Keras dispatches a dozen operations for each weight, and each of them reads and writes all of it. Here
XLA compiles the update into one pass over each weight. The global norm stays outside, since XLA sums slowly
on a CPU, and clipping is a factor within the pass.
"""

import keras
import numpy as np
import tensorflow as tf


@keras.saving.register_keras_serializable("sensegen")
class FastAdam(keras.optimizers.Adam):
    """`keras.optimizers.Adam` with the same arguments, variables, files and results up to rounding."""

    def build(self, variables):
        """Make the moments of ``variables``, and compile their update at its first call."""
        super().build(variables)
        # Some wheels (Windows) carry no XLA; the same code then runs as ordinary graph operations.
        xla = tf.test.is_built_with_xla() or None
        self._compiled = tf.function(self._update, autograph=False, jit_compile=xla)

    def _update(self, gradients, rate, factor):
        variables = (self._trainable_variables, self._momentums, self._velocities)
        for gradient, *own in zip(gradients, *variables, strict=True):
            weight, m, v = (each.value for each in own)
            gradient = gradient * factor
            new_m = m + (gradient - m) * (1 - self.beta_1)
            new_v = v + (tf.square(gradient) - v) * (1 - self.beta_2)
            m.assign(new_m)
            v.assign(new_v)
            weight.assign_sub(new_m * rate / (tf.sqrt(new_v) + self.epsilon))

    def _clip_gradients(self, grads):
        return grads if self._is_fast(grads) else super()._clip_gradients(grads)

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        if not self._is_fast(grads):
            return super()._backend_update_step(grads, trainable_variables, learning_rate)
        step, factor = tf.cast(tf.convert_to_tensor(self.iterations) + 1, tf.float32), tf.constant(1.0)
        rate = learning_rate * tf.sqrt(1 - self.beta_2**step) / (1 - self.beta_1**step)
        if self.global_clipnorm:
            norm = tf.linalg.global_norm(grads)
            factor = self.global_clipnorm / tf.maximum(norm, self.global_clipnorm)
            factor = tf.where(tf.math.is_finite(norm), factor, np.nan)  # as Keras: a broken step must show
        by_variable = dict(zip(map(self._get_variable_index, trainable_variables), grads, strict=True))
        self._compiled([by_variable[index] for index in range(len(grads))], rate, factor)

    def _is_fast(self, grads):
        return (
            len(grads) == len(self._trainable_variables)
            and all(isinstance(each, tf.Tensor) and each.dtype == tf.float32 for each in grads)
            and not (self.amsgrad or self.clipnorm or self.clipvalue)
            and not tf.config.get_visible_devices("GPU")
        )

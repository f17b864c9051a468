"""The generator G: stacked LSTMs whose output is a Gaussian mixture over the next sample, and its losses."""

import math

import keras
from keras import layers, ops

from sensegen_utils.fast_lstm import FastLSTM
from sensegen_utils.profiles import SIGMA_FLOOR

COMPONENTS = 24  # report, "GMM parameters": l[1..24], l[25..48], l[49..72]
HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def build_generator(
    lstm_units=256,
    lstm_layers=3,
    components=COMPONENTS,
    batch_size=None,
    tf1_initializers=False,
    idle_dense=False,
):
    """Build G: LSTM layers, a sigmoid layer of 128, a linear layer of 3 x components.

    Input (batch, steps, 1), output (batch, steps, 3 x components): mixture logits, means, log standard
    deviations of the next sample, in the signal's unit.

    With ``batch_size`` the LSTM layers carry their state from one batch to the next, which is how the
    report's code trains. ``tf1_initializers`` starts from TensorFlow 1's distributions (spec, public code):
    Glorot-uniform over the joint LSTM kernel, truncated normal of 0.2 for the dense kernels. ``idle_dense``
    adds the Dense(24) of the report's layer table, which stands in no formula of the report.

    Source: report, "Generative Model"; paper, section on the generative model.
    """
    inputs = keras.Input(batch_shape=(batch_size, None, 1), name="signal")
    hidden = inputs
    for _ in range(lstm_layers):
        kernels = tf1_lstm_kernels(hidden.shape[-1], lstm_units) if tf1_initializers else {}
        hidden = FastLSTM(lstm_units, return_sequences=True, stateful=batch_size is not None, **kernels)(
            hidden
        )
    hidden = layers.Dense(128, activation="sigmoid", name="DENSE1", **_tf1_dense_kernel(tf1_initializers))(
        hidden
    )
    outputs = layers.Dense(3 * components, name="DENSE2", **_tf1_dense_kernel(tf1_initializers))(hidden)
    if idle_dense:
        outputs = layers.Dense(components, name="dense")(outputs)
    return keras.Model(inputs, outputs, name="G")


def tf1_lstm_kernels(input_size, units):
    """Keyword arguments that give a Keras LSTM layer TensorFlow 1's initial distribution of its kernels.

    TensorFlow 1 keeps one kernel for input and state together, so its Glorot limit counts both.
    """
    limit = math.sqrt(6 / (input_size + units + 4 * units))
    return {
        name: keras.initializers.RandomUniform(-limit, limit)
        for name in ("kernel_initializer", "recurrent_initializer")
    }


def _tf1_dense_kernel(tf1_initializers):
    return {"kernel_initializer": keras.initializers.TruncatedNormal(stddev=0.2)} if tf1_initializers else {}


def split_mixture(params, sigma_floor=SIGMA_FLOOR):
    """Split G's output into log weights, means and log standard deviations.

    ``params`` (..., 3 x components) -> three tensors (..., components). The weights are normalised. With a
    floor s, sigma = exp(l) + s, so that it never falls below s and its gradient never vanishes; with
    ``sigma_floor=0`` it is the report's sigma = exp(l).
    """
    logits, means, log_sigmas = ops.split(params, 3, axis=-1)
    if sigma_floor:
        log_sigmas = ops.logaddexp(log_sigmas, math.log(sigma_floor))
    return ops.log_softmax(logits, axis=-1), means, log_sigmas


@keras.saving.register_keras_serializable("sensegen")
def mixture_nll(x_next, params, sigma_floor=SIGMA_FLOOR):
    """Negative log-likelihood of each next sample under G's mixture, in nats per step.

    ``x_next`` (batch, steps, 1), ``params`` (batch, steps, 3 x components) -> (batch, steps). Works in log
    space throughout (log_softmax, logsumexp), so it stays finite at any distance float32 can square. It is
    a density's logarithm: negative values are normal for signals much finer than one unit, and with a floor
    s it cannot fall below log(s sqrt(2 pi)).

    Source: report, "Generative Loss and GMM Parameters"; the sum over steps is left to the caller.
    """
    log_weights, means, log_sigmas = split_mixture(params, sigma_floor)
    distance = (x_next - means) * ops.exp(-log_sigmas)
    log_densities = -0.5 * ops.square(distance) - log_sigmas - HALF_LOG_2PI
    return -ops.logsumexp(log_weights + log_densities, axis=-1)


@keras.saving.register_keras_serializable("sensegen")
def probability_space_nll(x_next, params):
    """The report's own loss, for study only: probabilities are summed first, the logarithm comes last.

    Shapes as in `mixture_nll`. No floor on sigma. In float32 every density underflows to 0 some 13 sigmas
    away from all components; log(0) is -inf and its gradient NaN.

    Source: the public code behind the report (spec, "NaN").
    """
    logits, means, log_sigmas = ops.split(params, 3, axis=-1)
    sigmas = ops.exp(log_sigmas)
    densities = ops.exp(-0.5 * ops.square((x_next - means) / sigmas)) / (sigmas * math.sqrt(2 * math.pi))
    return -ops.log(ops.sum(ops.softmax(logits, axis=-1) * densities, axis=-1))

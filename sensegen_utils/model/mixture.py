"""The Gaussian mixture that G outputs for the next sample: its likelihood, its calibration, a draw.

An output is one vector a step: for each component a logit, ``channels`` means, ``channels`` log standard
deviations. A component is a Gaussian with a diagonal covariance. The report's axis has one channel.

Source: report, "Generative Loss and GMM Parameters"; C. Bishop, Mixture Density Networks, 1994.
"""

import math

import keras
import tensorflow as tf
from keras import ops

from sensegen_utils.profiles import SIGMA_FLOOR

COMPONENTS = 24  # report, "GMM parameters": l[1..24], l[25..48], l[49..72]
HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def split_mixture(params, sigma_floor=SIGMA_FLOOR, channels=1):
    """Split outputs into log weights, means and log standard deviations.

    ``params`` (..., components x (1 + 2 x channels)) -> (..., components), (..., components, channels) twice.
    The weights are normalised. With a floor s, a number or a tensor (..., channels), sigma = exp(l) + s: its
    gradient never vanishes. ``sigma_floor=0`` is the report's sigma = exp(l).
    """
    components = params.shape[-1] // (1 + 2 * channels)
    logits, means, log_sigmas = ops.split(params, [components, components * (1 + channels)], axis=-1)
    shape = (*ops.shape(params)[:-1], components, channels)
    means, log_sigmas = ops.reshape(means, shape), ops.reshape(log_sigmas, shape)
    if isinstance(sigma_floor, int | float):
        log_floor = math.log(sigma_floor) if sigma_floor else None
    else:
        log_floor = ops.log(sigma_floor)[..., None, :]
    if log_floor is not None:
        log_sigmas = ops.logaddexp(log_sigmas, log_floor)
    return ops.log_softmax(logits, axis=-1), means, log_sigmas


@keras.saving.register_keras_serializable("sensegen")
def mixture_nll(x_next, params, sigma_floor=SIGMA_FLOOR):
    """Negative log-likelihood of each next sample, all channels jointly, in nats per step: (...).

    ``x_next`` (..., channels), ``params`` and ``sigma_floor`` as in `split_mixture`. It works in log space
    throughout, so it stays finite at any distance that float32 can square. Negative values are normal for
    signals much finer than one unit: with a floor s and one channel the least is log(s sqrt(2 pi)).
    """
    log_weights, means, log_sigmas = split_mixture(params, sigma_floor, x_next.shape[-1])
    distance = (ops.expand_dims(x_next, -2) - means) * ops.exp(-log_sigmas)
    log_densities = ops.sum(-0.5 * ops.square(distance) - log_sigmas - HALF_LOG_2PI, axis=-1)
    return -ops.logsumexp(log_weights + log_densities, axis=-1)


@keras.saving.register_keras_serializable("sensegen")
def innovation_nll(targets, params):
    """`mixture_nll` as a Keras loss: of `whitening.inputs_and_targets`, which hold the floors, too."""
    left, floor = ops.split(targets, 2, axis=-1)
    return mixture_nll(left, params, floor)


@keras.saving.register_keras_serializable("sensegen")
def probability_space_nll(x_next, params):
    """The report's own loss, for study only: probabilities are summed first, the logarithm comes last.

    One channel, no floor on sigma. In float32 every density underflows to 0 some 13 sigmas away from all
    components; log(0) is -inf and its gradient NaN. Source: the public code behind the report.
    """
    logits, means, log_sigmas = ops.split(params, 3, axis=-1)
    sigmas = ops.exp(log_sigmas)
    densities = ops.exp(-0.5 * ops.square((x_next - means) / sigmas)) / (sigmas * math.sqrt(2 * math.pi))
    return -ops.log(ops.sum(ops.softmax(logits, axis=-1) * densities, axis=-1))


def innovation_pit(targets, params):
    """Probability integral transform of `innovation_nll`'s targets: (..., channels), in [0, 1].

    Each channel by itself, given the past but not the other channels of the same moment.
    Source: T. Gneiting et al., Probabilistic forecasts, calibration and sharpness, JRSS B 2007.
    """
    left, floor = ops.split(ops.convert_to_tensor(targets), 2, axis=-1)
    log_weights, means, log_sigmas = split_mixture(params, floor, left.shape[-1])
    below = 0.5 * (1 + ops.erf((left[..., None, :] - means) * ops.exp(-log_sigmas) / math.sqrt(2)))
    return ops.sum(ops.exp(log_weights)[..., None] * below, axis=-2)


def draw_from_mixture(weights, means, sigmas, uniform, normal):
    """Draw one value from each of ``n`` mixtures, in a TensorFlow graph: (n, channels).

    ``weights`` (n, components) need not sum to 1; ``means`` and ``sigmas`` (n, components, channels).
    ``uniform`` (n,) chooses the component, by the inverse of the cumulative weights; ``normal`` is
    (n, channels).
    """
    cumulative = tf.cumsum(weights, axis=-1)
    below = cumulative < uniform[:, None] * cumulative[:, -1:]
    chosen = tf.reduce_sum(tf.cast(below, tf.int32), axis=-1)
    mean, sigma = (tf.gather(values, chosen, axis=1, batch_dims=1) for values in (means, sigmas))
    return mean + sigma * normal

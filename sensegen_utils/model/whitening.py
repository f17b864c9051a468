"""The whitening filter in front of G: what a linear filter knows of the next sample, and the rest.

UCI HAR's signals are low-passed at 20 Hz but sampled at 50 Hz. So a weighted sum of the past says nearly all
of the next value, to some hundredths of the signal's range, which an LSTM's saturating units hardly reach.
The generator therefore models the innovations, what the filter leaves: white, of unit variance, and by a
triangular factor uncorrelated between channels. The filters are of order 0 at a window's first sample, of
order 1 at the second, and so on up to the highest. So a window needs no samples from before it, and its
likelihood is that of its innovations times a constant.

A whitening is a dict: "labels" (list), "predictors" ({label: `fit_predictors`' dict}), "first" ({label:
`fit_first_sample`'s dict}), "mean" and "deviation" (channels,) of the training windows, "floor" (channels,),
all in the channels' units. On the report's axis there is none: there the generator reads the series itself.

Sources: H. Luetkepohl, New Introduction to Multiple Time Series Analysis, 2005, chapter 2; for the first
sample G. McLachlan, D. Peel, Finite Mixture Models, 2000.
"""

import numpy as np
from scipy.special import logsumexp, ndtr
from scipy.stats import Covariance, multivariate_normal
from sklearn.mixture import GaussianMixture

# Of the mean variance, at most of 1e4 times a channel's own: the stop band makes the equations near singular.
RIDGE = 1e-9
# On the validation volunteers 4 to 16 components do equally well, and only with 16 does the gravity of people
# who lie keep its norm, 1 g within a few hundredths.
COMPONENTS = 16
WINDOWS_EACH = 16  # at least so many windows for a component: fewer would be copies of volunteers' postures
STRIDE = 16  # windows begin anywhere, so every sample is a first one; neighbouring samples say the same twice
SMALLEST_VARIANCE = 1e-3  # of the channel's own


def fit_whitening(windows, label, order, floor):
    """Fit a whitening to training windows (n, steps, channels) and their labels (n,).

    ``order`` is the filters' highest. ``floor`` (channels,), in the channels' units, is added to the sigmas
    of what that order leaves: tie it to the sensor's resolution. With one filter for all labels the level of
    generated windows would wander. Raises as `fit_predictors`.
    """
    names = np.unique(label).tolist()
    return {
        "labels": names,
        "predictors": {name: fit_predictors(windows[label == name], order) for name in names},
        "first": {name: fit_first_sample(windows[label == name], floor) for name in names},
        "mean": windows.mean(axis=(0, 1), dtype=np.float64),
        "deviation": windows.std(axis=(0, 1), dtype=np.float64),
        "floor": np.broadcast_to(floor, windows.shape[2:]).astype(np.float64),
    }


def inputs_and_targets(whitening, windows, label):
    """What G reads, and what `innovation_nll` compares its output with, for windows and labels (n,).

    Inputs, float32 (n, steps - 1, 2 x channels + labels): the innovation and the standardised sample of
    every step but the last, and the one-hot label. Targets, float32 (n, steps - 1, 2 x channels): the
    innovations of the step after each, and the floors of their sigmas. Raises as `innovations_by_label`.
    """
    names, steps = whitening["labels"], windows.shape[1] - 1
    left, _ = innovations_by_label(windows, label, whitening["predictors"])
    standardised = (windows[:, :-1] - whitening["mean"]) / whitening["deviation"]
    one_hot, floors = np.equal.outer(label, names), floors_by_label(whitening)[np.searchsorted(names, label)]
    one_hot, floors = (np.repeat(each[:, None], steps, axis=1) for each in (one_hot, floors))
    inputs = np.concatenate([left[:, :-1], standardised, one_hot], axis=2, dtype=np.float32)
    return inputs, np.concatenate([left[:, 1:], floors], axis=2)


def floors_by_label(whitening):
    """The floors of the sigmas of innovations, float32 (labels, channels), without a unit."""
    factors = [whitening["predictors"][name]["factors"][-1] for name in whitening["labels"]]
    return (whitening["floor"] / np.diagonal(factors, axis1=1, axis2=2)).astype(np.float32)


def fit_predictors(pieces, order):
    """Fit the best linear predictors of order 0 to ``order`` to unbroken pieces, each (samples, channels).

    Returns a dict, float64, in the pieces' units: "mean" (channels,), "weights" (order + 1, max(order, 1) x
    channels, channels) for the last ``order`` samples less their mean, earliest first (zero for those that a
    lower order does not see), and "factors" (order + 1, channels, channels), the lower triangular factors of
    the covariance of what is left. Raises ValueError if no piece is longer than ``order``.
    """
    view = np.lib.stride_tricks.sliding_window_view
    windows = [view(x, order + 1, axis=0).swapaxes(1, 2) for x in pieces if len(x) > order]
    if not windows:
        raise ValueError(f"no piece has more than {order} samples: take a lower order or longer pieces")
    count = sum(map(len, windows))
    mean = sum(each[:, -1].sum(axis=0, dtype=np.float64) for each in windows) / count
    channels = len(mean)
    covariance = np.zeros(((order + 1) * channels,) * 2)
    for each in windows:
        flat = (each - mean).reshape(len(each), -1)
        covariance += flat.T @ flat / count
    most = 1e4 * np.diag(covariance).reshape(-1, channels).mean(axis=0)  # else g would drown beside pascals
    most = np.tile(np.where(most > 0, most, np.inf), order + 1)
    covariance[np.diag_indices_from(covariance)] += RIDGE * np.minimum(np.diag(covariance).mean(), most)
    weights = np.zeros((order + 1, max(order, 1) * channels, channels))
    factors = np.empty((order + 1, channels, channels))
    now = slice(order * channels, None)
    for lags in range(order + 1):
        past = slice((order - lags) * channels, order * channels)
        if lags:
            weights[lags, past] = np.linalg.solve(covariance[past, past], covariance[past, now])
        left = covariance[now, now] - weights[lags, past].T @ covariance[past, now]
        factors[lags] = np.linalg.cholesky(left)
    return {"mean": mean, "weights": weights, "factors": factors}


def of_label(predictors, name):
    """Predictors of a label. Raises ValueError, which names those there are, if it was not in training."""
    if name not in predictors:
        raise ValueError(f"nothing was fitted to the label {name}; there are {list(predictors)}")
    return predictors[name]


def innovations_by_label(windows, label, predictors):
    """`innovations` and `log_volume` of windows under their label's filter. Raises as `of_label`."""
    left, volume = np.empty(windows.shape, np.float32), np.empty(windows.shape[:2])
    for name in np.unique(label).tolist():
        rows, own = label == name, of_label(predictors, name)
        left[rows], volume[rows] = innovations(windows[rows], own), log_volume(own, windows.shape[1])
    return left, volume


def innovations(windows, predictors):
    """What the predictors leave of windows (n, steps, channels): float32, same shape, unit covariance."""
    inverses = np.linalg.inv(predictors["factors"])
    centred = windows.astype(np.float64) - predictors["mean"]
    left = np.empty(windows.shape, np.float32)
    for t in range(windows.shape[1]):
        predicted, lags = _predict(centred, t, predictors)
        left[:, t] = (centred[:, t] - predicted) @ inverses[lags].T
    return left


def restore(left, predictors):
    """Windows (n, steps, channels), float32, of which ``left`` are the `innovations`."""
    centred = np.empty(left.shape)
    for t in range(left.shape[1]):
        predicted, lags = _predict(centred, t, predictors)
        centred[:, t] = predicted + left[:, t] @ predictors["factors"][lags].T
    return (centred + predictors["mean"]).astype(np.float32)


def log_volume(predictors, steps):
    """Nats (steps,) to add to the NLL of each innovation for that of the sample itself, in its own units."""
    diagonals = np.diagonal(predictors["factors"], axis1=1, axis2=2)
    return np.log(diagonals).sum(axis=1)[np.minimum(np.arange(steps), len(diagonals) - 1)]


def _predict(centred, t, predictors):
    n, _, channels = centred.shape
    lags = min(t, len(predictors["weights"]) - 1)
    weights = predictors["weights"][lags]
    past = centred[:, t - lags : t].reshape(n, lags * channels)
    return past @ weights[len(weights) - lags * channels :], lags


def fit_first_sample(windows, floor=1e-9):
    """Fit a Gaussian mixture for first samples, which have no past, to one label's windows.

    An LSTM would begin a lying person's window anywhere between the postures of all. ``windows`` is (n,
    steps, channels); a channel's deviation counts as ``floor`` at least, so it may rest. Returns
    "weights" (components,), "means" (components, channels), "covariances" (components, channels,
    channels), in the channels' units.
    """
    samples = windows[:, ::STRIDE].reshape(-1, windows.shape[2]).astype(np.float64)
    mean, deviation = samples.mean(axis=0), np.maximum(samples.std(axis=0), floor)
    components = min(COMPONENTS, max(1, len(windows) // WINDOWS_EACH))
    mixture = GaussianMixture(components, reg_covar=SMALLEST_VARIANCE, random_state=0)
    mixture.fit((samples - mean) / deviation)
    return {
        "weights": mixture.weights_,
        "means": mixture.means_ * deviation + mean,
        "covariances": mixture.covariances_ * np.outer(deviation, deviation),
    }


def first_sample_nll(mixture, samples):
    """NLL of first samples (n, channels): (n,), in nats, in their own units."""
    factors = map(Covariance.from_cholesky, np.linalg.cholesky(mixture["covariances"]))  # of any units
    components = zip(mixture["means"], factors, strict=True)
    log_densities = [multivariate_normal(mean, covariance).logpdf(samples) for mean, covariance in components]
    return -logsumexp(np.reshape(log_densities, (-1, len(samples))).T + np.log(mixture["weights"]), axis=1)


def first_sample_pit(mixture, samples):
    """Where each channel of first samples (n, channels) lies in its own distribution: (n, channels)."""
    sigmas = np.sqrt(np.diagonal(mixture["covariances"], axis1=1, axis2=2))
    below = ndtr((samples[:, None] - mixture["means"]) / sigmas)
    return np.einsum("k,nkc->nc", mixture["weights"], below)


def draw_first_sample(mixture, count, rng):
    """Draw first samples with a NumPy generator: (count, channels)."""
    chosen = rng.choice(len(mixture["weights"]), size=count, p=mixture["weights"])
    normal = rng.standard_normal((count, mixture["means"].shape[1]))
    factors = np.linalg.cholesky(mixture["covariances"])
    return mixture["means"][chosen] + np.einsum("nij,nj->ni", factors[chosen], normal)

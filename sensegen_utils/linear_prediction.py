"""What of the next sample a linear filter knows already: best predictors of every order, and the rest.

UCI HAR's signals are low-passed at 20 Hz but sampled at 50 Hz, so a weighted sum of the past says nearly all
of the next value, to some hundredths of the signal's range, which an LSTM's saturating units hardly reach. A
generator that models only the innovations, what the filter leaves, starts from there. The predictors are of
order 0 at a window's first sample, of order 1 at the second, and so on up to the highest. So no sample of a
window needs others from before it, and a window's likelihood is that of its innovations times a constant.

Source: H. Luetkepohl, New Introduction to Multiple Time Series Analysis, 2005, chapter 2.
"""

import numpy as np

RIDGE = 1e-9  # of the mean variance; the stop band makes the equations all but singular


def fit_predictors(pieces, order):
    """Fit the best linear predictors of order 0 to ``order`` to unbroken pieces, each (samples, channels).

    Returns a dict, float64, in the pieces' units: "mean" (channels,), "weights" (order + 1, order x channels,
    channels), by which the last ``order`` samples less their mean, earliest first, are multiplied (zero for
    those that a lower order does not see), and "factors" (order + 1, channels, channels), lower triangular
    factors of the covariance of what is left. With an order of 0, which predicts the mean, the weights are
    zeros of the shape that order 1 has. Raises ValueError if no piece is longer than ``order``.
    """
    windows = [
        np.lib.stride_tricks.sliding_window_view(piece, order + 1, axis=0).swapaxes(1, 2)
        for piece in pieces
        if len(piece) > order
    ]
    if not windows:
        raise ValueError(f"no piece has more than {order} samples: take a lower order or longer pieces")
    count = sum(map(len, windows))
    mean = sum(each[:, -1].sum(axis=0, dtype=np.float64) for each in windows) / count
    channels = len(mean)
    covariance = np.zeros(((order + 1) * channels,) * 2)
    for each in windows:
        flat = (each - mean).reshape(len(each), -1)
        covariance += flat.T @ flat / count
    covariance[np.diag_indices_from(covariance)] += RIDGE * np.diag(covariance).mean()
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


def fit_by_label(windows, label, order):
    """Fit predictors to the windows (n, steps, channels) of each label (n,): {label: `fit_predictors`' dict}.

    People walk and lie around other levels, with other spectra: one filter for all lets a generator's level
    wander, since what holds a walk at its own level is too weak in any single step to be learned soon.
    """
    return {name: fit_predictors(windows[label == name], order) for name in np.unique(label).tolist()}


def innovations_by_label(windows, label, predictors):
    """`innovations` (n, steps, channels) and `log_volume` (n, steps) of windows under their label's own.

    Raises ValueError for a label that ``predictors`` lack.
    """
    left, volume = np.empty(windows.shape, np.float32), np.empty(windows.shape[:2])
    for name in np.unique(label).tolist():
        rows, own = label == name, of_label(predictors, name)
        left[rows], volume[rows] = innovations(windows[rows], own), log_volume(own, windows.shape[1])
    return left, volume


def of_label(predictors, name):
    """Predictors of a label. Raises ValueError, which names those there are, if it was not in training."""
    if name not in predictors:
        raise ValueError(f"nothing was fitted to the label {name}; there are {list(predictors)}")
    return predictors[name]


def innovations(windows, predictors):
    """What the predictors leave of windows (n, steps, channels): float32, same shape, unit covariance."""
    order = len(predictors["weights"]) - 1
    inverses = np.linalg.inv(predictors["factors"])
    centred = windows.astype(np.float64) - predictors["mean"]
    left = np.empty(windows.shape, np.float32)
    for t in range(windows.shape[1]):
        lags = min(t, order)
        error = centred[:, t] - _predict(centred[:, t - lags : t], predictors, lags)
        left[:, t] = error @ inverses[lags].T
    return left


def restore(left, predictors):
    """Windows (n, steps, channels), float32, of which ``left`` are the `innovations`: a generator."""
    order = len(predictors["weights"]) - 1
    centred = np.empty(left.shape)
    for t in range(left.shape[1]):
        lags = min(t, order)
        predicted = _predict(centred[:, t - lags : t], predictors, lags)
        centred[:, t] = predicted + left[:, t] @ predictors["factors"][lags].T
    return (centred + predictors["mean"]).astype(np.float32)


def log_volume(predictors, steps):
    """Nats (steps,) to add to the NLL of each innovation for that of the sample itself, in its own units."""
    diagonals = np.diagonal(predictors["factors"], axis1=1, axis2=2)
    return np.log(diagonals).sum(axis=1)[np.minimum(np.arange(steps), len(diagonals) - 1)]


def _predict(past, predictors, lags):
    channels = past.shape[2]
    weights = predictors["weights"][lags]
    return past.reshape(len(past), lags * channels) @ weights[len(weights) - lags * channels :]

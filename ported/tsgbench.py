"""TSGBench's differences of features, as coded.

Source: Y. Ang et al., TSGBench: Time Series Generation Benchmark, VLDB 2024; YihaoAng/TSGBench,
src/feature_based_measures.py, 6606bb5.
"""

import numpy as np
from scipy.stats import kurtosis, skew

from ported import check_pair


def differences(real, generated, bins=50, lags=64):
    """Differences of windows (n, steps, channels): "MDD" (marginals), "ACD" (autocorrelation), "SD", "KD".

    MDD: the mean absolute difference of histogram densities at each step but the first, channels scaled to
    [0, 1] and ``bins`` laid by the real windows. ACD: the root of the summed squared differences of the
    autocorrelation of all windows, about one mean, over ``lags`` from 0, or as many as there are. SD and KD:
    the absolute difference of skewness and kurtosis over all values. All are means over channels. MDD, SD
    and KD are blind to the order of time, ACD to amplitudes and phases. Raises ValueError for windows that
    are not finite, or of different shapes.
    """
    check_pair(real, generated)
    low, span = real.min(axis=(0, 1)), np.ptp(real, axis=(0, 1))
    sides = [(x - low.astype(float)) / np.where(span > 0, span, 1) for x in (real, generated)]
    start, stop = sides[0].min(axis=0), sides[0].max(axis=0)
    width = np.where(stop > start, stop - start, 1e-5) / bins
    places, densities, memories = np.arange(start.size).reshape(start.shape) * bins, [], []
    for x in sides:
        inside = (x >= start) & (x <= stop)
        box = places + np.minimum((x - start) // width, bins - 1)
        counts = np.bincount(box[inside].astype(int), minlength=start.size * bins)
        densities.append(counts.reshape(*start.shape, bins) / len(x) / width[..., None])
        centred = x - x.mean(axis=(0, 1))
        shifted = ((centred[:, lag:], centred[:, : x.shape[1] - lag]) for lag in range(min(lags, x.shape[1])))
        products = [(later * sooner).mean(axis=(0, 1)) for later, sooner in shifted]
        memories.append(products / np.maximum(products[0], np.finfo(float).tiny))
    found = {
        "MDD": np.abs(np.subtract(*densities))[1:],
        "ACD": np.linalg.norm(np.subtract(*memories), axis=0),
    }
    for name, moment in (("SD", skew), ("KD", kurtosis)):
        values = [np.nan_to_num(moment(x.reshape(-1, x.shape[2]))) for x in sides]
        found[name] = np.abs(np.subtract(*values))
    return {name: float(np.mean(values)) for name, values in found.items()}

"""QUANT's features of time series, without PyTorch.

Source: A. Dempster, D. F. Schmidt, G. I. Webb, QUANT: A minimalist interval method for time series
classification, 2024, and its code.
"""

from itertools import pairwise

import numpy as np
from scipy.ndimage import uniform_filter1d


def quant_features(windows, depth=6):
    """Quantiles of nested intervals: (n, steps, channels) -> (n, features) float32.

    The windows, their smoothed first and second differences and the size of their Fourier transform are cut
    into 1, 2, 4, ... intervals, ``depth`` times, and into as many that lie half an interval further. From an
    interval of m values come 1 + (m - 1) // 4 quantiles, every second one less the interval's mean.
    """
    x = np.ascontiguousarray(windows.swapaxes(1, 2), np.float32)
    smooth = uniform_filter1d(np.diff(x), 5, mode="nearest")
    found = []
    for values in (x, smooth, np.diff(x, 2), np.abs(np.fft.rfft(x)).astype(np.float32)):
        for pieces in 2 ** np.arange(min(depth, int(np.log2(values.shape[2])) + 1)):
            edges = np.linspace(0, values.shape[2], pieces + 1).astype(int)
            further = edges[:-1] + -(-edges[1] // 2) if pieces > 1 else []
            for start, stop in [*pairwise(edges), *pairwise(further)]:
                ordered = np.sort(values[:, :, start:stop])
                last = stop - start - 1
                place = np.linspace(0, last, 1 + last // 4) if last >= 4 else np.array([last / 2])
                low, share = place.astype(int), (place % 1).astype(np.float32)
                quantiles = ordered[..., low] * (1 - share) + ordered[..., np.ceil(place).astype(int)] * share
                quantiles[..., 1::2] -= ordered.mean(axis=2, keepdims=True)
                found.append(quantiles.reshape(len(x), -1))
    return np.concatenate(found, axis=1)

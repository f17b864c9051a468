"""Other people's code in the libraries of today; each file names its source."""

import numpy as np


def check_pair(real, generated):
    """Raise ValueError unless both are finite windows (n, steps, channels), of equal steps and channels."""
    if real.ndim != 3 or real.shape[1:] != generated.shape[1:] or not real.size * generated.size:
        raise ValueError(f"windows of shape {real.shape} and {generated.shape}, not (n, steps, channels)")
    if not (np.isfinite(real).all() and np.isfinite(generated).all()):
        raise ValueError("the windows hold values that are not finite")

"""The first sample of a window: it has no past, so a Gaussian mixture of its own says where windows begin.

An LSTM that is trained on all samples gives a first one as little of its capacity as any other, 1 of 128,
and begins a lying person's window anywhere between the postures of all. A mixture is a dict: "weights"
(components,), "means" (components, channels) and "covariances" (components, channels, channels), in the
channels' units.

Source: G. McLachlan, D. Peel, Finite Mixture Models, 2000; fitted by scikit-learn.
"""

import numpy as np
from scipy.special import logsumexp, ndtr
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

# On the validation volunteers 4 to 16 components do equally well, and only with 16 does the gravity of people
# who lie keep its norm, 1 g within a few hundredths.
COMPONENTS = 16
WINDOWS_EACH = 16  # at least so many windows for a component: fewer would be copies of volunteers' postures
STRIDE = 16  # windows begin anywhere, so every sample is a first one; neighbouring samples say the same twice
SMALLEST_VARIANCE = 1e-3  # of the channel's own


def fit_first_sample(windows, seed=0):
    """Fit a mixture to single samples of windows (n, steps, channels) of one label."""
    samples = windows[:, ::STRIDE].reshape(-1, windows.shape[2]).astype(np.float64)
    mean, deviation = samples.mean(axis=0), samples.std(axis=0)
    components = min(COMPONENTS, max(1, len(windows) // WINDOWS_EACH))
    mixture = GaussianMixture(components, reg_covar=SMALLEST_VARIANCE, random_state=seed)
    mixture.fit((samples - mean) / deviation)
    return {
        "weights": mixture.weights_,
        "means": mixture.means_ * deviation + mean,
        "covariances": mixture.covariances_ * np.outer(deviation, deviation),
    }


def first_sample_nll(mixture, samples):
    """NLL of samples (n, channels): (n,), in nats, in their own units."""
    components = zip(mixture["means"], mixture["covariances"], strict=True)
    log_densities = [multivariate_normal(mean, covariance).logpdf(samples) for mean, covariance in components]
    return -logsumexp(np.reshape(log_densities, (-1, len(samples))).T + np.log(mixture["weights"]), axis=1)


def first_sample_pit(mixture, samples):
    """Where each channel of samples (n, channels) lies in its own distribution: (n, channels), in [0, 1]."""
    sigmas = np.sqrt(np.diagonal(mixture["covariances"], axis1=1, axis2=2))
    below = ndtr((samples[:, None] - mixture["means"]) / sigmas)
    return np.einsum("k,nkc->nc", mixture["weights"], below)


def draw_first_sample(mixture, count, rng):
    """Draw first samples with a NumPy generator: (count, channels)."""
    chosen = rng.choice(len(mixture["weights"]), size=count, p=mixture["weights"])
    normal = rng.standard_normal((count, mixture["means"].shape[1]))
    factors = np.linalg.cholesky(mixture["covariances"])
    return mixture["means"][chosen] + np.einsum("nij,nj->ni", factors[chosen], normal)

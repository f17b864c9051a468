"""Synthetic volunteers: windows that belong together, as the windows of one person do.

G draws each window by itself, so no two of them share a gait, or a way to carry the phone. Styles mend that.
A style holds for each activity the *moments* of a person's windows, averaged: the mean of each channel, and
the logarithm of the covariance of the channels. A new volunteer's style is a random combination of those of
the people in training. A drawn window gets the moments that this volunteer's windows have, by the optimal
transport of Gaussians: first of the moments, from all people's to this volunteer's, then of the samples. Its
course in time stays G's own.

Styles are a dict of arrays, as `fit_styles` returns it; ``np.savez(path, **styles)`` keeps them. Sources: V.
Arsigny et al., Log-Euclidean metrics for fast and simple calculus on diffusion tensors, 2006; G. Peyre, M.
Cuturi, Computational Optimal Transport, 2019, remark 2.31.
"""

import numpy as np
from sklearn.covariance import ledoit_wolf

FLOOR = 1e-6  # squared units: what the sensor resolves, so that a channel at rest has a logarithm


def fit_styles(windows, label, subject):
    """Fit styles to windows (n, steps, channels) in the channels' units, with labels and subjects (n,).

    Returns "labels" (m,), "subjects" (p,), "known" (m, p, k), the mean moments of each person, "maps" (m, k,
    k), from the moments of all people's windows to those of one person. Raises ValueError if there is one
    person only, or somebody has fewer than two windows of a label.
    """
    labels, subjects, moments = np.unique(label), np.unique(subject), _moments(windows)
    if len(subjects) < 2:
        raise ValueError("styles need the windows of two people at least")
    known, maps = [], []
    for name in labels:
        groups = [moments[(label == name) & (subject == who)] for who in subjects]
        if least := [who for who, group in zip(subjects, groups, strict=True) if len(group) < 2]:
            raise ValueError(f"subjects {np.array(least).tolist()} have fewer than two windows of {name}")
        known.append([group.mean(axis=0) for group in groups])
        within, _ = ledoit_wolf(np.concatenate([group - group.mean(axis=0) for group in groups]))
        maps.append(_transport(within + np.cov(known[-1], rowvar=False), within))
    return {"labels": labels, "subjects": subjects, "known": np.array(known), "maps": np.array(maps)}


def draw_style(styles, rng):
    """Draw a new volunteer's style with a NumPy generator: mean moments, (m, k)."""
    mean, count = styles["known"].mean(axis=1), styles["known"].shape[1]
    weights = rng.standard_normal(count) / np.sqrt(count - 1)  # so that volunteers differ as people do
    return mean + np.einsum("p,mpk->mk", weights, styles["known"] - mean[:, None])


def give_style(windows, label, style, styles):
    """Give drawn windows (n, steps, channels) of labels (n,) a volunteer's style: float32, of the same shape.

    With three channels or more the first three are an acceleration: the length of its mean, gravity, stays.
    Raises ValueError for a label without a style.
    """
    if not np.isin(label, styles["labels"]).all():
        raise ValueError(f"styles are of labels {styles['labels'].tolist()}, not of all {np.unique(label)}")
    channels, place = windows.shape[2], np.searchsorted(styles["labels"], label)
    moments, mean = _moments(windows), styles["known"].mean(axis=1)[place]
    wanted = style[place] + np.einsum("nk,nkj->nj", moments - mean, styles["maps"][place])
    if channels >= 3:
        lengths = (np.linalg.norm(each[:, :3], axis=1, keepdims=True) for each in (moments, wanted))
        wanted[:, :3] *= np.divide(*lengths)
    covariances = [_function(np.exp, _matrices(each[:, channels:], channels)) for each in (moments, wanted)]
    centred = windows - windows.mean(axis=1, keepdims=True, dtype=float)
    return (wanted[:, None, :channels] + centred @ _transport(*covariances)).astype(np.float32)


def _moments(windows):
    """Mean, and the upper triangle of the logarithm of the covariance, of each window: (n, k)."""
    mean, channels = windows.mean(axis=1, dtype=float), windows.shape[2]
    centred = windows - mean[:, None]
    covariance = np.einsum("nti,ntj->nij", centred, centred) / windows.shape[1] + FLOOR * np.eye(channels)
    return np.concatenate([mean, _function(np.log, covariance)[:, *np.triu_indices(channels)]], axis=1)


def _matrices(triangles, channels):
    matrices, (row, column) = np.zeros((len(triangles), channels, channels)), np.triu_indices(channels)
    matrices[:, row, column] = matrices[:, column, row] = triangles
    return matrices


def _function(function, matrices):
    """Apply a function to symmetric matrices (..., k, k), that is, to their eigenvalues."""
    values, vectors = np.linalg.eigh(matrices)
    return vectors * function(values)[..., None, :] @ vectors.swapaxes(-1, -2)


def _transport(source, target):
    """Symmetric matrices (..., k, k) that map Gaussians of covariance ``source`` to those of ``target``."""
    root, inverse = _function(np.sqrt, source), _function(lambda values: values**-0.5, source)
    return inverse @ _function(np.sqrt, root @ target @ root) @ inverse

"""Whether a generator gives its training windows away: neighbours, membership inference, exact copies."""

import numpy as np
from aeon.distances import dtw_distance
from scipy.ndimage import maximum_filter1d, minimum_filter1d
from scipy.stats import mannwhitneyu
from sklearn.metrics import pairwise_distances_argmin_min

from sensegen_utils.judge.checks import check_labels, check_windows, standardised


def nearest_neighbour_ratio(generated, training, held_out, band=None, limit=2000, seed=0):
    """How much nearer generated windows are to training windows than to those of held-out volunteers.

    "ratio" is the median over generated windows of the distance to the nearest training window over that to
    the nearest held-out one, standardised by training: 0 for a copy. "to_training" and "to_held_out" are the
    medians of both distances; their own ratio would be luck, since distances at rest and in motion lie an
    order of magnitude apart. Among more windows the nearest is nearer, so an honest ratio is not 1: the
    reference is other held-out windows as ``generated``, of which at most ``limit`` are drawn. Distances are
    Euclidean, or with ``band`` those of `nearest_dtw`.
    """
    check_windows(generated, training, held_out)
    drawn = generated[np.random.default_rng(seed).permutation(len(generated))[:limit]]
    queries, *others = standardised(training, drawn, training, held_out)
    if band is None:
        flat, *others = (x.reshape(len(x), -1) for x in (queries, *others))
        known, unseen = (pairwise_distances_argmin_min(flat, x)[1] for x in others)
    else:
        known, unseen = np.array([[nearest_dtw(query, x, band) for query in queries] for x in others])
    ratio = known / np.maximum(unseen, np.finfo(float).tiny)
    found = {"ratio": ratio, "to_training": known, "to_held_out": unseen}
    return {name: float(np.median(x)) for name, x in found.items()}


def nearest_dtw(query, windows, band):
    """Distance by dynamic time warping of a window (steps, channels) to the nearest of (n, steps, channels).

    The root of the least sum of squared differences, all channels together, along a path that strays at most
    ``band`` steps from the diagonal. How far a window lies outside the query's envelope is a lower bound, so
    windows are taken in the order of their bounds until these exceed the least distance found. Source: E.
    Keogh, C. A. Ratanamahatana, Exact indexing of dynamic time warping, 2005, LB_Keogh.
    """
    upper, lower = (bound(query, 2 * band + 1, axis=0) for bound in (maximum_filter1d, minimum_filter1d))
    outside = windows - np.clip(windows, lower, upper)
    bounds, least = np.linalg.norm(outside.reshape(len(outside), -1), axis=1), np.inf
    share = min(1, (band + 0.5) / len(query))  # aeon's window: a share of the steps, rounded down
    for row in np.argsort(bounds):
        if bounds[row] > least:
            break
        least = min(least, dtw_distance(query.T, windows[row].T, share) ** 0.5)
    return least


def membership_inference(train_nll, held_out_nll, train_subject, held_out_subject, resamples=2000, seed=0):
    """Whether the model's own likelihood betrays its training: "auc", its 95 % interval "low" to "high".

    The share of pairs of a training and a held-out window in which the training window has the lower negative
    log-likelihood, (n,) and (m,); 0.5 is chance. The interval is a bootstrap over volunteers, since people
    differ more than windows do. Raises ValueError if likelihoods and subjects differ in number, or for fewer
    than two volunteers on a side.
    """
    sides = []
    for nll, subject in ((train_nll, train_subject), (held_out_nll, held_out_subject)):
        check_labels(nll, subject)
        people = np.unique(subject)
        if len(people) < 2:
            raise ValueError("membership inference needs at least two volunteers on each side")
        sides.append([np.asarray(nll)[subject == person] for person in people])
    # How many pairs of windows of two volunteers are as a betrayal has them; ties count half.
    wins = np.array([[mannwhitneyu(b, a, method="asymptotic")[0] for b in sides[1]] for a in sides[0]])
    sizes = [np.array([len(nll) for nll in side]) for side in sides]
    rng = np.random.default_rng(seed)
    draws = [rng.multinomial(len(s), np.full(len(s), 1 / len(s)), resamples) for s in sizes]
    pairs = (draws[0] @ sizes[0]) * (draws[1] @ sizes[1])
    aucs = np.einsum("ri,ij,rj->r", draws[0], wins, draws[1]) / pairs
    low, high = np.quantile(aucs, [0.025, 0.975]).tolist()
    return {"auc": float(wins.sum() / (sizes[0].sum() * sizes[1].sum())), "low": low, "high": high}


def exact_copies(generated, training, tolerance=1e-6, shift=32):
    """Count generated windows that are cut from the training recordings, wherever the cut begins.

    The middle of each window, without ``shift`` steps at both ends, is sought in all training windows at
    every shift up to that. As UCI HAR's windows overlap by half, 32 reaches every place of a recording. All
    samples must be equal within ``tolerance``, in the channels' units. Raises ValueError if nothing is left.
    """
    check_windows(generated, training)
    steps = generated.shape[1]
    if 2 * shift >= steps:
        raise ValueError(f"a shift of {shift} leaves nothing of windows of {steps} steps")
    middle = generated[:, shift : steps - shift].reshape(len(generated), -1)
    copied = np.zeros(len(generated), bool)
    for start in range(2 * shift + 1):
        pieces = training[:, start : start + steps - 2 * shift].reshape(len(training), -1)
        nearest, _ = pairwise_distances_argmin_min(middle, pieces)
        copied |= np.abs(pieces[nearest] - middle).max(axis=1) <= tolerance
    return int(copied.sum())

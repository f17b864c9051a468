"""How good generated windows are: one function for each metric, and the broken generators they must catch.

Windows are (n, steps, channels) in physical units, the real ones first: total acceleration x, y, z (g), then
angular velocity x, y, z (rad/s), or one channel alone. Labels are (n,) integers. Results are floats or small
dicts that JSON can hold. Every metric wants its floor beside it, real volunteers against other real ones,
and its ceiling, a broken generator; what a metric cannot see by construction its docstring says.

A ValueError that all of them raise: windows that are not (n, steps, channels), differ in steps or channels,
or hold a value that is not finite.
"""

import math

import keras
import numpy as np
from keras import layers
from scipy.ndimage import maximum_filter1d, minimum_filter1d
from scipy.signal import welch
from scipy.stats import t as student
from scipy.stats import wasserstein_distance
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, pairwise_distances, pairwise_distances_argmin_min, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sensegen_utils.published import DISCRIMINATOR_BATCH, LEARNING_RATE
from sensegen_utils.training import set_seed

RATE = 50  # Hz
SEGMENT = 128  # steps, one window of UCI HAR
WALKING = (1, 2, 3)
# Squared units per Hz: white noise of 0.5 mg, about the sensor's resolution. Above 20 Hz the archive's own
# low-pass leaves less by ten orders of magnitude, and whoever counts those sees the filter and no movement.
POWER_FLOOR = 1e-8
TAILS = (0.001, 0.01, 0.99, 0.999)


# --- Judges -------------------------------------------------------------------------------------------------


def judge(kind, train_real, train_fake, test_real, test_fake, subject=None, epochs=30, seed=0):
    """Train a judge to tell real from fake windows, and say how well it does on people it has not met.

    ``kind`` is "report", the report's D; "cnn", a small residual network; or "features", logistic regression
    on `activity_features`. ``test_real`` should be of other volunteers than ``train_real``, ``test_fake``
    fresh samples. The two networks see windows standardised by ``train_real``; of these a fifth is kept away,
    whole volunteers if ``subject`` (n,) says whose each is, as half-overlapping windows would leak; the
    weights with the least loss there within ``epochs`` are judged, and training ends when a third of the
    epochs has brought nothing better.

    Returns "accuracy"; "score", |0.5 - accuracy|, 0 for fakes nobody can tell; "auc"; "training_accuracy".
    A score near 0 means something only if the same judge catches broken generators: a training accuracy near
    0.5 is that of a judge that has not learnt, or of fakes that are real. Blind to copies of the training
    set, which are real windows.

    Raises ValueError unless there are as many real as fake windows in training and in test: else an accuracy
    of 0.5 would not be chance. Likewise for an unknown kind, and for a single volunteer in ``subject``.
    """
    _check(train_real, train_fake, test_real, test_fake)
    for real, fake in ((train_real, train_fake), (test_real, test_fake)):
        if len(real) != len(fake):
            raise ValueError(f"{len(real)} real and {len(fake)} fake windows: the two must be balanced")
    train, test = np.concatenate([train_real, train_fake]), np.concatenate([test_real, test_fake])
    labels, truth = np.repeat([1, 0], len(train_real)), np.repeat([1, 0], len(test_real))
    if kind == "features":
        # Of both: a broken fake may lie a thousand deviations of the real ones away.
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        model.fit(activity_features(train), labels)
        fitted, scores = (model.predict_proba(activity_features(x))[:, 1] for x in (train, test))
    elif kind in _JUDGES:
        train, test = (x.astype(np.float32) for x in _standardised(train_real, train, test))
        held = np.tile(_held_out(len(train_real), subject, seed), 2)
        model = _fit_judge(kind, train[~held], labels[~held], train[held], labels[held], epochs, seed)
        train, labels = train[~held], labels[~held]
        fitted, scores = (_outputs(model, x)[:, 0] for x in (train, test))
    else:
        raise ValueError(f"Unknown judge {kind!r}. There are: features, {', '.join(_JUDGES)}.")
    accuracy = float(((scores > 0.5) == truth).mean())
    return {
        "accuracy": accuracy,
        "score": abs(0.5 - accuracy),
        "auc": float(roc_auc_score(truth, scores)),
        "training_accuracy": float(((fitted > 0.5) == labels).mean()),
    }


def build_report_judge(steps, channels):
    """Build the report's D for any number of channels: LSTM 128, tanh 32, one sigmoid unit.

    Input (batch, steps, channels), output P(real). With one channel it is `build_discriminator`'s.
    Source: report, "Discriminative RNN Model".
    """
    inputs = keras.Input((steps, channels))
    hidden = layers.Dense(32, activation="tanh")(layers.LSTM(128)(inputs))
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(hidden))


def build_cnn_judge(steps, channels):
    """Build the strong judge: a residual network in time, as small as two cores want it.

    Input (batch, steps, channels), output P(real). Beside each window it sees the window and its differences
    scaled to their own deviation, without which the millig of a person at rest vanish beside a walk: of
    surrogates at random phases it then finds 94 instead of 72 %.
    Reference: Z. Wang et al., Time Series Classification from Scratch with Deep Neural Networks, 2017.
    """
    inputs = keras.Input((steps, channels))
    views = [inputs[:, 1:], inputs[:, 1:], inputs[:, 1:] - inputs[:, :-1]]
    views[1:] = (layers.GroupNormalization(-1, epsilon=1e-8, center=False, scale=False)(v) for v in views[1:])
    hidden = layers.Concatenate()(views)
    for filters, stride in ((32, 1), (48, 2), (64, 2)):
        hidden = _residual_block(hidden, filters, stride)
    pooled = [layers.GlobalAveragePooling1D()(hidden), layers.GlobalMaxPooling1D()(hidden)]
    hidden = layers.Dropout(0.3)(layers.Concatenate()(pooled))
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(hidden))


def _residual_block(inputs, filters, stride):
    # A momentum of 0.9, since an epoch has only some fifty updates.
    hidden = layers.Conv1D(filters, 7, stride, padding="same", use_bias=False)(inputs)
    hidden = layers.Activation("relu")(layers.BatchNormalization(momentum=0.9)(hidden))
    hidden = layers.Conv1D(filters, 5, padding="same", use_bias=False)(hidden)
    hidden = layers.BatchNormalization(momentum=0.9)(hidden)
    shortcut = layers.Conv1D(filters, 1, stride, use_bias=False)(inputs)
    shortcut = layers.BatchNormalization(momentum=0.9)(shortcut)
    return layers.Activation("relu")(layers.Add()([hidden, shortcut]))


_JUDGES = {"report": (build_report_judge, LEARNING_RATE), "cnn": (build_cnn_judge, 1e-3)}


def _held_out(count, subject, seed):
    rng = np.random.default_rng(seed)
    groups = np.arange(count) if subject is None else np.asarray(subject)
    if len(groups) != count:
        raise ValueError(f"{len(groups)} subjects for {count} real windows")
    members = rng.permutation(np.unique(groups))
    if len(members) < 2:
        raise ValueError("a judge needs at least two volunteers: one of them is kept for early stopping")
    return np.isin(groups, members[: max(1, len(members) // 5)])


def _fit_judge(kind, inputs, labels, held_inputs, held_labels, epochs, seed):
    set_seed(seed)
    build, learning_rate = _JUDGES[kind]
    model = build(*inputs.shape[1:])
    model.compile(keras.optimizers.Adam(learning_rate), loss="binary_crossentropy")
    stop = keras.callbacks.EarlyStopping(patience=math.ceil(epochs / 3), restore_best_weights=True)
    model.fit(
        inputs, labels[:, None], batch_size=DISCRIMINATOR_BATCH, epochs=epochs, verbose=0, callbacks=[stop],
        validation_data=(held_inputs, held_labels[:, None]), validation_batch_size=512,
    )  # fmt: skip
    return model


def _outputs(model, windows):
    # Not `predict`: TensorFlow warns of what that traces anew for the last batch of each of many judges.
    starts = range(0, len(windows), 512)
    return np.concatenate([model(windows[start : start + 512], training=False) for start in starts])


# --- The scores of TimeGAN, as its code has them ------------------------------------------------------------


def timegan_discriminative_score(real, generated, iterations=2000, seed=0):
    """TimeGAN's discriminative score as coded: a GRU of channels // 2 units tells real from generated.

    2000 iterations of 128 real and 128 generated windows, scaled per channel to [0, 1] by the real ones;
    judged on a fifth of both, drawn at random. As coded it leaks: windows that overlap by half, and people,
    are on both sides of that division, and the scaling has seen the test. With three units at six channels
    it is a weak judge. The initial weights are TensorFlow 1's.

    Returns "score", |0.5 - accuracy|; "accuracy"; "training_accuracy", which says whether it learnt at all.
    Raises ValueError for one channel, where the GRU would have no unit, and for unequal numbers.

    Source: jsyoon0823/TimeGAN, metrics/discriminative_metrics.py, b6ee3c7. Its version for TensorFlow 2,
    1bd4864, later withdrawn (issue 52), builds one network for real and another for generated windows.
    """
    _check_timegan(real, generated)
    if len(real) != len(generated):
        raise ValueError(f"{len(real)} real and {len(generated)} generated windows: must be balanced")
    rng, channels = np.random.default_rng(seed), real.shape[2]
    cut = int(0.8 * len(real))
    parts = [x[rng.permutation(len(x))] for x in _to_unit_range(real, generated)]
    model = _timegan_network(channels, channels // 2, "binary_crossentropy", seed)
    for _ in range(iterations):
        batch = [part[rng.permutation(cut)[:128]] for part in parts]
        labels = np.repeat(np.float32([1, 0]), len(batch[0]))[:, None]
        model.train_on_batch(np.concatenate(batch), labels)

    def accuracy(side):
        scores = [_outputs(model, part[side]) for part in parts]
        return float(np.concatenate([scores[0] > 0.5, scores[1] <= 0.5]).mean())

    test = accuracy(slice(cut, None))
    return {"score": abs(0.5 - test), "accuracy": test, "training_accuracy": accuracy(slice(cut))}


def timegan_predictive_score(real, generated, iterations=5000, seed=0):
    """TimeGAN's predictive score as coded: the error on real windows of a GRU trained on generated ones.

    From the other channels up to a step it predicts the last channel at the next; mean absolute error, in
    units of the range of the real channel. 5000 iterations of 128 windows. As coded it trains on all
    generated and tests on all real windows, so a copy of these does best: pass held-out volunteers as
    ``real``. With standardised data the numbers would be others.

    Raises ValueError for one channel: there would be nothing to predict from.
    Source: jsyoon0823/TimeGAN, metrics/predictive_metrics.py, b6ee3c7.
    """
    _check_timegan(real, generated)
    rng, channels = np.random.default_rng(seed), real.shape[2]
    real, generated = _to_unit_range(real, generated)
    model = _timegan_network(channels - 1, channels // 2, "mean_absolute_error", seed, every_step=True)
    for _ in range(iterations):
        batch = generated[rng.permutation(len(generated))[:128]]
        model.train_on_batch(batch[:, :-1, :-1], batch[:, 1:, -1:])
    predicted = _outputs(model, real[:, :-1, :-1])
    return float(np.abs(predicted - real[:, 1:, -1:]).mean(dtype=float))


def _check_timegan(real, generated):
    _check(real, generated)
    if real.shape[2] < 2:
        raise ValueError(
            "TimeGAN's scores are not defined for one channel: as coded the discriminative score's GRU has "
            "int(1 / 2) = 0 units, and the predictive score has no other channel to predict from"
        )


def _to_unit_range(real, generated):
    low = real.min(axis=(0, 1))
    span = real.max(axis=(0, 1)) - low + 1e-7  # as TimeGAN's data_loading.py
    return [((windows - low) / span).astype(np.float32) for windows in (real, generated)]


def _timegan_network(features, units, loss, seed, every_step=False):
    set_seed(seed)
    gate_units = np.array([2, 2, 1]) * units  # update and reset share one kernel there, the candidate has one

    def kernel(shape, dtype=None):
        limits = np.repeat(np.sqrt(6 / (features + units + gate_units)), units)
        return keras.random.uniform(shape, -1, 1, dtype=dtype) * limits

    def bias(shape, dtype=None):
        return keras.ops.convert_to_tensor(np.repeat([1.0, 1.0, 0.0], units), dtype)

    inputs = keras.Input((None, features))
    hidden = layers.GRU(
        units, return_sequences=every_step, reset_after=False,
        kernel_initializer=kernel, recurrent_initializer=kernel, bias_initializer=bias,
    )(inputs)  # fmt: skip
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(hidden))
    model.compile(keras.optimizers.Adam(1e-3, epsilon=1e-8), loss=loss)
    return model


# --- Fidelity -----------------------------------------------------------------------------------------------


def mmd(real, generated, limit=2000, seed=0):
    """Unbiased squared maximum mean discrepancy: on standardised "windows" and on standardised "features".

    The kernel is exp(-d^2 / (2 s^2)), s the median distance of two real ones; at most ``limit`` of each side
    are drawn. 0 for equal distributions, and as an unbiased estimate sometimes below. The features are
    `activity_features`. On windows posture dominates, which makes it blind to the order of time; features see
    it.

    Reference: A. Gretton et al., A Kernel Two-Sample Test, JMLR 2012, eq. 3.
    """
    _check(real, generated)
    rng = np.random.default_rng(seed)
    real, generated = (x[rng.permutation(len(x))[:limit]] for x in (real, generated))
    flat = [x.reshape(len(x), -1) for x in _standardised(real, real, generated)]
    return {
        "windows": _mmd(*flat),
        "features": _mmd(*_scaled_features(real, real, generated)),
    }


def _mmd(x, y):
    within_x, within_y = (pairwise_distances(z, metric="sqeuclidean") for z in (x, y))
    width = 2 * np.median(within_x[np.triu_indices(len(x), 1)])
    sums = [np.exp(-d / width).sum() - len(d) for d in (within_x, within_y)]
    across = np.exp(-pairwise_distances(x, y, metric="sqeuclidean") / width).mean()
    return float(sum(s / (n * (n - 1)) for s, n in zip(sums, (len(x), len(y)), strict=True)) - 2 * across)


def autocorrelation_distance(real, generated, lags=64):
    """Mean absolute difference of the mean autocorrelation of windows, over lags 1 to ``lags`` and channels.

    Each window is centred and scaled to its own variance, so people at rest count as much as people who walk,
    and gravity and amplitudes are not seen. Blind to phases.
    """
    _check(real, generated)
    real, generated = (_autocorrelation(windows, lags).mean(axis=0) for windows in (real, generated))
    return float(np.abs(real - generated).mean())


def _autocorrelation(windows, lags):
    centred = _centred(windows)
    spectrum = np.fft.rfft(centred, 2 * windows.shape[1], axis=1)
    products = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, : lags + 1]
    variance = products[:, :1]
    return np.divide(products, variance, out=np.zeros_like(products), where=variance > 0)[:, 1:]


def spectrum_distance(real, generated, floor=POWER_FLOOR):
    """Mean absolute difference of the mean spectra in decibel, over frequencies: by channel, and "mean".

    Welch's estimate for each window, segments of half a window; in decibel before the mean, so people at rest
    count as much as people who walk. Power below ``floor`` (squared units per Hz) counts as that. Blind to
    phases and to the mean, that is to gravity.
    """
    _check(real, generated)
    real, generated = (_decibel(windows, floor).mean(axis=0) for windows in (real, generated))
    return _by_channel(np.abs(real - generated).mean(axis=0))


def _decibel(windows, floor):
    _, power = welch(windows.astype(float), RATE, nperseg=windows.shape[1] // 2, axis=1)
    return 10 * np.log10(np.maximum(power, floor))[:, 1:]


def wasserstein(real, generated):
    """Wasserstein-1 distance of the values, in standard deviations of the real: by channel, and "mean".

    Blind to the order of time.
    """
    _check(real, generated)
    return _wasserstein_by_channel(*_standardised(real, real, generated))


def tail_distance(real, generated, tails=TAILS):
    """Mean absolute difference of extreme quantiles, in real standard deviations: by channel, and "mean".

    Blind to the order of time.
    """
    _check(real, generated)
    real, generated = (
        np.quantile(windows, tails, axis=(0, 1)) for windows in _standardised(real, real, generated)
    )
    return _by_channel(np.abs(real - generated).mean(axis=0))


def jerk_distance(real, generated):
    """Wasserstein-1 distance of the differences of neighbouring samples: by channel, and "mean".

    In standard deviations of the real differences, so the sampling rate cancels. Blind to gravity and slow
    movement.
    """
    _check(real, generated)
    real, generated = (np.diff(windows.astype(float), axis=1) for windows in (real, generated))
    return _wasserstein_by_channel(*_standardised(real, real, generated))


def gait(windows, rate=RATE, harmonics=3):
    """Step frequency of each window (n,), in Hz, and the share of power at its multiples, (n, harmonics).

    Of the acceleration's norm, or of the only channel. The frequency is the highest peak from 0.5 to 5 Hz; a
    share is the power within one resolution of the window (0.39 Hz) of 1, 2, ... times it, from all above
    0.5 Hz. Blind to phases.
    """
    _check(windows)
    steps = windows.shape[1]
    signal = _norm(windows)[:, :, None] if windows.shape[2] >= 3 else windows[:, :, :1]
    tapered = _centred(signal)[:, :, 0] * np.hanning(steps)
    power = np.abs(np.fft.rfft(tapered, 16 * steps)) ** 2  # padded, else the peak is known to 0.39 Hz only
    frequencies = np.fft.rfftfreq(16 * steps, 1 / rate)
    power[:, frequencies < 0.5] = 0
    peak = frequencies[power[:, frequencies <= 5].argmax(axis=1)]
    total = np.maximum(power.sum(axis=1), np.finfo(float).tiny)
    near = [np.abs(frequencies - k * peak[:, None]) <= rate / steps for k in range(1, harmonics + 1)]
    return peak, np.stack([(power * each).sum(axis=1) / total for each in near], axis=1)


def gait_distance(real, real_activity, generated, generated_activity, walking=WALKING, rate=RATE):
    """Distance of what `gait` finds in windows of walking: "frequency" (Hz) and "harmonics" (share of power).

    Wasserstein-1 distances over the windows of one activity, also given as "frequency 1" and so on, and then
    the mean over ``walking``. Blind to phases, and to everything at rest. Raises ValueError if one side has
    no window of an activity.
    """
    _check(real, generated)
    distances = {}
    pairs = _by_activity(real, real_activity, generated, generated_activity, walking)
    for activity, sides in zip(walking, pairs, strict=True):
        (peak, shares), (other_peak, other_shares) = (gait(windows, rate) for windows in sides)
        distances[f"frequency {activity}"] = float(wasserstein_distance(peak, other_peak))
        harmonics = map(wasserstein_distance, shares.T, other_shares.T)
        distances[f"harmonics {activity}"] = float(np.mean(list(harmonics)))
    means = {
        kind: float(np.mean([value for name, value in distances.items() if name.startswith(kind)]))
        for kind in ("frequency", "harmonics")
    }
    return means | distances


def gravity_distance(real, real_activity, generated, generated_activity):
    """Distance of posture and of the acceleration's norm, in g: "vector" and "norm".

    Wasserstein-1 distances within each activity, then the mean over activities: of the mean acceleration of a
    window, along x, y and z, and of the norm of all samples. Blind to the order of time within a window if
    the channels stay together. Raises ValueError for fewer than three channels, and if generated windows lack
    an activity of the real ones.
    """
    _check(real, generated)
    if real.shape[2] < 3:
        raise ValueError(f"gravity needs acceleration along x, y and z: {real.shape[2]} channels are too few")
    vectors, norms = [], []
    activities = np.unique(real_activity)
    for ours, theirs in _by_activity(real, real_activity, generated, generated_activity, activities):
        means = (windows[:, :, :3].mean(axis=1).T for windows in (ours, theirs))
        vectors.append(np.mean(list(map(wasserstein_distance, *means))))
        norms.append(wasserstein_distance(_norm(ours).ravel(), _norm(theirs).ravel()))
    return {"vector": float(np.mean(vectors)), "norm": float(np.mean(norms))}


def cross_correlation_distance(real, generated):
    """Wasserstein-1 distance of the windows' correlation of two channels at one moment, mean over pairs.

    Blind to the order of time if the channels stay together. Raises ValueError for one channel.
    """
    _check(real, generated)
    if real.shape[2] < 2:
        raise ValueError("cross-correlation needs at least two channels")
    pairs = map(wasserstein_distance, _correlations(real).T, _correlations(generated).T)
    return float(np.mean(list(pairs)))


def drift(series, real, segment=SEGMENT):
    """Whether long free-running series (n, steps, channels) stay what they were: one value for each segment.

    Successive segments are compared with the first one and with ``real`` windows (m, segment, channels), by
    `wasserstein`, in real standard deviations, and by `spectrum_distance`, in decibel, both without labels.
    Returns lists: "steps" (where a segment ends), "marginal_from_first", "spectral_from_first",
    "marginal_from_real", "spectral_from_real". The first entry from the first is 0 by definition; what n
    series cannot tell apart for want of data shows on real recordings of that number and length.

    Raises ValueError if fewer than two segments fit.
    """
    _check(series)
    count = series.shape[1] // segment
    if count < 2:
        raise ValueError(f"series of {series.shape[1]} steps are too short for two segments of {segment}")
    parts = np.split(series[:, : count * segment], count, axis=1)
    _check(real, parts[0])
    result = {"steps": [segment * number for number in range(1, count + 1)]}
    for name, reference in (("first", parts[0]), ("real", real)):
        scaled = [_standardised(real, reference, part) for part in parts]
        result[f"marginal_from_{name}"] = [_wasserstein_by_channel(*pair)["mean"] for pair in scaled]
        result[f"spectral_from_{name}"] = [spectrum_distance(reference, part)["mean"] for part in parts]
    return result


# --- Utility ------------------------------------------------------------------------------------------------


def activity_features(windows):
    """Features of windows, in the manner of UCI HAR's own: (n, steps, channels) -> (n, features) float64.

    For each channel mean, standard deviation, quantiles 5, 25, 50, 75 and 95 %, the deviation and the 95 %
    quantile of the absolute difference of neighbours, the logarithm of power in ten bands that widen with
    frequency, spectral entropy, and the strongest frequency (per step); the correlations of all pairs of
    channels; and with three or more the same for the norm of the first three. Power below `POWER_FLOOR`
    counts as that. 21 for one channel, 162 for six.

    Reference: D. Anguita et al., ESANN 2013, table 2.
    """
    _check(windows)
    correlations = _correlations(windows)
    if windows.shape[2] >= 3:
        windows = np.concatenate([windows, _norm(windows)[:, :, None]], axis=2)
    steps = windows.shape[1]
    windows = windows.astype(float)
    jerk = np.diff(windows, axis=1)
    taper = np.hanning(steps)[:, None]
    power = np.abs(np.fft.rfft(_centred(windows) * taper, axis=1)[:, 1:]) ** 2
    power = 2 * power / (RATE * (taper**2).sum()) + POWER_FLOOR
    edges = np.unique(np.geomspace(1, power.shape[1] + 1, 13).astype(int) - 1)[:-1]
    bands = np.add.reduceat(power, edges, axis=1)
    share = power / power.sum(axis=1, keepdims=True)
    features = [
        windows.mean(axis=1),
        windows.std(axis=1),
        *np.quantile(windows, [0.05, 0.25, 0.5, 0.75, 0.95], axis=1),
        jerk.std(axis=1),
        np.quantile(np.abs(jerk), 0.95, axis=1),
        *np.log10(bands).swapaxes(0, 1),
        -(share * np.log(share)).sum(axis=1),
        (power.argmax(axis=1) + 1) / steps,
    ]
    return np.concatenate([*features, correlations], axis=1)


def tstr(train_x, train_y, test_x, test_y, seed=0, trees=300):
    """Train an activity classifier on one set of windows, test it on another: a random forest on features.

    Train on synthetic, test on real, or the reverse, or on any mixture. Posture and strength tell most of the
    activities of UCI HAR apart, so it is nearly blind to the order of time: see what windows shuffled in time
    reach. Returns "accuracy", "macro_f1" and
    "f1", {activity as text: F1}, over the activities of the test. Raises ValueError if labels and windows
    differ in number.
    """
    _check(train_x, test_x)
    _check_labels(train_x, train_y)
    _check_labels(test_x, test_y)
    forest = RandomForestClassifier(trees, random_state=seed)
    forest.fit(activity_features(train_x), train_y)
    said, activities = forest.predict(activity_features(test_x)), np.unique(test_y)
    f1 = f1_score(test_y, said, labels=activities, average=None, zero_division=0)
    return {
        "accuracy": float((said == test_y).mean()),
        "macro_f1": float(f1.mean()),
        "f1": dict(zip(map(str, activities.tolist()), f1.tolist(), strict=True)),
    }


# --- Diversity and privacy ----------------------------------------------------------------------------------


def coverage_density(real, generated, k=5, limit=2000, seed=0):
    """Whether generated windows fill the places of real ones, on standardised `activity_features`.

    "coverage" is the share of real windows that have a generated one nearer than their k-th real neighbour;
    "density" is in how many such neighbourhoods a generated window lies, divided by k. At most ``limit`` of
    each side are drawn, and equally many, since both depend on the numbers. With equal distributions coverage
    is 1 - 2^-k, 0.97 for k = 5, and density 1; a copy of the real windows does better still. Raises
    ValueError if there are no more than k windows.

    Reference: M. F. Naeem et al., Reliable Fidelity and Diversity Metrics for Generative Models, ICML 2020.
    """
    _check(real, generated)
    rng, count = np.random.default_rng(seed), min(len(real), len(generated), limit)
    if count <= k:
        raise ValueError(f"{count} windows are too few for their {k}-th neighbour")
    real, generated = (x[rng.permutation(len(x))[:count]] for x in (real, generated))
    x, y = _scaled_features(real, real, generated)
    radii = np.partition(pairwise_distances(x), k, axis=1)[:, k]  # the window itself is the nearest
    inside = pairwise_distances(x, y) < radii[:, None]
    return {"coverage": float(inside.any(axis=1).mean()), "density": float(inside.sum(axis=0).mean() / k)}


def nearest_neighbour_ratio(generated, training, held_out, band=None, limit=2000, seed=0):
    """How much nearer generated windows are to training windows than to those of held-out volunteers.

    The median over windows, standardised by training, of the distance to the nearest training window over
    that to the nearest held-out one, "ratio": 0 for a copy of the training set; and the medians of both
    distances. (The medians' own ratio would be luck: distances at rest and in motion lie an order of
    magnitude apart, and the median falls into that gap.) The more windows there are to choose from the
    nearer is the nearest, so an honest ratio is not 1 but what other held-out real windows get as
    ``generated`` with the same ``training`` and ``held_out``. At most ``limit`` generated windows are drawn;
    of training none is left out, since it might be what was copied.

    Without ``band`` the distance is Euclidean; with it, dynamic time warping by at most so many steps (Sakoe
    and Chiba 1978), all channels together.
    """
    _check(generated, training, held_out)
    drawn = generated[np.random.default_rng(seed).permutation(len(generated))[:limit]]
    queries, *references = _standardised(training, drawn, training, held_out)
    to_training, to_held_out = (_nearest(queries, reference, band) for reference in references)
    ratio = to_training / np.maximum(to_held_out, np.finfo(float).tiny)
    medians = {"ratio": ratio, "to_training": to_training, "to_held_out": to_held_out}
    return {name: float(np.median(values)) for name, values in medians.items()}


def _nearest(queries, references, band):
    if band is None:
        return pairwise_distances_argmin_min(*(x.reshape(len(x), -1) for x in (queries, references)))[1]
    return np.array([nearest_dtw(query, references, band) for query in queries])


def nearest_dtw(query, references, band):
    """Return the least of `dtw`'s distances: the same number, without computing most of them.

    What a window (steps, channels) lies outside the query's envelope is a lower bound of its distance, so the
    windows are taken in the order of their bounds until these exceed the best found.

    Reference: E. Keogh and C. A. Ratanamahatana, Exact indexing of dynamic time warping, 2005, LB_Keogh.
    """
    upper, lower = (bound(query, 2 * band + 1, axis=0) for bound in (maximum_filter1d, minimum_filter1d))
    outside = references - np.clip(references, lower, upper)
    bounds = np.linalg.norm(outside.reshape(len(outside), -1), axis=1)
    order, best = np.argsort(bounds), np.inf
    for start in range(0, len(order), 256):
        rows = order[start : start + 256]
        rows = rows[bounds[rows] <= best]
        if not len(rows):
            break
        best = min(best, dtw(query, references[rows], band).min())
    return best


def dtw(query, references, band):
    """Dynamic time warping distance of one window (steps, channels) to many (n, steps, channels): (n,).

    The root of the least sum of squared differences along a path that strays at most ``band`` steps from the
    diagonal. Vectorised over the references.
    """
    steps, references = len(query), np.ascontiguousarray(np.moveaxis(references, 0, -1))
    total = np.full((steps + 1, references.shape[-1]), np.inf)
    total[0] = 0
    for i in range(steps):
        low, high = max(0, i - band), min(steps, i + band + 1)
        cost = ((references[low:high] - query[i, :, None]) ** 2).sum(axis=1)
        stay = np.minimum(total[low:high], total[low + 1 : high + 1])
        total[low] = np.inf
        for j in range(low, high):
            total[j + 1] = cost[j - low] + np.minimum(stay[j - low], total[j])
    return np.sqrt(total[-1])


def membership_inference(
    training_nll, held_out_nll, training_subject, held_out_subject, resamples=2000, seed=0
):
    """Whether the model's own likelihood betrays its training: "auc", its interval "low" to "high".

    The share of pairs of a training and a held-out window, negative log-likelihoods (n,) and (m,), in which
    the training window has the lower one; 0.5 is chance. The 95 % interval is a bootstrap over volunteers of
    both sides, since people differ more than windows do. Raises ValueError if likelihoods and subjects differ
    in number, or for fewer than two volunteers on a side.
    """
    sides = []
    for nll, subject in ((training_nll, training_subject), (held_out_nll, held_out_subject)):
        _check_labels(nll, subject)
        if len(np.unique(subject)) < 2:
            raise ValueError("membership inference needs at least two volunteers on each side")
        sides.append([np.sort(np.asarray(nll)[subject == person]) for person in np.unique(subject)])
    # Ties count half.
    wins = np.array([
        [len(a) * len(b) - 0.5 * sum(np.searchsorted(b, a, side).sum() for side in ("left", "right"))
         for b in sides[1]] for a in sides[0]
    ])  # fmt: skip
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
    every shift up to that. As UCI HAR's windows overlap by half, 32 reaches every place of a recording.
    Equal means within ``tolerance``, in the channels' units, at every sample. ``shift=0`` compares whole
    windows only, and is 65 times faster. Raises ValueError if nothing of a window is left.
    """
    _check(generated, training)
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


# --- Over seeds ---------------------------------------------------------------------------------------------


def interval(values):
    """Mean of a metric over seeds and its 95 % t-interval: "mean", "low", "high".

    A single value has no interval: low and high are None.
    """
    values = np.asarray(values, float)
    mean = float(values.mean())
    if len(values) < 2:
        return {"mean": mean, "low": None, "high": None}
    half = float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1)) / math.sqrt(len(values))
    return {"mean": mean, "low": mean - half, "high": mean + half}


# --- Broken generators: of real windows, labels, a number and a seed they make windows and labels -----------


def white_noise(windows, activity, count, seed=0):
    """Noise without memory, with each channel's mean and deviation, and labels it knows nothing of."""
    mean, deviation = (f(windows, axis=(0, 1), dtype=float) for f in (np.mean, np.std))
    noise = np.random.default_rng(seed + 1).normal(mean, deviation, (count, *windows.shape[1:]))
    return noise.astype(np.float32), np.asarray(activity)[_draw(activity, count, seed)]


def shuffled_time(windows, activity, count, seed=0):
    """Real windows whose samples are in random order, the channels of one moment together."""
    index = _draw(activity, count, seed)
    order = np.random.default_rng(seed + 1).permuted(np.tile(np.arange(windows.shape[1]), (count, 1)), axis=1)
    return np.take_along_axis(windows[index], order[:, :, None], axis=1), np.asarray(activity)[index]


def class_mean(windows, activity, count, seed=0):
    """For each activity its mean window, over and over."""
    labels = np.asarray(activity)[_draw(activity, count, seed)]
    names, place = np.unique(labels, return_inverse=True)
    means = np.stack([windows[np.asarray(activity) == name].mean(axis=0) for name in names])
    return means[place].astype(np.float32), labels


def copy_of_training(windows, activity, count, seed=0):
    """Real windows as they are, each at most once if there are enough."""
    index = _draw(activity, count, seed)
    return windows[index], np.asarray(activity)[index]


def _draw(activity, count, seed):
    return np.random.default_rng(seed).choice(len(activity), count, replace=count > len(activity))


# --- Shared -------------------------------------------------------------------------------------------------


def _check(*groups):
    for windows in groups:
        if np.ndim(windows) != 3 or not np.size(windows):
            raise ValueError(f"shape {np.shape(windows)} instead of (n, steps, channels), none of them 0")
        if windows.shape[1:] != groups[0].shape[1:]:
            raise ValueError(
                f"windows of {windows.shape[1]} steps and {windows.shape[2]} channels beside windows of "
                f"{groups[0].shape[1]} and {groups[0].shape[2]}"
            )
        if not np.isfinite(windows).all():
            raise ValueError("the windows hold values that are not finite: did the generator diverge?")


def _check_labels(windows, labels):
    if len(windows) != len(labels):
        raise ValueError(f"{len(labels)} labels for {len(windows)} windows")


def _by_activity(real, real_activity, generated, generated_activity, activities):
    _check_labels(real, real_activity)
    _check_labels(generated, generated_activity)
    for activity in activities:
        ours = real[np.asarray(real_activity) == activity]
        theirs = generated[np.asarray(generated_activity) == activity]
        if not len(ours) or not len(theirs):
            side = "generated" if len(ours) else "real"
            raise ValueError(f"the {side} windows hold none of activity {activity}")
        yield ours, theirs


def _standardised(reference, *groups):
    mean, deviation = (f(reference, axis=(0, 1), dtype=float) for f in (np.mean, np.std))
    return [(windows - mean) / np.where(deviation > 0, deviation, 1) for windows in groups]


def _scaled_features(reference, *groups):
    scaler = StandardScaler().fit(activity_features(reference))
    return [scaler.transform(activity_features(windows)) for windows in groups]


def _centred(windows):
    return windows - windows.mean(axis=1, keepdims=True, dtype=float)


def _norm(windows):
    return np.linalg.norm(windows[:, :, :3], axis=2)


def _correlations(windows):
    """Correlation of each pair of channels within each window, (n, pairs); 0 where a channel is constant."""
    centred = _centred(windows)
    products = np.einsum("nti,ntj->nij", centred, centred)
    deviations = np.sqrt(np.einsum("nii->ni", products))
    scale = deviations[:, :, None] * deviations[:, None]
    correlations = np.divide(products, scale, out=np.zeros_like(products), where=scale > 0)
    return correlations[:, *np.triu_indices(windows.shape[2], 1)]


def _wasserstein_by_channel(real, generated):
    pairs = ((x[:, :, channel].ravel() for x in (real, generated)) for channel in range(real.shape[2]))
    return _by_channel([wasserstein_distance(*pair) for pair in pairs])


def _by_channel(values):
    return {"mean": float(np.mean(values))} | {f"channel {i}": float(v) for i, v in enumerate(values)}

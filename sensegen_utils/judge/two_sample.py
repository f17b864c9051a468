"""Classifier two-sample tests (C2ST): can a judge tell generated windows from real?

All raise ValueError for windows that `check_windows` refuses.
"""

import logging

import keras
import numpy as np
from aeon.transformations.collection.feature_based import Catch22
from keras import layers
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_consistent_length

from fast_keras.once import outputs, untrained
from ported.quant import quant_features
from sensegen_utils.judge.checks import KINDS, check_labels, check_windows, held_out, standardised
from sensegen_utils.judge.utility import activity_features, fit_ridge, rocket_features
from sensegen_utils.model.discriminator import BATCH, LEARNING_RATE, build_discriminator

logging.getLogger("tensorflow").setLevel(logging.ERROR)  # else it warns of every judge that is built


def judge(
    kind, train_real, train_fake, test_real, test_fake, subject=None, test_subject=None, epochs=30, seed=0,
    kernels=5000, trees=200,
):  # fmt: skip
    """Train a judge to tell real from generated windows, and test it on people it has not met.

    ``kind`` is one of `checks.KINDS`: "rocket", a ridge classifier on ``kernels`` random convolutions;
    "quant", ``trees`` randomised trees on QUANT's features; "trees", boosted trees on `activity_features` and
    Catch22; "features", logistic regression on `activity_features`; "cnn", a small residual network; or
    "report", the report's D. ``test_real`` should be of other volunteers than ``train_real``, ``test_fake``
    fresh samples. For "rocket" a fifth is held out to choose the penalty, for networks to choose the weights
    with the least loss there; ``epochs`` / 3 without a better one end their training. ``subject`` (n,) of
    ``train_real`` holds out whole volunteers, since half-overlapping windows would leak.
    Returns "accuracy"; "score", |0.5 - accuracy|, 0 for fakes that nobody can tell; "auc";
    "training_accuracy", near 0.5 if the judge has not learnt, or the fakes are real; and with
    ``test_subject`` "by_volunteer", the accuracy on the real windows of each test volunteer and the fakes in
    the same rows. ``test_subject`` is (n,), or (2, n) where the fakes are people's too, and count likewise.
    Blind to copies of the training set. Raises ValueError for an unknown kind, for a ``subject`` of another
    length or with a single volunteer, and unless there are as many real as fake windows: else chance would
    not be 0.5.
    """
    check_windows(train_real, train_fake, test_real, test_fake)
    for real, fake in ((train_real, train_fake), (test_real, test_fake)):
        if len(real) != len(fake):
            raise ValueError(f"{len(real)} real and {len(fake)} fake windows: the two must be balanced")
    if kind not in KINDS:
        raise ValueError(f"Unknown judge {kind!r}. There are: {', '.join(KINDS)}.")
    train, test = np.concatenate([train_real, train_fake]), np.concatenate([test_real, test_fake])
    labels, truth = np.repeat([1, 0], len(train_real)), np.repeat([1, 0], len(test_real))
    held = np.tile(held_out(len(train_real), subject, seed), 2)
    if kind in ("cnn", "report"):
        train, test = (x.astype(np.float32) for x in standardised(train_real, train, test))
        networks = {"report": (build_discriminator, LEARNING_RATE), "cnn": (build_cnn_judge, 1e-3)}
        model = fit_network(*networks[kind], train, labels[:, None], held, epochs, seed)
        train, labels = train[~held], labels[~held]
        fitted, scores = (outputs(model, x)[:, 0] for x in (train, test))
    else:
        train, test = (_features_for(kind, x, train_real, kernels, seed) for x in (train, test))
        fitted, scores = map(_fit_classifier(kind, train, labels, held, trees, seed), (train, test))
    right = ((scores > 0.5) == truth).reshape(2, -1).mean(axis=0)  # of the real and the fake window of a row
    accuracy, training = float(right.mean()), float(((fitted > 0.5) == labels).mean())
    found = {"accuracy": accuracy, "score": abs(0.5 - accuracy), "auc": float(roc_auc_score(truth, scores))}
    whose = np.atleast_2d([] if test_subject is None else test_subject)
    people = {str(who): float(right[side == who].mean()) for side in whose for who in np.unique(side)}
    return found | {"training_accuracy": training} | ({"by_volunteer": people} if people else {})


def fit_log_odds(real, label, fake, fake_label, subject, folds=5, seed=0):
    """Fit a discriminator that weighs generated windows: a function of (n, steps, channels) and labels (n,).

    It returns the logarithm (n,) of how much likelier a window is among the ``real`` ones than among the
    ``fake`` ones of its label; both are (m, steps, channels), with labels (m,). The discriminator is boosted
    trees on `activity_features` and the label. What they say of windows that taught them would be too sure,
    so it is scaled by a logistic regression on what trees say that have met neither the window nor its
    volunteer (``subject`` of the real windows), in ``folds`` parts, or as many as there are volunteers. Draw
    the fakes with a seed of their own. Raises ValueError for a single volunteer, and for labels that differ
    in number from their windows.
    """
    check_windows(real, fake)
    names, folds = np.union1d(label, fake_label), min(folds, len(np.unique(subject)))
    if folds < 2:
        raise ValueError("a discriminator needs two volunteers at least: it is asked about the other one")

    def features(windows, label):
        check_labels(windows, label)
        if not np.isin(label, names).all():
            raise ValueError(f"labels {np.unique(label)}: the discriminator knows only {names.tolist()}")
        return np.concatenate([activity_features(windows), np.equal.outer(label, names)], axis=1)

    inputs = np.concatenate([features(real, label), features(fake, fake_label)])
    truth = np.repeat([1, 0], [len(real), len(fake)])
    trees = HistGradientBoostingClassifier(max_iter=150, early_stopping=False, random_state=seed)
    # Generated windows belong to nobody: dealt out at random, as if to so many further volunteers.
    dealt = np.random.default_rng(seed).integers(folds, size=len(fake)) + np.max(subject) + 1
    apart = {"groups": np.concatenate([subject, dealt]), "cv": GroupKFold(folds)}
    said = cross_val_predict(trees, inputs, truth, method="decision_function", **apart)
    scale = LogisticRegression(C=np.inf).fit(said[:, None], truth).coef_[0, 0]
    trees.fit(inputs, truth)
    return lambda windows, label: scale * trees.decision_function(features(windows, label))


def judge_across(kind, real, fake, subject, folds=3, **how):
    """Teach a judge some people and ask it about others: so it knows people whom the generator never met.

    ``subject`` (n,) are the volunteers of ``real``, divided into ``folds`` or as many as there are; fakes go
    with their rows. ``how`` are `judge`'s other arguments. Returns what `judge` returns, over all windows.
    """
    check_consistent_length(real, fake, subject)
    people, parts = {}, []
    for taught, asked in GroupKFold(min(folds, len(np.unique(subject)))).split(real, groups=subject):
        known = subject[taught] if len(np.unique(subject[taught])) > 1 else None
        sets = (side[rows] for rows in (taught, asked) for side in (real, fake))
        verdict = judge(kind, *sets, known, subject[asked], **how)
        people |= verdict.pop("by_volunteer")
        parts.append([len(asked), *verdict.values()])
    sizes, *values = np.transpose(parts)
    found = dict(zip(verdict, (float(np.average(each, weights=sizes)) for each in values), strict=True))
    return found | {"score": abs(0.5 - found["accuracy"]), "by_volunteer": people}


def build_cnn_judge(channels, units=1, activation="sigmoid"):
    """Build a residual network in time. Input (batch, steps, channels), output P(real), or of ``units``.

    Beside each window it sees the window and its differences, both scaled to their own deviation. Without
    them rest vanishes beside walks, and it finds 72 instead of 94 % of surrogates at random phases. Source:
    Z. Wang et al., Time Series Classification from Scratch with Deep Neural Networks, 2017.
    """
    inputs = keras.Input((None, channels))
    windows, differences = inputs[:, 1:], inputs[:, 1:] - inputs[:, :-1]
    scaled = layers.GroupNormalization(-1, epsilon=1e-8, center=False, scale=False)
    hidden = layers.Concatenate()([windows, scaled(windows), scaled(differences)])
    for filters, stride in ((32, 1), (48, 2), (64, 2)):
        inner = layers.Activation("relu")(_convolution(hidden, filters, 7, stride))
        both = [_convolution(inner, filters, 5), _convolution(hidden, filters, 1, stride)]
        hidden = layers.Activation("relu")(layers.Add()(both))
    pooled = [layers.GlobalAveragePooling1D()(hidden), layers.GlobalMaxPooling1D()(hidden)]
    hidden = layers.Dropout(0.3)(layers.Concatenate()(pooled))
    return keras.Model(inputs, layers.Dense(units, activation=activation)(hidden))


def _convolution(inputs, filters, width, stride=1):
    hidden = layers.Conv1D(filters, width, stride, padding="same", use_bias=False)(inputs)
    return layers.BatchNormalization(momentum=0.9)(hidden)  # since an epoch has only some fifty updates


def _features_for(kind, windows, known, kernels, seed):
    if kind == "rocket":
        return rocket_features(windows, known, kernels, seed)
    if kind == "quant":
        return quant_features(windows)
    found = activity_features(windows)
    if kind == "trees":
        catch = Catch22(catch24=True, replace_nans=True)
        swapped = np.ascontiguousarray(windows.swapaxes(1, 2), float)
        found = np.concatenate([found, catch.fit_transform(swapped)], axis=1)
    return found


def _fit_classifier(kind, features, labels, held, trees, seed):
    """Return a function of features: the probability, or a score with 0.5 between the classes, of real."""
    if kind == "rocket":
        scores = fit_ridge(features, labels, held)
        return lambda other: 0.5 + scores(other)[:, 1] / 2
    if kind == "quant":
        how = {"max_features": 0.1, "criterion": "entropy", "random_state": seed, "n_jobs": -1}
        model = ExtraTreesClassifier(trees, **how)
        model.fit(np.asfortranarray(features), labels)  # by columns: as the trees read them
    elif kind == "trees":
        # Not stopped by held-out people: their loss rises from 100 rounds on, their accuracy does not fall.
        model = HistGradientBoostingClassifier(max_iter=300, early_stopping=False, random_state=seed)
        model.fit(features, labels)
    else:
        # Scaled by both: a broken fake may lie a thousand deviations of the real ones away.
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(features, labels)
    return lambda other: model.predict_proba(other)[:, 1]


def fit_network(build, learning_rate, inputs, labels, held, epochs, seed, loss="binary_crossentropy", **size):
    """Train a network, and return it with the weights that had the least loss on the rows ``held``.

    ``build`` is called with the number of channels and ``size``; ``labels`` is (n, 1). Compiling takes
    seconds, so networks of one kind and size are one object: use it before the next call.
    """
    size |= {"channels": inputs.shape[2]}
    model = untrained(build, loss, seed, size, learning_rate=learning_rate)
    stop = keras.callbacks.EarlyStopping(patience=-(-epochs // 3), restore_best_weights=True)
    kept = {"validation_data": (inputs[held], labels[held]), "validation_batch_size": 512}
    how = {"batch_size": BATCH, "epochs": epochs, "verbose": 0, "callbacks": [stop]}
    model.fit(inputs[~held], labels[~held], **how, **kept)
    return model

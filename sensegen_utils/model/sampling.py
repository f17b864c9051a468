"""Draw from a trained generator, many series at once, in one compiled loop.

XLA compiles a block of steps as a whole, so nothing is dispatched per value. Series come in blocks too, one
to a core: independent of each other, they need not wait for the slower one at every product.

The loop is the same on both axes. At 50 Hz each draw is an innovation, which the label's filter turns into a
sample; on the report's axis there is no filter, and the draw is the sample.
"""

import contextlib
import functools
import itertools
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from sensegen_utils.files import atomic_path
from sensegen_utils.model import whitening as filters
from sensegen_utils.model.mixture import SIGMA_FLOOR, draw_from_mixture, split_mixture

# What a seed draws depends on both. Fewer series at once multiply more slowly, more leave a core idle sooner;
# fewer steps at once spend a larger share of the time between the blocks.
SERIES_AT_ONCE = 512
STEPS_AT_ONCE = 64


def sample_series(
    generator, series, steps, seed, mixture_temperature=1.0, sigma_temperature=1.0, prefix=None,
    sigma_floor=SIGMA_FLOOR,
):  # fmt: skip
    """Draw series on the report's axis: float32 (series, steps), in the signal's unit.

    Each starts from a zero state and one value of standard normal noise (the paper's "random noise input"),
    or continues ``prefix``, a real array (series, known steps) that is not part of the result.
    ``mixture_temperature`` divides the mixture logits, ``sigma_temperature`` multiplies sigma: below 1 both
    make the samples more typical. Equal arguments give equal samples, on any number of cores. The generator
    may have any batch size; its state stays as it is. Raises ValueError, which says what to give, for a wrong
    argument, FloatingPointError when the generator produces a value that is not finite.
    """
    temperatures = mixture_temperature, sigma_temperature
    blocks = _blocks(generator, None, series, steps, seed, temperatures, prefix, sigma_floor)
    return np.concatenate(list(blocks))[:, :, 0]


def sample_windows(
    generator, whitening, counts, steps, seed, prefix=None, mixture_temperature=1.0, sigma_temperature=1.0,
    candidates=1, log_odds=None,
):  # fmt: skip
    """Draw labelled windows: float32 (n, steps, channels) in the channels' units, and their labels (n,).

    ``counts`` is {label: number}. A window begins with a draw from its label's mixture of first samples, or
    continues ``prefix``, {label: (number, known steps, channels)}, equally many steps for all labels.

    With ``candidates`` > 1 so many are drawn for each window, and one stays, with a probability in proportion
    to its odds of being real: a discriminator's ``log_odds``, a function of windows and labels that returns
    (n,), as `judge.two_sample.fit_log_odds` makes it. Source: A. Grover et al., Bias Correction of Learned
    Generative Models using Likelihood-Free Importance Weighting, NeurIPS 2019.
    All else is as in `sample_series`. A label that was not in training, candidates without ``log_odds``, and
    odds that are not finite raise ValueError, too.
    """
    temperatures, choice = (mixture_temperature, sigma_temperature), (candidates, log_odds)
    blocks = _blocks(generator, whitening, counts, steps, seed, temperatures, prefix, SIGMA_FLOOR, *choice)
    return np.concatenate(list(blocks)), np.repeat(list(counts), list(counts.values()))


def sample_to_file(path, generator, counts, steps, seed, whitening=None, **options):
    """Write what the two functions above draw to ``path``, in memory that stays bounded. Returns the path.

    Without a whitening ``counts`` is the number of series, with one {label: number}; ``options`` are the
    functions' own. Read ``.npy`` with ``np.load(path, mmap_mode="r")``, ``.npz`` with
    ``np.load(path)["samples"]``. Raises ValueError for another suffix, OSError naming the path if it cannot
    be written (full disk), and what the two functions raise.
    """
    path = Path(path)
    if path.suffix not in (".npy", ".npz"):
        raise ValueError(f"{path} must end in .npy or .npz: these are the formats that can be streamed")
    if whitening and "sigma_floor" in options:
        raise ValueError("sigma_floor does not go with a whitening, which has floors of its own")
    temperatures = [options.pop(f"{what}_temperature", 1.0) for what in ("mixture", "sigma")]
    blocks = _blocks(generator, whitening, counts, steps, seed, temperatures, **options)
    first = next(blocks)  # refuses wrong arguments before anything is written
    shape = tuple(map(int, (sum(counts.values()), *first.shape[1:]) if whitening else (counts, steps)))
    with contextlib.ExitStack() as stack:
        temporary = stack.enter_context(atomic_path(path))
        if path.suffix == ".npy":
            file = stack.enter_context(temporary.open("wb"))
        else:
            zipped = stack.enter_context(zipfile.ZipFile(temporary, "w"))
            # Without zip64 a member ends at 2 GiB, and its size is not known to zipfile in advance.
            file = stack.enter_context(zipped.open("samples.npy", "w", force_zip64=True))
        bar = stack.enter_context(tqdm(desc=path.stem, total=np.prod(shape), unit="value", unit_scale=True))
        header = {"descr": np.dtype(np.float32).str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for values in itertools.chain([first], blocks):
            file.write(values.tobytes())
            bar.update(values.size)
    return path


def _blocks(
    generator, whitening, counts, steps, seed, temperatures, prefix=None, sigma_floor=SIGMA_FLOOR,
    candidates=1, log_odds=None,
):  # fmt: skip
    """Yield float32 arrays (series of the block, steps, channels) in order."""
    labels = whitening["labels"] if whitening else [0]
    counts = counts if whitening else {0: counts}
    whole = [("steps", steps, 1), ("seed", seed, 0), ("candidates", candidates, 1)]
    whole += [("number of series", number, 1) for number in counts.values() or [0]]
    for name, value, least in whole:
        if not isinstance(value, int | np.integer) or not least <= value < 2**63:
            raise ValueError(f"{name} {value!r}: give a whole number, at least {least}, of 63 bits")
    if not all(isinstance(each, int | float | np.number) and 1e-6 <= each < np.inf for each in temperatures):
        said = f"temperatures must be positive, not {temperatures[0]!r} and {temperatures[1]!r}"
        raise ValueError(f"{said}; use a small value such as 0.01 for nearly deterministic samples")
    temperatures, steps = [float(each) for each in temperatures], int(steps)
    if candidates > 1 and log_odds is None:
        raise ValueError(f"{candidates} candidates and no log_odds: judge.two_sample.fit_log_odds makes some")
    for label in counts if whitening else ():
        filters.of_label(whitening["predictors"], label)
    known = _known(whitening, counts, prefix)
    code = np.repeat(np.searchsorted(labels, list(counts)), list(counts.values()) * np.array(candidates))
    series, known = len(code), None if known is None else known.repeat(candidates, axis=0)
    # Equally many series in all blocks, and few different numbers, for each is compiled once.
    each = -(-series // -(-series // SERIES_AT_ONCE))
    size = 1 << (each - 1).bit_length() if each <= 64 else -(-each // 64) * 64
    loop = _compiled_loop(generator, whitening is not None, sigma_floor, size)
    constants = _constants(whitening) if whitening else {}

    def draw(first):
        rows = np.minimum(np.arange(first, first + size), series - 1)  # to the size that is compiled already
        begun, rng = None if known is None else known[rows], np.random.default_rng([seed, first])
        values = _draw(loop, whitening, constants, code[rows], begun, steps, rng, *temperatures)
        values = values[: series - first]
        if not np.isfinite(values).all():
            row, step, _ = where = tuple(np.argwhere(~np.isfinite(values))[0])
            raise FloatingPointError(
                f"the generator produced {values[where]} in series {first + row} at step {step}; "
                "its weights are probably not finite: look at its training log"
            )
        return values

    workers = int(os.environ.get("TF_NUM_INTRAOP_THREADS", 0)) or os.cpu_count()
    with ThreadPoolExecutor(workers) as pool:
        # One block a worker and no more: a queue would fill the memory when the disk is the slower one.
        rounds = (range(series)[at : at + workers * size : size] for at in range(0, series, workers * size))
        blocks = itertools.chain.from_iterable(pool.map(draw, starts) for starts in rounds)
        label = np.array(labels)[code].reshape(-1, candidates)
        yield from blocks if candidates == 1 else _chosen(blocks, label, log_odds, seed)


def _chosen(blocks, label, log_odds, seed):
    """Of each row of ``label`` (n, candidates) yield one series, by chance in proportion to its odds."""
    rng, done, waiting = np.random.default_rng([seed, label.shape[1]]), 0, []
    for block in blocks:
        drawn = np.concatenate([*waiting, block])
        of_rows = label[done : done + len(drawn) // label.shape[1]]
        drawn, *waiting = np.split(drawn, [of_rows.size])
        if of_rows.size:
            odds = np.reshape(log_odds(drawn, of_rows.ravel()), of_rows.shape)
            if not np.isfinite(odds).all():
                raise ValueError("log_odds returned a value that is not finite, so nothing can be chosen")
            chosen = (odds + rng.gumbel(size=odds.shape)).argmax(axis=1)  # each with its share of the odds
            yield drawn.reshape(*of_rows.shape, *drawn.shape[1:])[np.arange(len(chosen)), chosen]
            done += len(chosen)


def _known(whitening, counts, prefix):
    """Check a prefix; return it as float32 (series, known steps, channels), or None."""
    if prefix is None:
        return None
    if whitening is None:
        if np.ndim(prefix) != 2 or len(prefix) != counts[0] or not np.size(prefix):
            raise ValueError(f"prefix must have shape ({counts[0]}, at least 1), not {np.shape(prefix)}")
        return np.asarray(prefix, np.float32)[..., None]
    channels = len(whitening["mean"])
    for label, count in counts.items():
        if label not in prefix:
            raise ValueError(f"the prefix has no windows of label {label}")
        shape = np.shape(prefix[label])
        if len(shape) != 3 or shape[::2] != (count, channels) or not shape[1]:
            raise ValueError(
                f"the prefix of label {label} must have shape ({count}, steps, {channels}), not {shape}"
            )
    return np.concatenate([prefix[label] for label in counts]).astype(np.float32)


def _constants(whitening):
    """What the loop needs of a whitening, as float32 tensors, stacked over labels."""
    predictors = [whitening["predictors"][name] for name in whitening["labels"]]
    # History and innovation side by side meet the filter and its factor of all labels in one product.
    pairs = [np.concatenate([each["weights"], each["factors"].swapaxes(1, 2)], axis=1) for each in predictors]
    means = np.stack([each["mean"] for each in predictors])
    arrays = {"filter": np.concatenate(pairs, axis=2), "mean": means, "offset": means - whitening["mean"]}
    arrays |= {"floor": filters.floors_by_label(whitening), "deviation": whitening["deviation"]}
    return {name: tf.constant(array, tf.float32) for name, array in arrays.items()}


def _draw(loop, whitening, constants, code, known, steps, rng, mixture_temperature, sigma_temperature):
    """Draw one block, float32 (size, steps, channels)."""
    (run, states), size = loop, len(code)
    if whitening is None:
        if known is None:  # a series starts from noise, which is no part of it either
            known = rng.standard_normal((size, 1, 1), np.float32)
        left = begun = known
        history, one_hot = known[:, 0], tf.ones((size, 1))
    else:
        labels, begun = np.array(whitening["labels"]), known
        if known is None:
            begun = np.empty((size, 1, len(whitening["mean"])))
            for name, mixture in whitening["first"].items():
                rows = labels[code] == name
                begun[rows, 0] = filters.draw_first_sample(mixture, rows.sum(), rng)
        left, _ = filters.innovations_by_label(begun, labels[code], whitening["predictors"])
        centred, one_hot = begun[:, 0] - constants["mean"].numpy()[code], tf.one_hot(code, len(labels))
        memory = constants["filter"].shape[1] - left.shape[2]
        history = np.pad(np.float32(centred), ((0, 0), (memory - left.shape[2], 0)))
    drop = 0 if known is None else known.shape[1]
    carried, parts = (tf.constant(history), tf.constant(left[:, 0]), states), [np.float32(begun[:, :1])]
    for first in range(1, drop + steps, STEPS_AT_ONCE):
        # XLA compiles for one shape, so even a short block gets the full number of steps.
        uniform = rng.random((STEPS_AT_ONCE, size), np.float32)
        normal = rng.standard_normal((STEPS_AT_ONCE, size, left.shape[2]), np.float32)
        given = left[:, first : first + STEPS_AT_ONCE].swapaxes(0, 1)
        padded = np.concatenate([given, np.zeros_like(normal[len(given) :])])
        numbers = min(STEPS_AT_ONCE, drop + steps - first), len(given), first
        carried, part = run(
            carried, constants, one_hot, padded, uniform, sigma_temperature * normal,
            *map(tf.constant, numbers), tf.constant(mixture_temperature, tf.float32),
        )  # fmt: skip
        parts.append(part.numpy()[: numbers[0]].swapaxes(0, 1))
    return np.concatenate(parts, axis=1)[:, drop:]


@functools.lru_cache(maxsize=16)
def _compiled_loop(generator, whitened, sigma_floor, size):
    """Return the compiled block of steps and the zero states that it starts from, for ``size`` series."""
    lstm_layers = [layer for layer in generator.layers if isinstance(layer, keras.layers.LSTM)]

    # Some wheels (Windows) carry no XLA; the same code then runs as ordinary graph operations.
    @tf.function(jit_compile=tf.test.is_built_with_xla() or None)
    def run(carried, own, one_hot, given, uniform, normal, steps, given_steps, first, mixture_temperature):
        """Up to 64 steps, from step ``first`` of the series on: what is carried on, and the samples."""
        (history, left, states), channels = carried, normal.shape[2]
        drawn = tf.TensorArray(tf.float32, STEPS_AT_ONCE, element_shape=left.shape)
        floor = sigma_floor
        if whitened:
            mean, offset, floor = (tf.matmul(one_hot, own[name]) for name in ("mean", "offset", "floor"))
        t = tf.constant(0)
        while t < steps:  # with `tf.range` XLA takes ``steps`` for a constant, and compiles anew for others
            hidden, new_states = left, []
            if whitened:
                last = (history[:, -channels:] + offset) / own["deviation"]
                hidden = tf.concat([left, last, one_hot], 1)
            for layer in generator.layers[1:]:
                if layer in lstm_layers:
                    hidden, state = layer.cell(hidden, states[len(new_states)])
                    new_states.append(state)
                else:
                    hidden = layer(hidden)
            states = new_states
            log_weights, means, log_sigmas = split_mixture(hidden, floor, channels)
            weights = tf.nn.softmax(log_weights / mixture_temperature)
            left = draw_from_mixture(weights, means, tf.exp(log_sigmas), uniform[t], normal[t])
            # The prefix goes in last, for the step to come: at the head of the step it cost XLA 40 % of the
            # speed, because the first layer's input was then no plain loop variable.
            left = value = tf.where(t < given_steps, given[t], left)
            if whitened:
                # `gather` and no slice: for a slice XLA takes ``first`` for a constant, and compiles anew for
                # each of its values.
                of_order = tf.gather(own["filter"], tf.minimum(first + t, own["filter"].shape[0] - 1))
                of_labels = tf.matmul(tf.concat([history, left], 1), of_order)
                of_labels = tf.reshape(of_labels, (-1, one_hot.shape[1], channels))
                centred = tf.reduce_sum(of_labels * one_hot[:, :, None], axis=1)
                history, value = tf.concat([history[:, channels:], centred], 1), centred + mean
            drawn = drawn.write(t, value)
            t += 1
        return (history, left, states), drawn.stack()

    return run, [[tf.zeros((size, layer.units))] * 2 for layer in lstm_layers]

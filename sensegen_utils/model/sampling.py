"""Draw from a trained generator, many series at once, in one compiled loop.

XLA compiles a block of steps as a whole, so nothing is dispatched per value and the arithmetic of the gates
runs between the matrix products at little cost. Series come in blocks too, one to a core: independent of each
other, they need not wait for the slower one at every product.

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
    generator,
    series,
    steps,
    seed,
    mixture_temperature=1.0,
    sigma_temperature=1.0,
    prefix=None,
    sigma_floor=SIGMA_FLOOR,
):
    """Draw series on the report's axis: float32 (series, steps), in the signal's unit.

    Each starts from a zero state and one value of standard normal noise (the paper's "random noise input"),
    or continues ``prefix``, a real array (series, known steps) that is not part of the result.
    ``mixture_temperature`` divides the mixture logits, ``sigma_temperature`` multiplies sigma: below 1 both
    make the samples more typical. Equal arguments give equal samples, on any number of cores. Works for a
    generator of any batch size, stateful or not, and leaves its state alone. The first draw of a number of
    series takes a second or two to compile, whatever their length.

    Raises ValueError for a number of series or steps below 1, a seed that is no whole number of at least 0, a
    temperature that is not positive or a prefix of the wrong shape, FloatingPointError when the generator
    produces a value that is not finite.
    """
    temperatures = mixture_temperature, sigma_temperature
    blocks = _blocks(generator, None, series, steps, seed, temperatures, prefix, sigma_floor)
    return np.concatenate(list(blocks))[:, :, 0]


def sample_windows(
    generator, whitening, counts, steps, seed, prefix=None, mixture_temperature=1.0, sigma_temperature=1.0
):
    """Draw labelled windows: float32 (n, steps, channels) in the channels' units, and their labels (n,).

    ``counts`` is {label: number}. A window begins with a draw from its label's mixture of first samples, or
    continues ``prefix``, {label: (number, known steps, channels)} of real samples, equally many steps for all
    labels, which are not part of the result. Temperatures, seeds and errors are as in `sample_series`; a
    label that was not in training raises ValueError, too.
    """
    temperatures = mixture_temperature, sigma_temperature
    blocks = _blocks(generator, whitening, counts, steps, seed, temperatures, prefix)
    return np.concatenate(list(blocks)), np.repeat(list(counts), list(counts.values()))


def sample_to_file(path, generator, counts, steps, seed, whitening=None, **options):
    """Write what the two functions above draw to ``path``, in memory that stays bounded. Returns the path.

    Without a whitening ``counts`` is the number of series, and the file holds (series, steps); with one it is
    {label: number}, and the file holds windows (n, steps, channels) in this order of labels. ``options`` are
    the functions' own. The memory holds 512 series for each core, however many there are. The file appears
    under its name once it is complete; ``.npy`` is read with ``np.load(path, mmap_mode="r")``, ``.npz`` with
    ``np.load(path)["samples"]``. Nothing is compressed, since noise would hardly shrink.

    Raises ValueError for another suffix, OSError naming the path if it cannot be written (full disk), and
    what the two functions raise.
    """
    path = Path(path)
    if path.suffix not in (".npy", ".npz"):
        raise ValueError(f"{path} must end in .npy or .npz: these are the formats that can be streamed")
    temperatures = [options.pop(f"{what}_temperature", 1.0) for what in ("mixture", "sigma")]
    blocks = _blocks(generator, whitening, counts, steps, seed, temperatures, **options)
    first = next(blocks)  # refuses wrong arguments before anything is written
    shape = (sum(counts.values()), *first.shape[1:]) if whitening else (counts, steps)
    header = {"descr": np.dtype(np.float32).str, "fortran_order": False, "shape": shape}
    with (
        atomic_path(path) as temporary,
        _open_array(temporary) as file,
        tqdm(desc=path.stem, total=int(np.prod(shape)), unit="value", unit_scale=True) as bar,
    ):
        np.lib.format.write_array_header_1_0(file, header)
        for values in itertools.chain([first], blocks):
            file.write(values.tobytes())
            bar.update(values.size)
    return path


@contextlib.contextmanager
def _open_array(path):
    if path.suffix == ".npy":
        with path.open("wb") as file:
            yield file
    else:
        # Without zip64 a member ends at 2 GiB, and its size is not known to zipfile in advance.
        with zipfile.ZipFile(path, "w") as zipped, zipped.open("samples.npy", "w", force_zip64=True) as file:
            yield file


def _blocks(generator, whitening, counts, steps, seed, temperatures, prefix=None, sigma_floor=SIGMA_FLOOR):
    """Yield float32 arrays (series of the block, steps, channels) in order."""
    numbers = list(counts.values()) if whitening else [counts]
    given = [("steps", steps, 1), ("seed", seed, 0), *(("number of series", n, 1) for n in numbers or [0])]
    for name, value, least in given:
        if not isinstance(value, int | np.integer) or value < least:
            raise ValueError(f"{name} {value!r}: give a whole number, at least {least}")
    if min(temperatures) <= 0:
        raise ValueError(
            f"temperatures must be positive, not {temperatures[0]} and {temperatures[1]}; "
            "use a small value such as 0.01 for nearly deterministic samples"
        )
    if whitening:
        for label in counts:
            filters.of_label(whitening["predictors"], label)
    series, known = sum(numbers), _known(whitening, counts, prefix)
    code = np.repeat(np.searchsorted(whitening["labels"], list(counts)) if whitening else [0], numbers)
    size, constants = _block_size(series), _constants(whitening)
    loop = _compiled_loop(generator, whitening is not None, sigma_floor, size)

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
        for first in range(0, series, workers * size):
            yield from pool.map(draw, range(first, min(first + workers * size, series), size))


def _known(whitening, counts, prefix):
    """Check a prefix; return it as float32 (series, known steps, channels), or None."""
    if prefix is None:
        return None
    if whitening is None:
        known = np.asarray(prefix, np.float32)[..., None]
        if known.ndim != 3 or len(known) != counts or not known.shape[1]:
            raise ValueError(f"prefix must have shape ({counts}, at least 1), not {np.shape(prefix)}")
        return known
    channels = len(whitening["mean"])
    for label, count in counts.items():
        shape = np.shape(prefix[label])
        if len(shape) != 3 or shape[::2] != (count, channels) or not shape[1]:
            raise ValueError(
                f"the prefix of label {label} must have shape ({count}, steps, {channels}), not {shape}"
            )
    return np.concatenate([prefix[label] for label in counts]).astype(np.float32)


def _block_size(series):
    """Series in a block: equally many in all, and few different numbers, for each is compiled once."""
    each = -(-series // -(-series // SERIES_AT_ONCE))
    return 1 << (each - 1).bit_length() if each <= 64 else -(-each // 64) * 64


def _constants(whitening):
    """What the loop needs of a whitening, as float32 tensors, stacked over labels."""
    if whitening is None:
        return {}
    predictors = [whitening["predictors"][name] for name in whitening["labels"]]
    # History and innovation side by side meet the filter and its factor of all labels in one product.
    pairs = [np.concatenate([each["weights"], each["factors"].swapaxes(1, 2)], axis=1) for each in predictors]
    means = np.stack([each["mean"] for each in predictors])
    arrays = {
        "filter": np.concatenate(pairs, axis=2),
        "mean": means,
        "offset": means - whitening["mean"],
        "floor": filters.floors_by_label(whitening),
        "deviation": whitening["deviation"],
    }
    return {name: tf.constant(array, tf.float32) for name, array in arrays.items()}


def _draw(loop, whitening, constants, code, known, steps, rng, mixture_temperature, sigma_temperature):
    size, drop = len(code), 0 if known is None else known.shape[1]
    if whitening is None:
        drop = max(drop, 1)  # the noise that a series starts from is no part of it
        begun = left = rng.standard_normal((size, 1, 1), np.float32) if known is None else known
        centred, one_hot = begun[:, 0], tf.ones((size, 1))
    else:
        labels, begun = np.array(whitening["labels"]), known
        if known is None:
            begun = np.empty((size, 1, len(whitening["mean"])))
            for name, mixture in whitening["first"].items():
                rows = labels[code] == name
                begun[rows, 0] = filters.draw_first_sample(mixture, rows.sum(), rng)
        left, _ = filters.innovations_by_label(begun, labels[code], whitening["predictors"])
        centred, one_hot = begun[:, 0] - constants["mean"].numpy()[code], tf.one_hot(code, len(labels))
    run, states = loop
    memory = constants["filter"].shape[1] - left.shape[2] if constants else left.shape[2]
    history = np.pad(np.float32(centred), ((0, 0), (memory - left.shape[2], 0)))
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
    dense_layers = [layer for layer in generator.layers if isinstance(layer, keras.layers.Dense)]

    # Some wheels (Windows) carry no XLA; the same code then runs as ordinary graph operations.
    @tf.function(jit_compile=tf.test.is_built_with_xla() or None)
    def run(carried, own, one_hot, given, uniform, normal, steps, given_steps, first, mixture_temperature):
        """Up to 64 steps, from step ``first`` of the series on: what is carried on, and the samples."""
        (history, left, states), channels = carried, normal.shape[2]
        drawn = tf.TensorArray(tf.float32, STEPS_AT_ONCE, element_shape=left.shape)
        if whitened:
            mean, offset, floor = (tf.matmul(one_hot, own[name]) for name in ("mean", "offset", "floor"))
        for t in tf.range(steps):
            hidden, new_states = left, []
            if whitened:
                last = (history[:, -channels:] + offset) / own["deviation"]
                hidden = tf.concat([left, last, one_hot], 1)
            for layer, state in zip(lstm_layers, states, strict=True):
                hidden, state = layer.cell(hidden, state)
                new_states.append(state)
            states = new_states
            for layer in dense_layers:
                hidden = layer(hidden)
            log_weights, means, log_sigmas = split_mixture(
                hidden, floor if whitened else sigma_floor, channels
            )
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
        return (history, left, states), drawn.stack()

    return run, [[tf.zeros((size, layer.units))] * 2 for layer in lstm_layers]

"""Draw synthetic series from a trained generator, many at once, in one compiled loop.

XLA compiles a block of steps as a whole, so that nothing is dispatched per value and the arithmetic of the
gates runs between the matrix products at little cost. Series come in blocks too, one to a core: independent
of each other, they need not wait for the slower one at every product.
"""

import contextlib
import functools
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from sensegen_utils.generator import SIGMA_FLOOR, split_mixture
from sensegen_utils.records import atomic_path

# What a seed draws depends on both. Fewer series at once multiply more slowly, more leave a core idle sooner;
# fewer steps at once spend a larger share of the time between the blocks.
SERIES_AT_ONCE = 512
STEPS_AT_ONCE = 64


def sample(
    generator,
    series,
    steps,
    seed,
    mixture_temperature=1.0,
    sigma_temperature=1.0,
    prefix=None,
    sigma_floor=SIGMA_FLOOR,
):
    """Draw synthetic series: float32 array (series, steps), in the signal's unit.

    Each series starts from a zero state and one value of standard normal noise (the paper's "random noise
    input"), or continues ``prefix``, a real array (series, prefix_steps) that is not part of the result.
    ``mixture_temperature`` divides the mixture logits, ``sigma_temperature`` multiplies sigma: below 1 both
    make the samples more typical. Equal arguments give equal samples, on any number of cores. Works for a
    generator of any batch size, stateful or not, and leaves its state alone. A number of series that the
    generator has not drawn before takes a second or two to compile.

    Raises ValueError for a temperature that is not positive or a prefix of the wrong shape,
    FloatingPointError when the generator produces a value that is not finite.
    """
    drawn = np.empty((series, steps), np.float32)
    temperatures = mixture_temperature, sigma_temperature
    for first, values in _blocks(generator, series, steps, seed, *temperatures, prefix, sigma_floor):
        drawn[first : first + len(values)] = values
    return drawn


def sample_to_file(generator, path, series, steps, seed, **options):
    """Write what `sample` returns for the same arguments to ``path``, in memory that stays bounded.

    ``options`` are `sample`'s further arguments. The memory holds 512 series of ``steps`` values for each
    core, however many ``series`` there are. The file appears under its name once it is complete; ``.npy`` is
    read with ``np.load(path, mmap_mode="r")``, ``.npz`` with ``np.load(path)["samples"]``. Nothing is
    compressed, since noise would hardly shrink. Returns the path.

    Raises ValueError for another suffix, OSError naming the path if it cannot be written (full disk), and
    what `sample` raises.
    """
    path = Path(path)
    if path.suffix not in (".npy", ".npz"):
        raise ValueError(f"{path} must end in .npy or .npz: these are the formats that can be streamed")
    descr = np.lib.format.dtype_to_descr(np.dtype(np.float32))
    header = {"descr": descr, "fortran_order": False, "shape": (series, steps)}
    with (
        atomic_path(path) as temporary,
        _open_array(temporary) as file,
        tqdm(desc=path.stem, total=series * steps, unit="value", unit_scale=True) as bar,
    ):
        np.lib.format.write_array_header_1_0(file, header)
        for _, values in _blocks(generator, series, steps, seed, **options):
            file.write(values.tobytes())
            bar.update(values.size)
    return path


@contextlib.contextmanager
def _open_array(path):
    if path.suffix == ".npy":
        with path.open("wb") as file:
            yield file
    else:
        with (
            zipfile.ZipFile(path, "w") as archive,
            # Without zip64 a member ends at 2 GiB, and its size is not known to zipfile in advance.
            archive.open("samples.npy", "w", force_zip64=True) as file,
        ):
            yield file


def _blocks(
    generator,
    series,
    steps,
    seed,
    mixture_temperature=1.0,
    sigma_temperature=1.0,
    prefix=None,
    sigma_floor=SIGMA_FLOOR,
):
    """Yield (index of the first series, float32 array (series of the block, steps)) in order."""
    if min(mixture_temperature, sigma_temperature) <= 0:
        raise ValueError(
            f"temperatures must be positive, not {mixture_temperature} and {sigma_temperature}; "
            "use a small value such as 0.01 for nearly deterministic samples"
        )
    if prefix is not None:
        prefix = np.asarray(prefix, np.float32)
        if prefix.ndim != 2 or len(prefix) != series or prefix.shape[1] == 0:
            raise ValueError(f"prefix must have shape ({series}, at least 1), not {prefix.shape}")
    loop, units = _compiled_loop(generator, sigma_floor)

    def draw(first):
        count = min(SERIES_AT_ONCE, series - first)
        rng = np.random.default_rng([seed, first])
        noise = rng.standard_normal((count, 1), np.float32)
        start = noise if prefix is None else prefix[first : first + count]
        values = _draw(loop, units, start, steps, rng, mixture_temperature, sigma_temperature)
        if not np.isfinite(values).all():
            row, step = np.argwhere(~np.isfinite(values))[0]
            raise FloatingPointError(
                f"the generator produced {values[row, step]} in series {first + row} at step {step}; "
                "its weights are probably not finite: look at its training log"
            )
        return first, values

    workers = int(os.environ.get("TF_NUM_INTRAOP_THREADS", 0)) or os.cpu_count()
    with ThreadPoolExecutor(workers) as pool:
        # One block a worker and no more: a queue would fill the memory when the disk is the slower one.
        for first in range(0, series, workers * SERIES_AT_ONCE):
            last = min(first + workers * SERIES_AT_ONCE, series)
            yield from pool.map(draw, range(first, last, SERIES_AT_ONCE))


def _draw(loop, units, start, steps, rng, mixture_temperature, sigma_temperature):
    series, known = start.shape
    drawn = np.empty((series, known - 1 + steps), np.float32)
    value, states = start[:, :1], [[np.zeros((series, size), np.float32)] * 2 for size in units]
    for t in range(0, drawn.shape[1], STEPS_AT_ONCE):
        part = drawn[:, t : t + STEPS_AT_ONCE]
        given = start[:, t + 1 : t + 1 + STEPS_AT_ONCE]
        # XLA compiles for one shape, so even a short block gets the full number of steps.
        padded = np.zeros((STEPS_AT_ONCE, series), np.float32)
        padded[: given.shape[1]] = given.T
        uniform = rng.random(padded.shape, np.float32)
        normal = sigma_temperature * rng.standard_normal(padded.shape, np.float32)
        numbers = np.int32(part.shape[1]), np.int32(given.shape[1]), np.float32(mixture_temperature)
        value, states, values = loop(value, states, padded, uniform, normal, *map(tf.constant, numbers))
        part[:] = values.numpy()[: part.shape[1]].T
    return drawn[:, known - 1 :]


@functools.lru_cache(maxsize=8)
def _compiled_loop(generator, sigma_floor):
    lstm_layers = [layer for layer in generator.layers if isinstance(layer, keras.layers.LSTM)]
    dense_layers = [layer for layer in generator.layers if isinstance(layer, keras.layers.Dense)]

    # Some wheels (Windows) carry no XLA; the same code then runs as ordinary graph operations.
    @tf.function(jit_compile=tf.test.is_built_with_xla() or None)
    def loop(value, states, given, uniform, normal, steps, given_steps, mixture_temperature):
        drawn = tf.TensorArray(tf.float32, STEPS_AT_ONCE, element_shape=value.shape[:1])
        for t in tf.range(steps):
            hidden, new_states = value, []
            for layer, state in zip(lstm_layers, states, strict=True):
                hidden, state = layer.cell(hidden, state)
                new_states.append(state)
            states = new_states
            for layer in dense_layers:
                hidden = layer(hidden)
            log_weights, means, log_sigmas = split_mixture(hidden, sigma_floor)
            weights = tf.nn.softmax(log_weights / mixture_temperature)
            value = draw_from_mixture(weights, means, tf.exp(log_sigmas), uniform[t], normal[t])
            # The prefix goes in last, for the step to come: at the head of the step it cost XLA 40 % of the
            # speed, because the first layer's input was then no plain loop variable.
            value = tf.where(t < given_steps, given[t], value)[:, None]
            drawn = drawn.write(t, value[:, 0])
        return value, states, drawn.stack()

    return loop, [layer.units for layer in lstm_layers]


def draw_from_mixture(weights, means, sigmas, uniform, normal):
    """Draw one value from each of ``n`` Gaussian mixtures, as a graph.

    ``weights`` (n, components) need not sum to 1; ``means`` and ``sigmas`` are (n, components) or, for values
    of several channels, (n, components, channels). ``uniform`` (n,) chooses the component, by the inverse of
    the cumulative weights: one random number a value instead of one a component. ``normal`` is (n,) or
    (n, channels), as is the result.
    """
    cumulative = tf.cumsum(weights, axis=-1)
    below = cumulative < uniform[:, None] * cumulative[:, -1:]
    chosen = tf.reduce_sum(tf.cast(below, tf.int32), axis=-1)
    mean, sigma = (tf.gather(values, chosen, axis=1, batch_dims=1) for values in (means, sigmas))
    return mean + sigma * normal

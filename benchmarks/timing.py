"""Time contenders in turns, so that a slow minute of the machine hits all of them alike."""

import time

import numpy as np
import pandas as pd
from tqdm import tqdm


def seconds_of(function):
    """Seconds that one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def take_turns(contenders, repeats):
    """Call all of ``{name: function that returns the seconds of its work}`` in turn, ``repeats`` times.

    Returns a DataFrame of seconds, one row a turn, one column a contender. Warming up is the caller's.
    """
    turns = tqdm(range(repeats), unit="turn")
    return pd.DataFrame([{name: function() for name, function in contenders.items()} for _ in turns])


def summarise(seconds, units, flop_per_unit):
    """One row a contender: seconds per unit of work (median and quartiles), GFLOP/s, ratio to each other.

    ``units`` is how many units of work (updates, values) one call did; ``flop_per_unit`` counts the
    multiplications and additions of the matrix products alone. A ratio is the median over turns of the
    contender's time divided by the other's in the same turn: below 1 the contender is faster.
    """
    per_unit = seconds / units
    table = pd.DataFrame(
        {
            "median_s": per_unit.median(),
            "quartile_low_s": per_unit.quantile(0.25),
            "quartile_high_s": per_unit.quantile(0.75),
            "gflop_per_s": flop_per_unit / per_unit.median() / 1e9,
        }
    )
    for other in seconds:
        table[f"ratio_to_{other}"] = [float(np.median(seconds[name] / seconds[other])) for name in seconds]
    return table.rename_axis("contender").reset_index()

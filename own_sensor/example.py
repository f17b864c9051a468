"""An example of a recording: simulated machines that vibrate, from a fixed seed."""

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter1d

# Speed relative to that at work; amplitudes (m/s^2) at once, twice and three times the speed, from unbalance,
# misalignment and looseness; standard deviation (m/s^2) of the noise.
STATES = {
    "idle": (0.7, (0.25, 0.10, 0.05), 0.05),
    "run": (1.0, (1.0, 0.45, 0.25), 0.10),
    "worn bearing": (1.0, (1.0, 0.45, 0.25), 0.12),
}
CHANNELS = ("vertical_acc", "horizontal_acc")
# Blows of a pit on the inner race in one turn: half of the 8 elements, times 1 + d / D cos(contact angle).
INNER_RACE = 8 / 2 * (1 + 0.2)
IMPACT, EXTENT = 8.0, 0.4  # m/s^2 under the full load; Stribeck's epsilon, below 0.5: there is play
RESONANCE, DECAY = 110, 0.006  # Hz, s
PAUSE = 10  # s between two recordings of a machine
LOWEST_RATE = 300  # Hz; no machine's resonance lies beyond half of it


def simulate_vibration(machines=6, seconds=60, rate=400, seed=0):
    """Return the vibration of ``machines`` machines, each measured for ``seconds``, as a table of samples.

    The columns: "time" (s, with a pause between a machine's recordings), "vertical_acc" and "horizontal_acc"
    (m/s^2, on the housing of one bearing, resolution 0.001), "state" ("idle", "run", "worn bearing": one
    recording each, a third of the seconds), "machine" (1, 2, ...). ``rate`` is in Hz. One seed gives one
    table. Raises ValueError for no machine, for recordings shorter than a second, and below 300 Hz.

    The shaft turns 13 to 17 times a second. Its harmonics shake the housing in two directions, a quarter of a
    turn apart. The worn bearing is the model of P. D. McFadden and J. D. Smith (Journal of Sound and
    Vibration 96(1), 1984, 69-82): each rolling element that meets the pit on the inner race strikes a blow,
    as strong as the load (Stribeck's) where the pit then is, and the blow rings in a decaying resonance. One
    thing is not to scale: a real housing rings at some kHz, this one near 110 Hz, so that 400 Hz carry it.
    """
    if machines < 1 or seconds < len(STATES) or rate < LOWEST_RATE:
        least = f"one machine, {len(STATES)} s (one for each state), {LOWEST_RATE} Hz for the resonance"
        raise ValueError(f"{machines=}, {seconds=}, {rate=}: there must be at least {least}.")
    rng, samples, tables = np.random.default_rng(seed), int(seconds * rate / len(STATES)), []
    for number in range(1, machines + 1):
        machine = _machine(rng)
        for order, state in enumerate(STATES):
            clock = order * (samples / rate + PAUSE) + np.arange(samples) / rate
            vibration = _vibration(rng, machine, state, samples, rate).round(3)
            columns = {"time": clock.round(6), **dict(zip(CHANNELS, vibration, strict=True))}
            tables.append(pd.DataFrame(columns).assign(state=state, machine=number))
    return pd.concat(tables, ignore_index=True)


def _machine(rng):
    return {
        "speed": rng.uniform(13, 17),
        "gains": rng.uniform(0.85, 1.15, (len(CHANNELS), 3)),
        "phases": rng.uniform(-0.6, 0.6, (len(CHANNELS), 3)),
        "pit": rng.uniform(),  # where on the ring, in turns from the unbalance
        "resonance": RESONANCE * rng.uniform(0.93, 1.07),
        "impact": IMPACT * rng.uniform(0.8, 1.2),
    }


def _vibration(rng, machine, state, samples, rate):
    """Return (2, samples), the vertical and the horizontal acceleration (m/s^2)."""
    relative, amplitudes, noise = STATES[state]
    # The speed wanders by one percent, over about a second.
    wander = gaussian_filter1d(rng.normal(size=samples), rate / 2, mode="wrap")
    wander *= np.sqrt(2 * np.sqrt(np.pi) * rate / 2)  # to unit variance
    speed = machine["speed"] * relative * (1 + 0.01 * wander)
    turns = rng.uniform() + np.cumsum(speed) / rate
    times, quarter = np.arange(1, 4)[:, None], np.array([0, np.pi / 2])[:, None, None]
    angles = 2 * np.pi * times * turns - times * quarter + machine["phases"][:, :, None]
    vibration = np.einsum("ch,cht->ct", machine["gains"] * amplitudes, np.cos(angles))
    if state == "worn bearing":
        # The sensors stand at right angles, the blows come from the loaded side, below.
        vibration += np.array([[1.0], [0.7]]) * _blows(rng, machine, turns, samples, rate)
    return vibration + noise * rng.normal(size=vibration.shape)


def _blows(rng, machine, turns, samples, rate):
    slip = 0.02 * np.cumsum(rng.normal(size=samples)) / np.sqrt(rate)  # in turns
    passed = INNER_RACE * (turns + slip)
    hits = np.arange(np.ceil(passed[0]), passed[-1])
    moments = np.interp(hits, passed, np.arange(samples))  # in samples, between two of them
    pit = 2 * np.pi * (machine["pit"] + np.interp(moments, np.arange(samples), turns))
    load = np.clip(1 - (1 - np.cos(pit)) / (2 * EXTENT), 0, None) ** 1.5
    index = np.ceil(moments).astype(int)[:, None] + np.arange(int(8 * DECAY * rate))
    elapsed = (index - moments[:, None]) / rate
    ringing = np.exp(-elapsed / DECAY) * np.sin(2 * np.pi * machine["resonance"] * elapsed)
    weights = machine["impact"] * load[:, None] * ringing
    return np.bincount(index.ravel(), weights.ravel(), minlength=samples)[:samples]

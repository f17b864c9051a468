"""A second kind of signal: the simulated vibration of machines, idle, at work, and with a worn bearing."""

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter1d

STATES = ("idle", "run", "worn bearing")
CHANNELS = ("vertical_acc", "horizontal_acc")
SPEED = {"idle": 0.7, "run": 1.0, "worn bearing": 1.0}  # of the machine's speed at work
# Amplitudes (m/s^2) at once, twice and three times the speed: unbalance, misalignment, looseness.
HARMONICS = {"idle": (0.25, 0.10, 0.05), "run": (1.0, 0.45, 0.25), "worn bearing": (1.0, 0.45, 0.25)}
NOISE = {"idle": 0.05, "run": 0.10, "worn bearing": 0.12}  # m/s^2
ELEMENTS, RATIO = 8, 0.2  # of the bearing; RATIO is d / D cos(contact angle)
INNER_RACE = ELEMENTS / 2 * (1 + RATIO)  # hits of a defect on the inner race in one turn of the shaft
IMPACT, EXTENT = 8.0, 0.4  # m/s^2 under the full load; Stribeck's epsilon, below 0.5: there is play
RESONANCE, DECAY = 110, 0.006  # Hz, s
PAUSE = 10  # s between two recordings of a machine
LOWEST_RATE = 300  # Hz; beyond its half lies no resonance of any machine


def simulate_vibration(machines=6, seconds=60, rate=400, seed=0):
    """Return the vibration of ``machines`` machines, each measured for ``seconds``, as a table of samples.

    The columns: "time" (s, from the machine's first sample, with a pause between its recordings),
    "vertical_acc" and "horizontal_acc" (m/s^2, two accelerometers on the housing of one bearing, resolution
    0.001), "state" ("idle", "run", "worn bearing": one recording each, a third of the seconds), "machine"
    (1, 2, ...). ``rate`` is in Hz. One seed gives one table.

    *Shaft.* Unbalance turns with the shaft, so it shakes the housing once a turn, and the two directions a
    quarter of a turn apart; misalignment and looseness add twice and three times the speed. The speed, 13 to
    17 turns a second by machine, less when idle, wanders by about 1 %. *Worn bearing.* The model of P. D.
    McFadden and J. D. Smith, Model for the vibration produced by a single point defect in a rolling element
    bearing, Journal of Sound and Vibration 96(1), 1984, 69-82: whenever a rolling element meets the pit on
    the inner race, 4.8 times a turn for this bearing, it strikes a blow; the blow is as strong as the load
    (Stribeck's) where the pit is at this moment, which turns with the shaft and is unloaded for more than
    half of a turn; and it rings in a resonance that decays exponentially. The elements slip a little, so the
    blows do not keep step with the shaft. Each machine has its own speed, gains, phases, resonance and pit.

    One thing is not to scale: a real housing rings at some kHz, this one near 110 Hz, so that 400 Hz carry
    it and a window of 128 samples holds about five turns.

    Raises ValueError for no machine, for recordings shorter than a second, and below 300 Hz.
    """
    if machines < 1 or seconds < len(STATES) or rate < LOWEST_RATE:
        raise ValueError(
            f"{machines} machines for {seconds} s at {rate} Hz: there must be at least one machine, "
            f"{len(STATES)} s (one for each state), and {LOWEST_RATE} Hz to carry the resonance."
        )
    rng = np.random.default_rng(seed)
    samples = int(seconds * rate / len(STATES))
    recordings = []
    for number in range(1, machines + 1):
        machine = _machine(rng)
        for order, state in enumerate(STATES):
            clock = order * (samples / rate + PAUSE) + np.arange(samples) / rate
            vibration = _recording(rng, machine, state, samples, rate).round(3)
            recordings.append(
                pd.DataFrame({"time": clock.round(6), **dict(zip(CHANNELS, vibration, strict=True))}).assign(
                    state=state, machine=number
                )
            )
    return pd.concat(recordings, ignore_index=True)


def _machine(rng):
    return {
        "speed": rng.uniform(13, 17),
        "gains": rng.uniform(0.85, 1.15, (len(CHANNELS), 3)),
        "phases": rng.uniform(-0.6, 0.6, (len(CHANNELS), 3)),
        "pit": rng.uniform(),  # where on the ring, in turns from the unbalance
        "resonance": RESONANCE * rng.uniform(0.93, 1.07),
        "impact": IMPACT * rng.uniform(0.8, 1.2),
    }


def _recording(rng, machine, state, samples, rate):
    """Return (2, samples), the vertical and the horizontal acceleration (m/s^2)."""
    speed = machine["speed"] * SPEED[state] * (1 + 0.01 * _slow(rng, samples, rate))
    turns = rng.uniform() + np.cumsum(speed) / rate
    times = np.arange(1, 4)[:, None]
    quarter = np.array([0, np.pi / 2])[:, None, None]
    angles = 2 * np.pi * times * turns - times * quarter + machine["phases"][:, :, None]
    amplitudes = machine["gains"] * HARMONICS[state]
    vibration = np.einsum("ch,cht->ct", amplitudes, np.cos(angles))
    if state == "worn bearing":
        # The sensors stand at right angles, the blows come from the loaded side, below.
        vibration += np.array([[1.0], [0.7]]) * _blows(rng, machine, turns, samples, rate)
    return vibration + NOISE[state] * rng.normal(size=vibration.shape)


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
    blows = np.zeros(samples + index.shape[1])
    np.add.at(blows, index, machine["impact"] * load[:, None] * ringing)
    return blows[:samples]


def _slow(rng, samples, rate):
    """Return noise of unit variance that changes over about a second."""
    noise = gaussian_filter1d(rng.normal(size=samples), rate / 2, mode="wrap")
    return noise * np.sqrt(2 * np.sqrt(np.pi) * rate / 2)

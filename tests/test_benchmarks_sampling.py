import json

import numpy as np
import pytest

from benchmarks import sampling
from sensegen_utils.generator import build_generator, split_mixture
from sensegen_utils.speed import make_speed_tables

TINY = {
    "units": 4,
    "layers": (1, 2),
    "series": (2, 3),
    "steps": 2,
    "least_values": 4,
    "loop_values": 3,
    "turns": 2,
    "disk_values": 300,
}


@pytest.mark.parametrize("loop", [sampling.keras_loop, sampling.tf1_loop])
def test_the_loops_run_the_model_on_their_own_values(loop):
    generator = build_generator(4, 2, batch_size=1)
    draw = loop(generator)
    drawn = draw(5, seed=3)
    assert draw(5, seed=3) == drawn  # neither keeps a state from one call to the next
    # With the same random numbers, each value comes from the mixture that the series before it leads to.
    rng = np.random.default_rng(3)
    series = np.concatenate([[rng.standard_normal()], drawn])
    parallel = build_generator(4, 2)
    parallel.set_weights(generator.get_weights())
    mixtures = split_mixture(np.asarray(parallel(series[None, :-1, None]))[0])
    for value, log_weights, means, log_sigmas in zip(drawn, *map(np.asarray, mixtures), strict=True):
        chosen = np.searchsorted(np.exp(log_weights).cumsum(), rng.random())
        expected = means[chosen] + np.exp(log_sigmas[chosen]) * rng.standard_normal()
        assert value == pytest.approx(expected, abs=1e-4)


def test_the_record_names_all_contenders_and_their_speed(tmp_path, capsys):
    path = tmp_path / "sampling.json"
    sampling.main(TINY, path)
    record = json.loads(path.read_text())
    assert record["provenance"]["profile"] == "benchmark"
    assert record["provenance"]["data"] == {"kind": "none", "sha256": None}
    names = [f"{kind}_{n}" for n in (2, 3) for kind in ("sampler", "tf_products", "numpy_products")]
    assert [(row["layers"], row["contender"]) for row in record["rows"]] == [
        (layers, name) for layers in (1, 2) for name in ["keras_loop", "tf1_loop", *names]
    ]
    for row in record["rows"]:
        assert row["values_per_s_low"] <= row["values_per_s"] <= row["values_per_s_high"]
        flop = 2 * (4 * 16 * (2 * row["layers"] - 1) + 4 * 128 + 128 * 72)
        assert row["gflop_per_s"] == pytest.approx(row["values_per_s"] * flop / 1e9)
        assert ("fraction_of_products" in row) == row["contender"].startswith("sampler")
    assert record["to_disk"]["series"] == 3 and record["to_disk"]["file_mb"] == pytest.approx(0.001664)
    assert record["to_disk"]["memory_peak_mb"] >= record["to_disk"]["memory_before_mb"] > 0
    assert len(make_speed_tables({"sampling": record})["sampling"][1]) == 8  # REPORT.md can read it
    printed = capsys.readouterr().out
    assert "2 LSTM layer(s)" in printed and "To disk: 3 windows of 128 values" in printed

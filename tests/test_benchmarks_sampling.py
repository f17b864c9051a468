import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from benchmarks import sampling
from benchmarks.tables import make_sections
from sensegen_utils.model.generator import build_generator
from sensegen_utils.model.mixture import split_mixture

TINY = {
    "units": 4,
    "layers": (1, 2),
    "series": (3,),
    "steps": 2,
    "least_values": 4,
    "loop_values": 3,
    "turns": 2,
    "first_draws": (("windows", 3, 70),),
    "draws_again": 2,
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
        expected = means[chosen, 0] + np.exp(log_sigmas[chosen, 0]) * rng.standard_normal()
        assert value == pytest.approx(expected, abs=1e-4)


def test_the_record_names_all_contenders_and_their_speed(tmp_path, capsys, monkeypatch):
    path = tmp_path / "sampling.json"
    # A thread is as good here as a new process, and does not import TensorFlow again.
    monkeypatch.setattr(sampling, "ProcessPoolExecutor", lambda *_, **options: ThreadPoolExecutor(1))
    sampling.main(TINY, path)
    record = json.loads(path.read_text())
    assert record["provenance"]["profile"] == "benchmark"
    assert record["provenance"]["data"] == {"kind": "none", "sha256": None}
    names = [f"{kind}_3" for kind in ("sampler", "tf_products", "numpy_products")]
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
    (drawn,) = record["first_draw"]
    assert drawn["what"] == "3 window(s) of 1.4 s, 6 channels"
    assert drawn["first_s"] > drawn["again_s"] > 0  # what is compiled is compiled once
    shown = make_sections({"sampling": record})["sampling"][1]
    assert [len(table) for _, table, _ in shown] == [3, 3, 1, 1]
    printed = capsys.readouterr().out
    assert "2 LSTM layer(s)" in printed and "To disk: 3 windows of 128 values" in printed


def test_a_first_draw_on_the_report_s_axis():
    drawn = sampling.first_draw("series", 2, 3, units=4, again=1)
    assert drawn["what"] == "2 series of 3 steps on the report's axis" and drawn["first_s"] > 0

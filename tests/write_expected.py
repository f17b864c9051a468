"""Write what to expect of a profile: results/expected/<profile>.json, from runs of several seeds or machines.

For maintainers, after new runs: python tests/write_expected.py full results/full [FOLDER...]
config/expected.yaml names the numbers. A count must be equal. Others differ from seed to seed, and from
processor to processor, for a long training is chaotic: they must lie in the 95 % prediction interval of a new
seed (t, mean and deviation over the seeds), or within ROUNDING of it.
"""

import json
import sys

import yaml

from sensegen_utils.files import atomic_path
from sensegen_utils.judge.checks import prediction_interval
from sensegen_utils.profiles import CONFIG
from sensegen_utils.report import expected
from sensegen_utils.report.expected import records_of, values_at
from sensegen_utils.report.records import computed_by

ROUNDING = 1e-3  # what two processors may differ by where no seed makes a difference, as README says


def write_expected(profile, folders):
    """Write what to expect of a profile, from results folders of it, of other seeds or machines each.

    Raises ValueError if a count differs between them.
    """
    numbers, machines = [], set()
    for name, record, way in yaml.safe_load((CONFIG / "expected.yaml").read_text("utf-8")):
        records = [found for folder in folders for found in records_of(folder, record)]
        values = [value for each in records for value in values_at(each, way)]
        if not values:  # this profile leaves it out
            continue
        machines |= {computed_by(each)["machine"]["processor"] for each in records}
        low, high = prediction_interval(values)
        if all(isinstance(value, int) for value in values):
            low, high = min(values), max(values)
            if low < high:
                raise ValueError(f"{name}: the folders count {low} and {high}")
        elif low is not None:
            low, high = low - ROUNDING, high + ROUNDING
        what = {"number": name, "record": record, "way": way}
        numbers.append(what | {"low": low, "high": high, "values": values})
    content = {"processors": sorted(machines), "numbers": numbers}
    with atomic_path(expected.EXPECTED / f"{profile}.json") as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")
    return expected.EXPECTED / f"{profile}.json"


if __name__ == "__main__":
    print(write_expected(sys.argv[1], sys.argv[2:]))

"""How long it takes from the archive to arrays, and from its cache: `python -m benchmarks.reading`."""

import functools
import statistics
import tempfile
from pathlib import Path

from benchmarks.timing import seconds_of
from sensegen_utils import har, paths
from sensegen_utils.records import save_record, start_record

REPEATS = 5


def main():
    """Measure, print, and write results/benchmarks/reading.json."""
    archive, record_path = har.find_archive(), paths.ROOT / "results/benchmarks/reading.json"
    if archive is None:
        raise SystemExit("no archive: set $SENSEGEN_HAR_ARCHIVE, or put it into data/")
    record = start_record("benchmarks.reading", "benchmark", 0, har.load_har(archive))
    from_archive, from_cache, load = [], [], functools.partial(har.load_har, archive)
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as folder:
            paths.DATA = Path(folder)  # an empty cache
            from_archive.append(seconds_of(load))
            from_cache.append(seconds_of(load))
    rows = [
        {"what": what, "median_s": statistics.median(seconds), "low_s": min(seconds), "high_s": max(seconds)}
        for what, seconds in (("archive to arrays", from_archive), ("cache to arrays", from_cache))
    ]
    for row in rows:
        print("{what}: {median_s:.2f} s ({low_s:.2f} to {high_s:.2f})".format(**row))
    save_record(record | {"rows": rows}, record_path)


if __name__ == "__main__":
    main()

"""How long it takes from the archive to arrays, and from its cache: `python -m benchmarks.reading`."""

import functools
import statistics
import tempfile
from pathlib import Path

from benchmarks.records import FOLDER, begin_record
from benchmarks.timing import seconds_of
from sensegen_utils import files
from sensegen_utils.data.uci_har import find_archive, load_har
from sensegen_utils.report.records import save_record

RECORD = FOLDER / "reading.json"
REPEATS = 5


def main():
    """Measure, print, and write results/benchmarks/reading.json."""
    archive = find_archive()
    if archive is None:
        raise SystemExit("no archive: set $SENSEGEN_HAR_ARCHIVE, or put it into data/")
    record = begin_record("reading", load_har(archive))
    from_archive, from_cache, load = [], [], functools.partial(load_har, archive)
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as folder:
            files.DATA = Path(folder)  # an empty cache
            from_archive.append(seconds_of(load))
            from_cache.append(seconds_of(load))
    rows = [
        {"what": what, "median_s": statistics.median(seconds), "low_s": min(seconds), "high_s": max(seconds)}
        for what, seconds in (("archive to arrays", from_archive), ("cache to arrays", from_cache))
    ]
    for row in rows:
        print("{what}: {median_s:.2f} s ({low_s:.2f} to {high_s:.2f})".format(**row))
    save_record(record | {"rows": rows}, RECORD)


if __name__ == "__main__":
    main()

"""The UCI HAR archive: find it, download it, read it, check it, keep it in one fast file.

Source: D. Anguita et al., A Public Domain Dataset for Human Activity Recognition Using Smartphones, ESANN
2013; UCI archive 240, CC BY 4.0. A list of the sha256 of its files stands beside this module.
"""

import hashlib
import io
import json
import os
import tempfile
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from sensegen_utils import paths
from sensegen_utils.download import ArchiveError, download
from sensegen_utils.records import atomic_path
from sensegen_utils.series import continues, neighbours

FOLDER = "UCI HAR Dataset"
SIGNALS = tuple(f"{kind}_{axis}" for kind in ("body_acc", "body_gyro", "total_acc") for axis in "xyz")
UNITS = {signal: "rad/s" if "gyro" in signal else "g" for signal in SIGNALS}
LIMITS = {"g": 20, "rad/s": 50}  # generous: no phone of 2012 measured beyond them
ACTIVITIES = {
    1: "WALKING",
    2: "WALKING_UPSTAIRS",
    3: "WALKING_DOWNSTAIRS",
    4: "SITTING",
    5: "STANDING",
    6: "LAYING",
}
PARTS = {"train": (7352, 21), "test": (2947, 9)}  # windows, volunteers
WINDOW = 128  # samples, 2.56 s at 50 Hz
_SUMS = Path(__file__).with_name("uci_har_sha256.txt").read_text("utf-8")
EXPECTED = dict(reversed(line.split("  ")) for line in _SUMS.splitlines())  # name: sha256
SIMULATED_MARKER = "THESE DATA ARE SIMULATED: no volunteer was measured."
SIMULATED_NAME = "simulated-har.zip"


def check_signal(name):
    """Return ``name``; raise ValueError, which lists the nine signals, if there is no such signal."""
    if name not in SIGNALS:
        raise ValueError(f"Unknown signal {name!r}. The archive has these nine: {', '.join(SIGNALS)}.")
    return name


def load_har(archive=None):
    """Read the UCI HAR windows from ``archive`` (zip or folder), or from what ``find_archive`` finds.

    Returns a dict: "kind" ("official": every file has the known sha256; "unverified": valid values, other
    bytes; "simulated"), "differs" (the first file that is not the official one, or None), "sha256" (over the
    sorted ``sha256  name`` lines of the archive's 26 files), "train" and "test", each with "signals" ({name:
    (windows, 128) float32, in ``UNITS``, at 50 Hz}), "activity" and "subject" ((windows,) int16). Without an
    archive and a network the data are simulated, and it says so.

    The values are kept in one file in ``data/``, which is used as long as the archive does not change.
    Raises ArchiveError.
    """
    archive = Path(archive) if archive else find_archive()
    if archive is not None:
        return _load(archive)
    from sensegen_utils.simulate import simulate_har  # here, since it writes the layout defined above

    path = paths.DATA / SIMULATED_NAME
    try:
        if not path.exists():
            paths.DATA.mkdir(parents=True, exist_ok=True)
            simulate_har(path)
    except OSError:
        with tempfile.TemporaryDirectory() as folder:
            return _load(simulate_har(Path(folder) / SIMULATED_NAME))
    return _load(path)


def find_archive():
    """Return the path of the archive (zip or extracted folder), or None if none is here and none can be had.

    Looks at ``$SENSEGEN_HAR_ARCHIVE``, then into ``data/``, then downloads. Raises ArchiveError if the
    variable names nothing that exists.
    """
    if given := os.environ.get("SENSEGEN_HAR_ARCHIVE"):
        if not Path(given).exists():
            raise ArchiveError(
                f"$SENSEGEN_HAR_ARCHIVE names {given}, which does not exist. Correct it, or unset it to "
                f"use the archive in {paths.DATA} or download it there."
            )
        return Path(given)
    # A name with a dot in front is a file that another process is still writing.
    zips = [path for path in sorted(paths.DATA.glob("*.zip")) if not path.name.startswith(".")]
    cached = [path for path in zips if path.name != SIMULATED_NAME]
    if (paths.DATA / FOLDER).is_dir():
        cached.append(paths.DATA / FOLDER)
    if cached:
        return cached[0]
    try:
        paths.DATA.mkdir(parents=True, exist_ok=True)
        return download(paths.DATA / f"{FOLDER}.zip")
    except (OSError, ArchiveError) as error:
        print(error)
        return None


def validate(har):
    """Check what ``load_har`` returns; raise ArchiveError, naming file and line, if a value cannot be right.

    Returns for each part the number of windows, of subjects, of neighbouring windows of one subject and
    activity, and how many of these pairs share half a window exactly.
    """
    report = {}
    for name, (windows, subjects) in PARTS.items():
        part, found = har[name], len(np.unique(har[name]["subject"]))
        if har["kind"] == "simulated":
            windows, subjects = len(part["activity"]), found
        _check_part(name, part, windows)
        if found != subjects:
            _fail(f"{name}/subject_{name}.txt", f"{found} subjects instead of {subjects}.")
        pairs, shared = int(neighbours(part).sum()), int(continues(part).sum())
        if shared < 0.9 * pairs:
            _fail(
                f"{name}/Inertial Signals",
                f"only {shared} of {pairs} pairs of neighbouring windows overlap by half; the windows are "
                "not in the archive's order, or not of one recording.",
            )
        report[name] = {"windows": windows, "subjects": found, "neighbours": pairs, "overlapping": shared}
    if both := set(har["train"]["subject"].tolist()) & set(har["test"]["subject"].tolist()):
        _fail("test/subject_test.txt", f"subjects {sorted(both)} are in the training part, too.")
    return report


def _fail(file, what):
    raise ArchiveError(
        f"{file}: {what} If the archive lies in {paths.DATA}, delete it and run again to download it; "
        "otherwise check the archive that $SENSEGEN_HAR_ARCHIVE names."
    )


def _check_part(name, part, windows):
    files = {signal: f"{name}/Inertial Signals/{signal}_{name}.txt" for signal in SIGNALS}
    for signal, file in files.items():
        if signal not in part["signals"]:
            _fail(file, "the file is missing.")
        values = part["signals"][signal]
        if values.shape != (windows, WINDOW):
            _fail(file, f"shape {values.shape} instead of {(windows, WINDOW)}.")
        _check_lines(file, np.isfinite(values).all(axis=1), "holds a value that is not finite")
    for field, file, last in (
        ("activity", f"{name}/y_{name}.txt", 6),
        ("subject", f"{name}/subject_{name}.txt", 30),
    ):
        if part[field].shape != (windows,):
            _fail(file, f"{len(part[field])} lines instead of {windows}.")
        _check_lines(file, np.isin(part[field], range(1, last + 1)), f"is not a number from 1 to {last}")
    norm = np.sqrt(sum(part["signals"][f"total_acc_{axis}"].astype(float) ** 2 for axis in "xyz")).mean()
    if not 0.8 < norm < 1.2:
        _fail(
            f"{name}/Inertial Signals/total_acc_*", f"mean norm {norm:.3g} g, not about 1 g: is it in m/s^2?"
        )
    for signal, file in files.items():
        limit = LIMITS[UNITS[signal]]
        inside = (np.abs(part["signals"][signal]) <= limit).all(axis=1)
        _check_lines(file, inside, f"holds a value beyond {limit} {UNITS[signal]}")


def _check_lines(file, good, what):
    if not good.all():
        _fail(file, f"line {np.argmin(good) + 1} {what}.")


def _load(archive):
    # Before the values are read: a file that changes meanwhile makes the cache stale, not wrong.
    stamp = _stamp(archive)
    har = _read_cache(archive, stamp)
    if har is None:
        try:
            har = _read_archive(archive)
            validate(har)
        except ArchiveError as error:
            raise ArchiveError(f"{archive}: {error}") from error
        _write_cache(archive, stamp, har)
    if har["kind"] == "unverified":
        print(
            f"WARNING: {archive.name} is not the official archive; the first other file is {har['differs']}."
        )
    if har["kind"] == "simulated":
        print(f"*** SIMULATED DATA ({archive.name}): no volunteer was measured, these are no results.")
        if archive.name == SIMULATED_NAME:
            print(f"*** No archive was found in {paths.DATA.name}/, and none could be downloaded.")
        print(f"*** Put '{FOLDER}.zip' into {paths.DATA.name}/, or let $SENSEGEN_HAR_ARCHIVE name it.")
    return har


def _files(folder):
    folder = folder / FOLDER if (folder / FOLDER).is_dir() else folder
    return {name: folder / name.removeprefix(f"{FOLDER}/") for name in EXPECTED}


@contextmanager
def _reader(archive):
    if archive.is_dir():
        files = _files(archive)
        yield lambda name: files[name].read_bytes()
        return
    with zipfile.ZipFile(archive) as outer:
        if f"{FOLDER}.zip" in outer.namelist():  # the official download is a zip that holds the zip
            with zipfile.ZipFile(io.BytesIO(outer.read(f"{FOLDER}.zip"))) as inner:
                yield inner.read
        else:
            yield outer.read


def _read_archive(archive):
    har, sums = {"kind": "official", "train": {"signals": {}}, "test": {"signals": {}}}, {}
    for name, content in _contents(archive):
        sums[name] = hashlib.sha256(content).hexdigest()
        field, _, part = Path(name).stem.rpartition("_")
        if part in PARTS and field in SIGNALS:
            har[part]["signals"][field] = _parse(name, content, WINDOW, np.float32)
        elif part in PARTS:
            har[part]["activity" if field == "y" else field] = _parse(name, content, 1, np.int16)[:, 0]
        elif name == f"{FOLDER}/README.txt" and SIMULATED_MARKER.encode() in content:
            har["kind"] = "simulated"
    differs = next((name for name in EXPECTED if sums[name] != EXPECTED[name]), None)
    if differs and har["kind"] == "official":
        har["kind"] = "unverified"
    return har | {"differs": differs, "sha256": _fingerprint(sums)}


def _contents(archive):
    name = archive.name
    try:
        with _reader(archive) as read:
            for name in EXPECTED:
                content = read(name)
                yield name, content
    except (KeyError, FileNotFoundError):
        _fail(name, "the file is missing.")
    except Exception as error:  # damaged zips raise a dozen kinds
        _fail(name, f"cannot be read, the archive is damaged ({error}).")


def _parse(name, content, columns, dtype):
    if content.strip():
        try:
            table = np.loadtxt(io.BytesIO(content), dtype=dtype, comments=None, ndmin=2)
            if table.shape[1] == columns:
                return table
            error = f"{table.shape[1]} columns instead of {columns}"
        except ValueError as refused:
            error = refused
    else:
        error = "it is empty"
    _fail(name, f"cannot be read, {_first_bad_line(content, columns, dtype) or error}.")


def _first_bad_line(content, columns, dtype):
    for number, line in enumerate(content.decode("latin-1").splitlines(), 1):
        fields = line.split()
        if len(fields) != columns:
            return f"line {number} has {len(fields)} fields instead of {columns}"
        for field in fields:
            try:
                dtype(field)
            except (ValueError, OverflowError):
                return f"line {number} holds {field!r}"


def _fingerprint(sums):
    lines = sorted(f"{digest}  {name}\n" for name, digest in sums.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _stamp(archive):
    files = _files(archive).values() if archive.is_dir() else [archive]
    stats = [file.stat() if file.exists() else None for file in files]
    return [[stat.st_size, stat.st_mtime_ns] if stat else None for stat in stats]


def _index():
    return paths.DATA / "har-index.json"


def _cache(fingerprint):
    return paths.DATA / f"har-{fingerprint[:12]}.npz"


def _read_cache(archive, stamp):
    try:
        entry = json.loads(_index().read_text("utf-8"))[str(archive.resolve())]
        if entry["stamp"] != stamp:
            return None
        har = {key: entry[key] for key in ("kind", "differs", "sha256")}
        with np.load(_cache(har["sha256"])) as stored:
            for name in PARTS:
                signals = dict(zip(SIGNALS, stored[f"{name}_signals"], strict=True))
                labels = {field: stored[f"{name}_{field}"] for field in ("activity", "subject")}
                har[name] = {"signals": signals, **labels}
        return har
    except Exception:  # whatever is wrong with a cache, the archive itself is there to be read
        return None


def _write_cache(archive, stamp, har):
    arrays = {}
    for name in PARTS:
        arrays[f"{name}_signals"] = np.stack([har[name]["signals"][signal] for signal in SIGNALS])
        arrays |= {f"{name}_{field}": har[name][field] for field in ("activity", "subject")}
    entry = {"stamp": stamp} | {key: har[key] for key in ("kind", "differs", "sha256")}
    try:
        paths.DATA.mkdir(parents=True, exist_ok=True)
        with atomic_path(_cache(har["sha256"])) as temporary:
            np.savez_compressed(temporary, **arrays)
        try:
            entries = dict(json.loads(_index().read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            entries = {}
        with atomic_path(_index()) as temporary:
            temporary.write_text(json.dumps(entries | {str(archive.resolve()): entry}, indent=1), "utf-8")
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        print(f"No cache in {paths.DATA.name}/ ({reason}): the archive is read anew each time.")

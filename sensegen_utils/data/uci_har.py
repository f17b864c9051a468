"""The UCI HAR archive (see `layout`): find it, download it, read it, check it, keep it in one fast file."""

import contextlib
import hashlib
import http.client
import io
import json
import os
import re
import shutil
import tempfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
from tqdm import tqdm

from sensegen_utils import files
from sensegen_utils.data import layout
from sensegen_utils.data.recordings import continues, neighbours
from sensegen_utils.data.simulated import simulate_har

if os.name == "posix":  # elsewhere two downloads at the same time spoil each other, and both say so
    import fcntl

URLS = (
    "https://archive.ics.uci.edu/static/public/240/human+activity+recognition+using+smartphones.zip",
    "https://archive.ics.uci.edu/ml/machine-learning-databases/00240/UCI%20HAR%20Dataset.zip",
)
TIMEOUT = 10  # seconds without a byte from the server
LABELS = ("activity", "subject")


class ArchiveError(RuntimeError):
    """The archive is missing, damaged or not what it should be; the text names the file and the next step."""


def load_har(archive=None):
    """Read the UCI HAR windows from ``archive`` (zip or folder), or from what ``find_archive`` finds.

    Returns a dict: "kind" ("official": every file has the known sha256; "unverified": valid values, other
    bytes; "simulated"), "differs" (the first file that is not the official one, or None), "sha256" (over the
    sorted ``sha256  name`` lines of the archive's 26 files), "train" and "test", each with "signals" ({name:
    (windows, 128) float32, in `layout.UNITS`, at 50 Hz}), "activity" and "subject" ((windows,) int16).
    Without an archive and a network the data are simulated, and it says so. A file in ``data/`` keeps the
    values until the archive changes. Raises ArchiveError.
    """
    if archive := archive or find_archive():
        return _load(Path(archive))
    path = files.DATA / layout.SIMULATED_NAME
    try:
        return _load(path if path.exists() else simulate_har(path))
    except OSError:
        with tempfile.TemporaryDirectory() as folder:
            return _load(simulate_har(Path(folder) / layout.SIMULATED_NAME))


def find_archive():
    """Return the path of the archive (zip or extracted folder), or None if none is here and none can be had.

    Looks where `archive_at_hand` looks, then downloads. Raises ArchiveError as it does.
    """
    if found := archive_at_hand():
        return found
    try:
        return download(files.DATA / f"{layout.FOLDER}.zip")
    except (OSError, ArchiveError) as error:
        print(error)
        return None


def archive_at_hand():
    """Return the path of the archive (zip or extracted folder) without a download, or None.

    Looks at ``$SENSEGEN_HAR_ARCHIVE``, then into ``data/``. Raises ArchiveError if the variable names nothing
    that exists.
    """
    if given := os.environ.get("SENSEGEN_HAR_ARCHIVE"):
        if Path(given).exists():
            return Path(given)
        said = f"$SENSEGEN_HAR_ARCHIVE names {given}, which does not exist. Correct it, or unset it to use"
        raise ArchiveError(f"{said} the archive in {files.DATA} or download it there.")
    # A name with a dot in front is a file that another process is still writing.
    for path in [*sorted(files.DATA.glob("[!.]*.zip")), files.DATA / layout.FOLDER]:
        if path.exists() and path.name != layout.SIMULATED_NAME:
            return path
    return None


def validate(har):
    """Check what ``load_har`` returns; raise ArchiveError, naming file and line, if a value cannot be right.

    Returns for each part the number of windows, of subjects, of neighbouring windows of one subject and
    activity, and how many of these pairs share half a window exactly.
    """
    report = {}
    for name, (windows, subjects) in layout.PARTS.items():
        part, found = har[name], len(np.unique(har[name]["subject"]))
        if har["kind"] == "simulated":
            windows, subjects = len(part["activity"]), found
        _check_values(name, part, windows)
        if found != subjects:
            _fail(f"{name}/subject_{name}.txt", f"{found} subjects instead of {subjects}.")
        pairs, shared = int(neighbours(part).sum()), int(continues(part).sum())
        if shared < 0.9 * pairs:
            said = f"only {shared} of {pairs} neighbours overlap by half"
            _fail(f"{name}/Inertial Signals", f"{said}; they are not in the archive's order.")
        report[name] = {"windows": windows, "subjects": found, "neighbours": pairs, "overlapping": shared}
    if both := set(har["train"]["subject"].tolist()) & set(har["test"]["subject"].tolist()):
        _fail("test/subject_test.txt", f"subjects {sorted(both)} are in the training part, too.")
    return report


def _arrays(part):
    return part["signals"] | {field: part[field] for field in LABELS}


def _check_values(name, part, windows):
    def check(field, good, what):
        good = good.reshape(windows, -1).all(axis=1)
        if not good.all():
            _fail(paths[field], f"line {good.argmin() + 1} holds a value that is not {what}.")

    paths = {signal: f"{name}/Inertial Signals/{signal}_{name}.txt" for signal in layout.SIGNALS}
    paths |= {"activity": f"{name}/y_{name}.txt", "subject": f"{name}/subject_{name}.txt"}
    arrays = _arrays(part)
    for field, path in paths.items():
        shape = (windows,) if field in LABELS else (windows, layout.WINDOW)
        if field not in arrays:
            _fail(path, "the file is missing.")
        if arrays[field].shape != shape:
            _fail(path, f"shape {arrays[field].shape} instead of {shape}.")
        check(field, np.isfinite(arrays[field]), "finite")
    norm = np.sqrt(sum(arrays[f"total_acc_{axis}"].astype(float) ** 2 for axis in "xyz")).mean()
    if not 0.8 < norm < 1.2:
        _fail(f"{name}/Inertial Signals/total_acc_*", f"mean norm {norm:.3g} g, not about 1 g: in m/s^2?")
    ranges = {signal: (*layout.LIMITS[unit], f" {unit}") for signal, unit in layout.UNITS.items()}
    ranges |= {"activity": (1, 6, ""), "subject": (1, 30, "")}
    for field, (low, high, unit) in ranges.items():
        check(field, (arrays[field] >= low) & (arrays[field] <= high), f"from {low} to {high}{unit}")


def _fail(file, what):
    said = f"{file}: {what} If the archive lies in {files.DATA}, delete it and run again to download it"
    raise ArchiveError(f"{said}; otherwise check the archive that $SENSEGEN_HAR_ARCHIVE names.")


def download(destination, urls=URLS):
    """Download the archive to ``destination`` from the first of ``urls`` that serves it; return the path.

    A broken download is continued, also by a later call. If another process is downloading, wait for it; if
    ``destination`` is there, leave it. Raises ArchiveError, which tells what happened at each address.
    """
    destination, failures = Path(destination), []
    destination.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as alone:
        if os.name == "posix":
            folder = os.open(destination.parent, os.O_RDONLY)
            alone.callback(os.close, folder)
            with contextlib.suppress(OSError):  # NFS locks no folder: better two downloads than none
                fcntl.flock(folder, fcntl.LOCK_EX)
        if destination.exists():
            return destination
        for number, url in enumerate(urls):
            # A partial file for each address: one serves the zip, the other a zip that holds it.
            part = destination.with_name(f"{destination.name}.{number}.part")
            try:
                while _fetch(url, part):
                    pass
                _check_zip(part)
                return part.replace(destination)
            except (OSError, http.client.HTTPException, ArchiveError) as error:
                failures.append(f"\n  {url}: {error}")
    said = f"The archive could not be downloaded:{''.join(failures)}\nRun again to continue"
    raise ArchiveError(f"{said}, or download it in a browser and put the zip into {destination.parent}.")


def _fetch(url, part):
    """Fetch what the partial file lacks; return whether to go on: it broke off, but later than before."""
    before = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={before}-"} if before else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            start = before if response.status == 206 else 0
            length = response.headers["Content-Length"]
            total = start + int(length) if length else None
            bar = {"total": total, "initial": start, "desc": "UCI HAR"}
            with part.open("ab" if start else "wb") as file, tqdm.wrapattr(file, "write", **bar) as counted:
                shutil.copyfileobj(response, counted, 1 << 18)
        if total is not None and part.stat().st_size != total:
            raise ConnectionError(f"the connection broke off at {part.stat().st_size:,} of {total:,} bytes")
        return False
    except (OSError, http.client.HTTPException) as error:
        complete = before and isinstance(error, urllib.error.HTTPError) and error.code == 416
        if not complete and (not part.exists() or part.stat().st_size <= before):
            raise
        return not complete


def _check_zip(part):
    try:
        with zipfile.ZipFile(part) as downloaded:
            damaged = downloaded.testzip()
    except Exception as error:  # damaged zips raise a dozen kinds
        damaged = error
    if damaged:
        part.unlink(missing_ok=True)
        raise ArchiveError(f"what came is no readable zip ({damaged}); the partial file is deleted")


def _load(archive):
    # Before the values are read: a file that changes meanwhile makes the cache stale, not wrong.
    cache, stamp = _cache(archive)
    har = _read_cache(cache, stamp)
    if har is None:
        try:
            validate(har := _read_archive(archive))
        except ArchiveError as error:
            raise ArchiveError(f"{archive}: {error}") from error
        _write_cache(cache, stamp, har)
    name, folder = archive.name, files.DATA.name
    if har["kind"] == "unverified":
        print(f"WARNING: {name} is not the official archive; the first other file is {har['differs']}.")
    elif har["kind"] == "simulated":
        print(f"*** SIMULATED DATA ({name}): no volunteer was measured, these are no results.")
        if name == layout.SIMULATED_NAME:
            print(f"*** No archive was found in {folder}/, and none could be downloaded.")
        print(f"*** Put '{layout.FOLDER}.zip' into {folder}/, or let $SENSEGEN_HAR_ARCHIVE name it.")
    return har


def _files_of(archive):
    """Return {name: path} of the archive's files in a folder, a zip, or a zip in a zip, as UCI serves it."""
    root = archive if archive.is_dir() else zipfile.Path(archive)
    if root != archive and (inner := root / f"{layout.FOLDER}.zip").exists():
        root = zipfile.Path(io.BytesIO(inner.read_bytes()))
    root = root / layout.FOLDER if (root / layout.FOLDER).is_dir() else root
    return {name: root / name.removeprefix(f"{layout.FOLDER}/") for name in layout.EXPECTED}


def _contents(archive):
    name = archive.name
    try:
        for name, path in _files_of(archive).items():
            yield name, path.read_bytes()
    except (KeyError, FileNotFoundError):
        _fail(name, "the file is missing.")
    except Exception as error:  # damaged zips raise a dozen kinds
        _fail(name, f"cannot be read, the archive is damaged ({error}).")


def _read_archive(archive):
    har, sums = {"kind": "official", "train": {"signals": {}}, "test": {"signals": {}}}, {}
    for name, content in _contents(archive):
        sums[name] = hashlib.sha256(content).hexdigest()
        field, _, part = Path(name).stem.rpartition("_")
        if part in layout.PARTS and field in layout.SIGNALS:
            har[part]["signals"][field] = _parse(name, content, layout.WINDOW, np.float32)
        elif part in layout.PARTS:
            har[part]["activity" if field == "y" else field] = _parse(name, content, 1, np.int16)[:, 0]
        elif name == f"{layout.FOLDER}/README.txt" and layout.SIMULATED_MARKER.encode() in content:
            har["kind"] = "simulated"
    differs = next((name for name in sums if sums[name] != layout.EXPECTED[name]), None)
    if differs and har["kind"] == "official":
        har["kind"] = "unverified"
    lines = sorted(f"{digest}  {name}\n" for name, digest in sums.items())
    return har | {"differs": differs, "sha256": hashlib.sha256("".join(lines).encode()).hexdigest()}


def _parse(name, content, columns, dtype):
    if not content.strip():
        _fail(name, "it is empty.")
    try:
        table, error = np.loadtxt(io.BytesIO(content), dtype, comments=None, ndmin=2), "it has other columns."
        if table.shape[1] == columns:
            return table
    except ValueError as refused:  # NumPy counts lines from 0
        error = re.sub(r"row (\d+)", lambda row: f"line {int(row[1]) + 1}", str(refused))
    for number, line in enumerate(content.splitlines(), 1):
        if len(line.split()) != columns:
            _fail(name, f"line {number} has {len(line.split())} fields instead of {columns}.")
    _fail(name, error)


def _cache(archive):
    """Return the file for the archive's values, and what tells whether the archive has changed since."""
    paths = _files_of(archive).values() if archive.is_dir() else [archive]
    stamp = [[path.stat().st_size, path.stat().st_mtime_ns] if path.exists() else None for path in paths]
    key = hashlib.sha256(str(archive.resolve()).encode()).hexdigest()[:12]
    return files.DATA / f"har-{key}.npz", stamp


def _read_cache(cache, stamp):
    # Whatever is wrong with a cache, the archive itself is there to be read.
    with contextlib.suppress(Exception), np.load(cache) as stored:
        har = json.loads(str(stored["about"]))
        for part in layout.PARTS:
            signals = {name: stored[f"{part}_{name}"] for name in layout.SIGNALS}
            har[part] = {"signals": signals} | {field: stored[f"{part}_{field}"] for field in LABELS}
        return har if har.pop("stamp") == stamp else None


def _write_cache(cache, stamp, har):
    about = {"stamp": stamp} | {key: har[key] for key in ("kind", "differs", "sha256")}
    arrays = {f"{part}_{name}": it for part in layout.PARTS for name, it in _arrays(har[part]).items()}
    try:
        with files.atomic_path(cache) as temporary:
            np.savez_compressed(temporary, about=json.dumps(about), **arrays)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        print(f"No cache in {files.DATA.name}/ ({reason}): the archive is read anew each time.")

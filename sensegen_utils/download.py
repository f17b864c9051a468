"""Download the UCI HAR archive, resuming what broke off."""

import http.client
import os
import urllib.error
import urllib.request
import zipfile
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

try:
    import fcntl
except ImportError:  # Windows; two downloads at the same time then spoil each other, and both say so
    fcntl = None

URLS = (
    "https://archive.ics.uci.edu/static/public/240/human+activity+recognition+using+smartphones.zip",
    "https://archive.ics.uci.edu/ml/machine-learning-databases/00240/UCI%20HAR%20Dataset.zip",
)
TIMEOUT = 10  # seconds without a byte from the server


class ArchiveError(RuntimeError):
    """The archive is missing, damaged or not what it should be; the text names the file and the next step."""


def download(destination, urls=URLS):
    """Download the archive to ``destination`` from the first of ``urls`` that serves it; return the path.

    A broken download is continued, also by a later call. If another process is downloading, wait for it; if
    ``destination`` is there, leave it. Raises ArchiveError, which tells what happened at each address.
    """
    destination, failures = Path(destination), []
    with _alone_in(destination.parent):
        if destination.exists():
            return destination
        for number, url in enumerate(urls):
            # A partial file for each address: one serves the zip, the other a zip that holds it.
            part = destination.with_name(f"{destination.name}.{number}.part")
            try:
                _fetch(url, part)
                _check_zip(part)
                return part.replace(destination)
            except (OSError, http.client.HTTPException, ArchiveError) as error:
                failures.append(f"\n  {url}: {error}")
    raise ArchiveError(
        f"The archive could not be downloaded:{''.join(failures)}\nRun again to continue, or download it in "
        f"a browser and put the zip into {destination.parent}."
    )


@contextmanager
def _alone_in(folder):
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _fetch(url, part):
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            return _fetch_rest(url, part, before)
        except (OSError, http.client.HTTPException):
            if not part.exists() or part.stat().st_size <= before:
                raise  # it got no further than the attempt before


def _fetch_rest(url, part, before):
    request = urllib.request.Request(url, headers={"Range": f"bytes={before}-"} if before else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and before:
            return  # nothing is left to fetch
        raise
    with response:
        start = before if response.status == 206 else 0
        length = response.headers["Content-Length"]
        total = start + int(length) if length else None
        with (
            part.open("ab" if start else "wb") as file,
            tqdm(total=total, initial=start, unit="B", unit_scale=True, desc="UCI HAR") as bar,
        ):
            while chunk := response.read(1 << 18):
                file.write(chunk)
                bar.update(len(chunk))
            if total is not None and file.tell() != total:
                raise ConnectionError(f"the connection broke off at {file.tell():,} of {total:,} bytes")


def _check_zip(part):
    try:
        with zipfile.ZipFile(part) as downloaded:
            damaged = downloaded.testzip()
    except Exception as error:  # damaged zips raise a dozen kinds
        damaged = error
    if damaged:
        part.unlink(missing_ok=True)
        raise ArchiveError(f"what came is no readable zip ({damaged}); the partial file is deleted")

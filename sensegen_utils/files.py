"""Where files are, and how they are written: a run that is killed never leaves half a file behind."""

import contextlib
import hashlib
import json
import os
from pathlib import Path

import numpy as np

# SENSEGEN_ROOT lets tests run the real notebooks against a scratch folder.
ROOT = Path(os.environ.get("SENSEGEN_ROOT") or Path(__file__).resolve().parents[1])
DATA = ROOT / "data"


@contextlib.contextmanager
def atomic_path(path):
    """Create the folder and yield a temporary path beside ``path``, which is moved there on success.

    So no reader sees half a file. Raises OSError, naming ``path`` and the next step, if the disk is full or
    read-only; what was there before stays.
    """
    path = Path(path).expanduser()
    # The process id keeps parallel notebooks apart. The suffix stays, because writers choose formats by it.
    temporary = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        said = f"could not write {path} ({error.strerror or error}). Free some space or make the folder"
        advice = "writable, then run the same command again: it continues from the last checkpoint"
        raise OSError(error.errno, f"{said} {advice}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def results_dir(profile, data_kind):
    """Return the folder of a profile's results; simulated data never share a folder with real data.

    The folder is created here, so that an unwritable disk is found before any training. Raises OSError.
    """
    folder = ROOT / "results" / (f"simulated-{profile}" if data_kind == "simulated" else profile)
    probe = folder / "records" / ".writable"
    with atomic_path(probe) as temporary:
        temporary.write_text("")
    probe.unlink(missing_ok=True)  # another notebook may have removed it first
    return folder


def save_samples(path, **arrays):
    """Write generated arrays as a compressed npz, in one move."""
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **arrays)


def save_rows(rows, path):
    """Write the rows, dicts of numbers, that a long run has so far: its rounds, or its seeds."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(rows, default=float))


def rows_path(folder, name, settings, kind="rows"):
    """Return the file of an unfinished run's rows: its own for each settings, as other rows are of no use."""
    digest = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:12]
    return Path(folder) / "checkpoints" / f"{name}-{digest}-{kind}.json"


def load_rows(path):
    """Read what `save_rows` wrote; an empty list if the run was stopped before its first row."""
    return json.loads(Path(path).read_text()) if Path(path).exists() else []

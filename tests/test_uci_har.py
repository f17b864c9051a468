import http.server
import io
import multiprocessing
import os
import shutil
import threading
import urllib.request
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sensegen_utils import files
from sensegen_utils.data import layout, uci_har
from sensegen_utils.data.simulated import simulate_har
from sensegen_utils.data.uci_har import ArchiveError, load_har

REAL = os.environ.get("SENSEGEN_HAR_ARCHIVE")  # before the fixture below unsets it
SIGNAL = "UCI HAR Dataset/train/Inertial Signals/total_acc_y_train.txt"


@pytest.fixture(scope="session")
def simulated_archive(tmp_path_factory):
    # Smaller than the one of the other tests, since it is read some fifty times.
    folder = tmp_path_factory.mktemp("small")
    return simulate_har(folder / "har.zip", train_subjects=2, test_subjects=1, repeats=1)


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "DATA", tmp_path / "data")
    monkeypatch.delenv("SENSEGEN_HAR_ARCHIVE", raising=False)
    return tmp_path / "data"


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **options):
        raise OSError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


@pytest.fixture(scope="session")
def loaded(simulated_archive, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "DATA", tmp_path_factory.mktemp("loaded"))
        return load_har(simulated_archive)


@pytest.fixture
def valid(loaded):
    return {
        key: value
        if key not in ("train", "test")
        else {
            "signals": {name: windows.copy() for name, windows in value["signals"].items()},
            "activity": value["activity"].copy(),
            "subject": value["subject"].copy(),
        }
        for key, value in loaded.items()
    }


def changed(archive, target, changes):
    """A copy of the zip with some members replaced (bytes or function of bytes) or left out (None)."""
    with (
        zipfile.ZipFile(archive) as old,
        zipfile.ZipFile(target, "w") as new,  # not packed, which takes longer than to read it
    ):
        for name in old.namelist():
            content = old.read(name)
            change = changes.get(name, content)
            if change is not None:
                new.writestr(name, change(content) if callable(change) else change)
    return target


def same(one, other):
    return (
        one["kind"] == other["kind"]
        and one["sha256"] == other["sha256"]
        and all(
            np.array_equal(one[part]["signals"][name], other[part]["signals"][name])
            for part in ("train", "test")
            for name in layout.SIGNALS
        )
        and all(
            np.array_equal(one[part][field], other[part][field])
            for part in ("train", "test")
            for field in ("activity", "subject")
        )
    )


def never_parse(monkeypatch):
    monkeypatch.setattr(uci_har, "_read_archive", lambda archive: pytest.fail("the archive was read again"))


# Reading


def test_shapes_types_and_values(loaded, simulated_archive):
    train = loaded["train"]
    windows = len(train["activity"])
    assert tuple(train["signals"]) == layout.SIGNALS
    assert {(v.shape, v.dtype.name) for v in train["signals"].values()} == {((windows, 128), "float32")}
    assert train["subject"].shape == (windows,)
    with zipfile.ZipFile(simulated_archive) as archive:
        text = archive.read(SIGNAL).splitlines()
    assert train["signals"]["total_acc_y"][7].tolist() == [np.float32(field) for field in text[7].split()]


def test_unknown_signal_lists_the_nine():
    assert layout.check_signal("body_gyro_z") == "body_gyro_z"
    with pytest.raises(ValueError, match="'acc_x'.*body_acc_x.*total_acc_z"):
        layout.check_signal("acc_x")


def test_nested_zip_and_folders_give_the_same_as_the_zip(loaded, simulated_archive, tmp_path):
    nested = tmp_path / "download.zip"
    with zipfile.ZipFile(nested, "w") as outer:
        outer.write(simulated_archive, "UCI HAR Dataset.zip")
        outer.writestr("UCI HAR Dataset.names", "the official download has this file, too")
    with zipfile.ZipFile(simulated_archive) as archive:
        archive.extractall(tmp_path / "extracted")
    for archive in (nested, tmp_path / "extracted", tmp_path / "extracted" / "UCI HAR Dataset"):
        assert same(load_har(archive), loaded)
    assert zipfile.ZipFile(nested).namelist() == ["UCI HAR Dataset.zip", "UCI HAR Dataset.names"]


def test_files_that_are_not_in_the_list_do_not_count(loaded, simulated_archive, tmp_path):
    crowded = tmp_path / "crowded.zip"
    shutil.copy(simulated_archive, crowded)
    with zipfile.ZipFile(crowded, "a") as archive:
        archive.writestr("__MACOSX/UCI HAR Dataset/._.DS_Store", "junk")
        archive.writestr("UCI HAR Dataset/train/X_train.txt", "1 2 3")
    assert load_har(crowded)["sha256"] == loaded["sha256"]


def test_official_unverified_and_simulated(simulated_archive, loaded, tmp_path, monkeypatch, capsys):
    windows = {part: len(loaded[part]["activity"]) for part in layout.PARTS}
    monkeypatch.setattr(layout, "PARTS", {"train": (windows["train"], 2), "test": (windows["test"], 1)})
    posing = changed(simulated_archive, tmp_path / "posing.zip", {"UCI HAR Dataset/README.txt": b"measured"})
    for _ in range(2):  # read, and from the cache
        assert load_har(posing)["kind"] == "unverified"
        assert "posing.zip is not the official archive" in capsys.readouterr().out
    assert load_har(posing)["differs"] == "UCI HAR Dataset/README.txt"

    with zipfile.ZipFile(posing) as archive:
        sums = {name: uci_har.hashlib.sha256(archive.read(name)).hexdigest() for name in layout.EXPECTED}
    monkeypatch.setattr(layout, "EXPECTED", sums)
    os.utime(posing, (1, 1))  # so that the cache is not used
    capsys.readouterr()
    assert load_har(posing)["kind"] == "official"
    assert capsys.readouterr().out == ""
    assert load_har(simulated_archive)["kind"] == "simulated"
    assert "SIMULATED DATA" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (SIGNAL, None, "total_acc_y_train.txt: the file is missing"),
        (SIGNAL, b"", "total_acc_y_train.txt: .*it is empty"),
        (
            SIGNAL,
            lambda text: text[:8200] + text[8200:].replace(b"e-001", b"e-0x1", 1),
            r"total_acc_y_train.txt: could not convert string '.*0x1' to float32 at line 5, column \d+\. ",
        ),
        (SIGNAL, lambda text: text[16:], "total_acc_y_train.txt: .*line 1 has 127 fields instead of 128"),
        (SIGNAL, lambda text: text[:-1000], r"total_acc_y_train.txt: .*line \d+ has 6\d fields"),
        (SIGNAL, lambda text: text[2050:], r"total_acc_y_train.txt: shape .* instead of"),
        (
            SIGNAL,
            lambda text: text[:2050] + b" nan".rjust(16) + text[2066:],
            "y_train.txt: line 2 .*not finite",
        ),
        (
            "UCI HAR Dataset/test/y_test.txt",
            lambda text: b"7" + text[1:],
            "y_test.txt: line 1 .* from 1 to 6",
        ),
        (
            "UCI HAR Dataset/test/y_test.txt",
            lambda text: b"1.5" + text[1:],
            "y_test.txt: could not convert string '1.5' to int16 at line 1, column 1",
        ),
        ("UCI HAR Dataset/test/y_test.txt", lambda text: text[2:], r"y_test.txt: \d+ lines instead of|shape"),
    ],
)
def test_what_is_wrong_in_the_archive_is_named(simulated_archive, tmp_path, name, change, message):
    broken = changed(simulated_archive, tmp_path / "broken.zip", {name: change})
    with pytest.raises(ArchiveError, match=message) as caught:
        load_har(broken)
    assert "broken.zip" in str(caught.value)
    assert "$SENSEGEN_HAR_ARCHIVE" in str(caught.value)


def test_truncated_damaged_and_missing_archives(simulated_archive, tmp_path):
    whole, broken = simulated_archive.read_bytes(), tmp_path / "broken.zip"
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    for content in (whole[: len(whole) // 2], bytes(flipped), b"<html>please log in</html>", b""):
        broken.write_bytes(content)
        with pytest.raises(ArchiveError, match=r"broken\.zip.*damaged.*run again"):
            load_har(broken)
    with pytest.raises(ArchiveError, match="nowhere.zip.*missing"):
        load_har(tmp_path / "nowhere.zip")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArchiveError, match="README.txt: the file is missing"):
        load_har(tmp_path / "empty")


# Checks of the values


def spoil_finite(valid):
    valid["test"]["signals"]["body_gyro_x"][4, 9] = np.inf


def spoil_shape(valid):
    valid["test"]["signals"]["body_gyro_x"] = valid["test"]["signals"]["body_gyro_x"][:, :127]


def spoil_presence(valid):
    del valid["test"]["signals"]["body_gyro_x"]


def spoil_range(valid):
    valid["test"]["signals"]["body_gyro_x"][4, 9] = 51


def spoil_unit(valid):
    for axis in "xyz":
        valid["train"]["signals"][f"total_acc_{axis}"] *= 9.80665


def spoil_label(valid):
    valid["train"]["activity"][2] = 0


def spoil_subjects(valid):
    valid["test"]["subject"][valid["test"]["subject"] == 2] = 3


def spoil_order(valid):
    for windows in valid["train"]["signals"].values():
        windows[:] = np.roll(windows, 1, axis=1)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_finite, "test/Inertial Signals/body_gyro_x_test.txt: line 5 .*not finite"),
        (spoil_shape, r"body_gyro_x_test.txt: shape \(\d+, 127\)"),
        (spoil_presence, "body_gyro_x_test.txt: the file is missing"),
        (spoil_range, "body_gyro_x_test.txt: line 5 .*not from -50 to 50 rad/s"),
        (spoil_unit, "train/.*total_acc.*m/s"),
        (spoil_label, "y_train.txt: line 3 "),
        (spoil_subjects, r"subject_test.txt: subjects \[3\] are in the training part"),
        (spoil_order, "train/Inertial Signals: only 0 of .* overlap by half"),
    ],
)
def test_validate_names_what_cannot_be_right(valid, spoil, message):
    uci_har.validate(valid)
    spoil(valid)
    with pytest.raises(ArchiveError, match=message):
        uci_har.validate(valid)


def test_real_data_must_have_the_size_of_the_archive(valid):
    valid["kind"] = "unverified"
    with pytest.raises(ArchiveError, match=r"instead of \(7352, 128\)"):
        uci_har.validate(valid)


# The cache


def test_the_cache_is_used_until_the_archive_changes(simulated_archive, tmp_path, data, monkeypatch):
    archive = shutil.copy(simulated_archive, tmp_path / "har.zip")
    first = load_har(archive)
    with monkeypatch.context() as patch:
        never_parse(patch)
        assert same(load_har(archive), first)
    (cache,) = data.iterdir()
    assert cache.name.startswith("har-")

    changed(simulated_archive, archive, {SIGNAL: lambda text: text.replace(b"1.", b"0.", 1)})
    second = load_har(archive)
    assert second["sha256"] != first["sha256"]
    assert not same(second, first)
    assert list(data.iterdir()) == [cache]  # in the place of the first
    assert same(load_har(simulated_archive), first) and len(list(data.iterdir())) == 2


def test_a_folder_changed_in_one_file_is_read_again(simulated_archive, tmp_path):
    with zipfile.ZipFile(simulated_archive) as archive:
        archive.extractall(tmp_path)
    folder = tmp_path / "UCI HAR Dataset"
    first = load_har(folder)
    with (tmp_path / SIGNAL).open("r+b") as file:
        file.write(b"  5.0000000e-001")
    second = load_har(folder)
    assert second["sha256"] != first["sha256"]
    assert second["train"]["signals"]["total_acc_y"][0, 0] == 0.5


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "gone", "other"])
def test_a_damaged_cache_is_written_anew(simulated_archive, loaded, data, damage, monkeypatch):
    load_har(simulated_archive)
    (cache,) = data.iterdir()
    whole = cache.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 3] ^= 0xFF
    if damage == "gone":
        cache.unlink()
    elif damage == "other":
        np.savez_compressed(cache, about="{")
    else:
        cache.write_bytes(
            {"truncated": whole[: len(whole) // 2], "flipped": bytes(flipped), "empty": b""}[damage]
        )
    assert same(load_har(simulated_archive), loaded)
    never_parse(monkeypatch)
    assert same(load_har(simulated_archive), loaded)


def test_a_writer_killed_midway_leaves_nothing_that_is_used(simulated_archive, loaded, data, no_network):
    def die_after_some_bytes(cache, **arrays):
        cache.write_bytes(b"PK\x03\x04 half a cache")
        os._exit(9)

    def killed_writer():
        uci_har.np.savez_compressed = die_after_some_bytes
        load_har(simulated_archive)

    process = multiprocessing.get_context("fork").Process(target=killed_writer)
    process.start()
    process.join()
    assert process.exitcode == 9
    (half_a_cache,) = data.iterdir()
    assert half_a_cache.name.startswith(".")
    half_a_cache.rename(data / ".half-an-archive.zip")  # and the same for a killed writer of an archive
    assert uci_har.find_archive() is None
    assert same(load_har(simulated_archive), loaded)


def test_notebooks_at_the_same_time(simulated_archive, loaded, data):
    def load(results):
        results.put(same(load_har(simulated_archive), loaded))

    context = multiprocessing.get_context("fork")
    results = context.Queue()
    processes = [context.Process(target=load, args=(results,)) for _ in range(3)]
    for process in processes:
        process.start()
    assert [results.get(timeout=60) for _ in processes] == [True] * 3
    for process in processes:
        process.join()
    assert [path.suffix for path in data.iterdir()] == [".npz"]


def test_without_a_place_for_the_cache_the_data_still_come(
    simulated_archive, loaded, data, capsys, no_network
):
    data.write_text("a file where the folder should be")
    assert same(load_har(simulated_archive), loaded)
    assert "No cache in data/" in capsys.readouterr().out
    assert load_har()["kind"] == "simulated"


def test_a_full_disk_leaves_no_half_file(simulated_archive, loaded, data, monkeypatch, capsys):
    def no_space(file, **arrays):
        file.write_bytes(b"PK")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", no_space)
    assert same(load_har(simulated_archive), loaded)
    assert "No space left on device" in capsys.readouterr().out
    assert list(data.iterdir()) == []


# Finding


def test_the_variable_comes_first(simulated_archive, data, monkeypatch):
    data.mkdir()
    shutil.copy(simulated_archive, data / "UCI HAR Dataset.zip")
    monkeypatch.setenv("SENSEGEN_HAR_ARCHIVE", str(simulated_archive))
    assert uci_har.find_archive() == simulated_archive
    monkeypatch.setenv("SENSEGEN_HAR_ARCHIVE", str(simulated_archive) + "x")
    with pytest.raises(
        ArchiveError, match=r"SENSEGEN_HAR_ARCHIVE names .*har.zipx, which does not exist. Correct it"
    ):
        load_har()


def test_an_archive_in_the_data_folder_is_found(simulated_archive, data, no_network):
    data.mkdir()
    shutil.copy(simulated_archive, data / layout.SIMULATED_NAME)
    assert uci_har.find_archive() is None
    (data / "UCI HAR Dataset").mkdir()
    assert uci_har.find_archive() == data / "UCI HAR Dataset"
    shutil.copy(simulated_archive, data / "human+activity+recognition+using+smartphones.zip")
    assert uci_har.find_archive().name.startswith("human+activity")


def test_without_archive_and_network_it_says_loudly_that_data_are_simulated(
    data, no_network, capsys, monkeypatch
):
    for _ in range(2):
        assert load_har()["kind"] == "simulated"
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("***")]
        assert len(lines) == 3
        assert "SIMULATED" in lines[0]
        assert "UCI HAR Dataset.zip" in lines[2]


# Downloading


class Server(http.server.BaseHTTPRequestHandler):
    # ``ranges``: whether it honours Range; ``breaks``: bytes after which the next answers break off.

    content, ranges, breaks, asked = b"", True, [], []

    def do_GET(self):
        wanted = self.headers["Range"]
        type(self).asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        if start and start >= len(self.content):
            self.send_error(416)
            return
        body = self.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.breaks.pop(0)] if self.breaks else body)

    def log_message(self, *args):
        pass


@pytest.fixture
def serve():
    servers = []

    def start(content, ranges=True, breaks=()):
        fields = {"content": content, "ranges": ranges, "breaks": list(breaks), "asked": []}
        handler = type("Handler", (Server,), fields)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/har.zip", handler

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def some_zip():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("noise", np.random.default_rng(0).bytes(300_000))
    return buffer.getvalue()


def test_download(serve, some_zip, tmp_path):
    url, handler = serve(some_zip)
    target = uci_har.download(tmp_path / "har.zip", [url])
    assert target.read_bytes() == some_zip
    assert handler.asked == [None]
    assert list(tmp_path.iterdir()) == [target]


def test_a_broken_download_is_continued_where_it_broke_off(serve, some_zip, tmp_path):
    url, handler = serve(some_zip, breaks=[100_000, 50_000])
    assert uci_har.download(tmp_path / "har.zip", [url]).read_bytes() == some_zip
    assert handler.asked == [None, "bytes=100000-", "bytes=150000-"]


def test_a_later_call_continues_too(serve, some_zip, tmp_path):
    url, handler = serve(some_zip, breaks=[100_000, 0])
    with pytest.raises(ArchiveError, match="broke off at 100,000 of 300,.*\n.*[Rr]un again"):
        uci_har.download(tmp_path / "har.zip", [url])
    assert not (tmp_path / "har.zip").exists()
    assert uci_har.download(tmp_path / "har.zip", [url]).read_bytes() == some_zip
    assert handler.asked[-1] == "bytes=100000-"


def test_a_server_that_ignores_ranges_is_asked_from_the_start(serve, some_zip, tmp_path):
    url, handler = serve(some_zip, ranges=False, breaks=[100_000])
    assert uci_har.download(tmp_path / "har.zip", [url]).read_bytes() == some_zip
    assert handler.asked == [None, "bytes=100000-"]


def test_a_complete_partial_file_needs_no_more_bytes(serve, some_zip, tmp_path):
    url, _ = serve(some_zip)
    (tmp_path / "har.zip.0.part").write_bytes(some_zip)
    assert uci_har.download(tmp_path / "har.zip", [url]).read_bytes() == some_zip


def test_what_is_no_zip_is_deleted_and_the_next_address_tried(serve, some_zip, tmp_path):
    page, _ = serve(b"<html>please log in</html>")
    url, _ = serve(some_zip)
    with pytest.raises(ArchiveError, match="no readable zip .*deleted"):
        uci_har.download(tmp_path / "har.zip", [page])
    assert list(tmp_path.iterdir()) == []
    assert uci_har.download(tmp_path / "har.zip", [page, url]).read_bytes() == some_zip


def test_downloads_at_the_same_time_wait_for_the_first(serve, some_zip, tmp_path):
    url, _ = serve(some_zip, breaks=[70_000, 30_000, 10_000])
    with ThreadPoolExecutor(3) as pool:
        done = [pool.submit(uci_har.download, tmp_path / "har.zip", [url]) for _ in range(3)]
    assert [call.result().read_bytes() == some_zip for call in done] == [True] * 3
    assert list(tmp_path.iterdir()) == [tmp_path / "har.zip"]


def test_a_folder_that_cannot_be_locked_is_no_reason_to_give_up(serve, some_zip, tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(uci_har.fcntl, "flock", refused)
    assert uci_har.download(tmp_path / "har.zip", [serve(some_zip)[0]]).read_bytes() == some_zip


def test_load_har_downloads_the_nested_zip_once(serve, simulated_archive, loaded, data, monkeypatch):
    nested = io.BytesIO()
    with zipfile.ZipFile(nested, "w") as outer:
        outer.write(simulated_archive, "UCI HAR Dataset.zip")
    url, handler = serve(nested.getvalue())
    monkeypatch.setattr(uci_har.download, "__defaults__", ([url],))
    assert same(load_har(), loaded)
    assert same(load_har(), loaded)
    assert handler.asked == [None]
    assert (data / "UCI HAR Dataset.zip").exists()


# The real archive


@pytest.mark.skipif(not REAL, reason="SENSEGEN_HAR_ARCHIVE is unset")
def test_the_official_archive(monkeypatch, data):
    official = load_har(REAL)
    assert official["kind"] == "official"
    assert official["differs"] is None
    assert official["sha256"].startswith("040bb45a9f7f")
    assert uci_har.validate(official) == {
        "train": {"windows": 7352, "subjects": 21, "neighbours": 7072, "overlapping": 6752},
        "test": {"windows": 2947, "subjects": 9, "neighbours": 2827, "overlapping": 2690},
    }
    assert np.bincount(official["train"]["activity"]).tolist() == [0, 1226, 1073, 986, 1286, 1374, 1407]
    assert official["train"]["signals"]["total_acc_x"][0, 0] == np.float32(1.012817)
    assert [path.suffix for path in data.iterdir()] == [".npz"]
    never_parse(monkeypatch)
    assert same(load_har(REAL), official)

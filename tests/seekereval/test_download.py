"""Archives stay in their folder and are resumed; a folder's check says what is there; the Hub over loopback."""

import io
import json
import os
import stat
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from servers.hub_server import COMMIT, HubServer
from typer.testing import CliRunner

from seekerdata.errors import SeekerError
from seekereval.archive import Archive, unpack
from seekereval.benchmark import Hub, benchmark, data_folder
from seekereval.cli import app
from seekereval.download import Record, read_record, unpack_all
from seekereval.inventory import inventory
from seekereval.table import as_list

ROOT = Path(__file__).parent.parent.parent


def zipped(files: dict[str, bytes], mode: int = 0) -> bytes:
    """A zip of these files; `mode` is a Unix mode for all of them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, data)
    return buffer.getvalue()


def tarred(members: list[tuple[str, bytes, bytes]], mode: str = "w") -> bytes:
    """A tar of (name, kind, data)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, kind, data in members:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(data) if kind == tarfile.REGTYPE else 0
            info.linkname = "/etc/passwd" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def everything(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def in_parts(data: bytes, folder: Path, stem: str, count: int) -> list[Path]:
    size = -(-len(data) // count)
    return [put(folder / f"{stem}a{'abcdefgh'[n]}", data[n * size : (n + 1) * size]) for n in range(count)]


@pytest.mark.parametrize("leading", ["", "Source/", "Source/Source/"])
def test_a_zip_goes_into_the_folder_of_its_name_however_often_it_repeats_it(tmp_path: Path, leading: str) -> None:
    files = {f"{leading}a.mp4": b"a", f"{leading}deep/b.mp4": b"b", "__MACOSX/x": b""}
    put(tmp_path / "videos/Source.zip", zipped(files))
    archive = Archive("videos/*.zip", "videos/{name}")
    (parts,) = archive.found(tmp_path)
    assert unpack(archive, parts, tmp_path) == 2
    assert everything(tmp_path / "videos/Source") == {"a.mp4": b"a", "deep/b.mp4": b"b"}


def test_a_zip_called_otherwise_keeps_the_sets_own_folders(tmp_path: Path) -> None:
    films = {"Video-MME_xk/a.mp4": b"a", "Video-MME_yk/Video-MME_yk/b.mp4": b"b", "other/c.mp4": b"c"}
    path = put(tmp_path / "videos/Video-MME.zip", zipped(films))
    unpack(benchmark("v2p_bench").archives[0], [path], tmp_path)
    path.unlink()
    assert everything(tmp_path / "videos") == {
        "Video-MME_xk/a.mp4": b"a",
        "Video-MME_yk/b.mp4": b"b",
        "Video-MME/other/c.mp4": b"c",
    }


@pytest.mark.parametrize(
    "name", ["../out.mp4", "/tmp/out.mp4", "a/../../out.mp4", "..\\out.mp4", "C:/out.mp4", "a\nb.mp4", ".."]
)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_no_member_leaves_the_folder(tmp_path: Path, name: str, kind: str) -> None:
    data = tmp_path / "data"
    if kind == "zip":
        path, archive = put(data / "x.zip", zipped({"fine.mp4": b"1", name: b"2"})), Archive("*.zip", "videos")
    else:
        members = [("fine.mp4", tarfile.REGTYPE, b"1"), (name, tarfile.REGTYPE, b"2")]
        path, archive = put(data / "x.tar", tarred(members)), Archive("*.tar", "videos")
    with pytest.raises(SeekerError, match="would leave its folder"):
        unpack(archive, [path], data)
    there = set(everything(tmp_path)) - {f"data/{path.name}"}
    assert there == (set() if kind == "zip" else {"data/videos/fine.mp4"})


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_of_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    path = put(tmp_path / "x.tar", tarred([("link", kind, b""), ("link/a.mp4", tarfile.REGTYPE, b"1")]))
    with pytest.raises(SeekerError, match="'link' is a link or a device"):
        unpack(Archive("*.tar", "videos"), [path], tmp_path)
    assert not (tmp_path / "videos").exists()


def test_links_of_a_zip_are_refused(tmp_path: Path) -> None:
    path = put(tmp_path / "x.zip", zipped({"link": b"/etc"}, mode=stat.S_IFLNK | 0o777))
    with pytest.raises(SeekerError, match="link or a device; nothing was unpacked"):
        unpack(Archive("*.zip", "videos"), [path], tmp_path)
    assert not (tmp_path / "videos").exists()


def test_two_members_never_share_a_file(tmp_path: Path) -> None:
    path = put(tmp_path / "x.zip", zipped({"one/a.mp4": b"1", "two/a.mp4": b"2"}))
    with pytest.raises(SeekerError, match="would be the same file"):
        unpack(Archive("*.zip", "videos", flat=True), [path], tmp_path)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_in_parts_is_one_stream(tmp_path: Path, mode: str) -> None:
    films = {f"{n}.mp4": os.urandom(5000 + n) for n in range(6)}
    data = tarred([(f"videos/{name}", tarfile.REGTYPE, film) for name, film in films.items()], mode)
    in_parts(data, tmp_path, "videos.tar.part.", 5)
    archive = Archive("videos.tar.part.*", "videos", parts=5)
    (parts,) = archive.found(tmp_path)
    assert unpack(archive, parts, tmp_path) == 6
    assert everything(tmp_path / "videos") == films


def test_a_missing_part_is_said(tmp_path: Path) -> None:
    films = [(f"{n}.mp4", tarfile.REGTYPE, os.urandom(5000)) for n in range(6)]
    parts = in_parts(tarred(films), tmp_path, "videos.tar.part-", 5)
    archive = Archive("videos.tar.part-*", "videos")
    with pytest.raises(SeekerError, match="4 of 5 parts"):
        unpack(archive._replace(parts=5), parts[:4], tmp_path)
    with pytest.raises(SeekerError, match="a part is missing between"):
        unpack(archive, [*parts[:2], *parts[3:]], tmp_path)
    with pytest.raises(SeekerError, match="only a part of it"):
        unpack(archive, parts[:3], tmp_path)


def test_a_gap_on_a_files_edge_is_not_taken_for_the_end(tmp_path: Path) -> None:
    """tarfile takes the first block that is no header for the end of the archive."""
    data = tarred([(f"{n}.mp4", tarfile.REGTYPE, bytes([n + 1]) * 1024) for n in range(4)])
    broken = data[: 1536 * 2] + data[1536 * 2 + 512 :]
    path = put(tmp_path / "x.tar", broken)
    with pytest.raises(SeekerError, match="is a part missing"):
        unpack(Archive("*.tar", "videos"), [path], tmp_path)


@pytest.mark.parametrize("data", [b"", b"not a zip", zipped({"a.mp4": b"1" * 1000})[:300]])
def test_a_damaged_zip_is_one_line(tmp_path: Path, data: bytes) -> None:
    path = put(tmp_path / "x.zip", data)
    with pytest.raises(SeekerError, match=r"x\.zip: is damaged"):
        unpack(Archive("*.zip", "videos"), [path], tmp_path)


def test_what_was_unpacked_is_not_written_again_and_half_files_are(tmp_path: Path) -> None:
    path = put(tmp_path / "x.zip", zipped({"a.mp4": b"aaaa", "b.mp4": b"bbbb"}))
    archive = Archive("*.zip", "videos")
    kept, half = put(tmp_path / "videos/a.mp4", b"aaaa"), put(tmp_path / "videos/b.mp4", b"b")
    before = kept.stat().st_mtime_ns
    assert unpack(archive, [path], tmp_path) == 2
    assert kept.stat().st_mtime_ns == before and half.read_bytes() == b"bbbb"


def test_unpacked_archives_are_noted_and_may_go(tmp_path: Path) -> None:
    first = put(tmp_path / "videos/A.zip", zipped({"a.mp4": b"aaaa"}))
    put(tmp_path / "videos/B.zip", b"damaged")
    hub = Hub("some/set", "main", "", archives=(Archive("videos/*.zip", "videos/{name}"),))
    with pytest.raises(SeekerError, match=r"B\.zip"):
        unpack_all(hub, tmp_path, Record())
    put(tmp_path / "videos/B.zip", zipped({"b.mp4": b"bb"}))
    told: list[str] = []
    unpack_all(hub, tmp_path, read_record(tmp_path, hub), told.append)
    assert told == ["unpacking videos/A.zip", "unpacking videos/B.zip"]
    first.unlink()
    told.clear()
    unpack_all(hub, tmp_path, read_record(tmp_path, hub), told.append)
    assert told == [] and (tmp_path / "videos/A/a.mp4").read_bytes() == b"aaaa"


def test_the_disk_is_asked_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "videos/A.zip", zipped({"a.mp4": b"a" * 4000}))
    hub = Hub("some/set", "main", "", archives=(Archive("videos/*.zip", "videos/{name}"),))
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 100}))
    with pytest.raises(SeekerError, match=r"GB are needed to unpack it, 0\.0 GB are free"):
        unpack_all(hub, tmp_path, Record())
    assert not (tmp_path / "videos/A").exists()


def seekereval(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_TOKEN": "", **environment}
    command = [sys.executable, "-m", "seekereval.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT, timeout=120)


def v2p_files() -> dict[str, bytes]:
    """The dataset as the Hub would have it: annotation, zips of videos with a nested folder, one zip of frames."""
    rows = benchmark("v2p_bench").fixtures[:3]
    videos = {f"Made/{row['video_path']}": bytes([n]) * 4_000_000 for n, row in enumerate(rows)}
    frames = {f"frames/{path}": b"x" for row in rows for path in as_list(row["frame_path"])}
    return {
        "README.md": b"made",
        "dataset_info.jsonl": "\n".join(map(json.dumps, rows)).encode(),
        "videos/Made.zip": zipped(videos),
        "vp_frames.zip": zipped(frames),
    }


def test_a_download_is_resumed_unpacked_and_checked(tmp_path: Path) -> None:
    files = v2p_files()
    with HubServer("gaotiexinqu/V2P-Bench", files, cut_at=11_000_000) as hub:
        home = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf")}
        done = seekereval("data", "v2p_bench", "--data", str(tmp_path / "data"), "--json", **home)
        assert done.returncode == 1, done.stderr  # three rows are not the published number
        lines = {line["what"]: line for line in json.loads(done.stdout)["lines"]}
        assert lines["items"]["verdict"] == "differs" and lines["items"]["found"] == "3"
        assert lines["videos"]["verdict"] == lines["marked frames"]["verdict"] == "ok", done.stdout
        assert hub.ranges, "what was cut off is continued, not begun again"
        before = dict(hub.gets)
        (tmp_path / "data/videos/Made.zip").unlink()
        again = seekereval("data", "v2p_bench", "--data", str(tmp_path / "data"), "--json", **home)
        assert again.stdout == done.stdout and dict(hub.gets) == before
    record = read_record(tmp_path / "data", benchmark("v2p_bench").hub)
    assert record.commit == COMMIT and set(record.unpacked) == {"videos/Made.zip", "vp_frames.zip"}


@pytest.mark.parametrize(
    ("name", "refusal", "said"),
    [
        ("mlvu:split=test", "GatedRepo", "MLVU/MLVU_Test: its terms must be accepted at https://huggingface.co"),
        ("v2p_bench", "RepoNotFound", "the Hub has no such dataset"),
    ],
)
def test_a_refusal_is_one_line(tmp_path: Path, name: str, refusal: str, said: str) -> None:
    with HubServer(benchmark(name).hub_id, {}, refusal=refusal) as hub:
        home = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf")}
        done = seekereval("data", name, "--data", str(tmp_path / "data"), **home)
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1
    assert "HF_TOKEN" in done.stderr


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **settings: Any) -> None:
        raise AssertionError(f"the network was asked: {arguments}")

    for place in ("socket.socket.connect", "socket.create_connection", "socket.getaddrinfo"):
        monkeypatch.setattr(place, refuse)


def test_a_file_in_the_folders_place_is_one_line(tmp_path: Path, unreachable: None) -> None:
    done = CliRunner().invoke(app, ["data", "v2p_bench", "--data", str(put(tmp_path / "file", b""))])
    assert done.exit_code == 2 and "is a file, not a folder" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("offline", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}])
def test_without_a_network_it_is_one_line(tmp_path: Path, offline: dict[str, str]) -> None:
    done = seekereval("data", "v2p_bench", "--data", str(tmp_path / "data"), HF_HOME=str(tmp_path / "hf"), **offline)
    assert done.returncode == 2 and "the Hub cannot be reached" in done.stderr and done.stderr.count("\n") == 1


def test_a_check_downloads_nothing_and_says_what_is_missing(tmp_path: Path, unreachable: None) -> None:
    done = CliRunner().invoke(app, ["data", "v2p_bench", "--check", "--data", str(tmp_path / "none")])
    assert done.exit_code == 2 and "no dataset_info.jsonl there" in done.stderr
    put(tmp_path / "dataset_info.jsonl", v2p_files()["dataset_info.jsonl"])
    done = CliRunner().invoke(app, ["data", "v2p_bench", "--check", "--data", str(tmp_path)])
    assert done.exit_code == 1 and "missing" in done.stdout and "videos/Made/1_0.mp4"[:12] in done.stdout


def test_counts_agree_with_the_published_size_that_is_meant(tmp_path: Path) -> None:
    which = benchmark("videomme")
    lengths = ("short", "medium", "long")
    rows: list[dict[str, Any]] = []
    for n in range(2700):
        made = which.fixtures[0] if not rows else rows[0]
        rows.append({**made, "question_id": f"{n}", "videoID": f"v{n // 3}", "duration": lengths[n // 900]})
    put(tmp_path / "videomme.json", json.dumps(rows).encode())
    verdicts = {line.what: line.verdict for line in inventory(which, tmp_path)}
    videos = {"items": "ok", **{f"duration {name}": "ok" for name in lengths}, "videos asked about": "ok"}
    assert verdicts == {**videos, "videos": "missing"}
    rows.pop()
    put(tmp_path / "videomme.json", json.dumps(rows).encode())
    assert {line.what for line in inventory(which, tmp_path) if line.verdict == "differs"} == {"items", "duration long"}


def test_only_what_is_published_is_compared(tmp_path: Path) -> None:
    which = benchmark("mlvu:split=test")
    free = [row for row in which.fixtures if "candidates" not in row]
    multiple = [row for row in which.fixtures if "candidates" in row]
    for name, rows in (("mcq", multiple), ("ssc", free[:3]), ("vs", free[3:])):
        put(tmp_path / f"test-ground-truth/test_{name}_gt.json", json.dumps(rows).encode())
    lines = {line.what: line for line in inventory(which, tmp_path)}
    assert (lines["items"].found, lines["items"].verdict, lines["task SSC"].verdict) == ("33", "ok", "ok")
    assert (lines["task TR"].expected, lines["task TR"].verdict) == ("91", "differs")
    assert inventory(benchmark("mlvu:split=test,generation=no"), tmp_path)[0][:4] == ("items", "502", "27", "differs")


def test_the_data_folder_is_given_or_named_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    which = benchmark("mlvu:split=test")
    monkeypatch.setenv("SEEKER_DATA", str(tmp_path))
    assert data_folder(which) == tmp_path / "mlvu"
    assert data_folder(which, Path("here")) == Path("here")
    monkeypatch.delenv("SEEKER_DATA")
    monkeypatch.setenv("HOME", "/home/someone")
    assert data_folder(which) == Path("/home/someone/.cache/videoseeker/mlvu")

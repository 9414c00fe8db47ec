"""A dataset goes to a hub and comes back the same; a kill, a fault or a licence never leaves half of it there."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from click.testing import Result
from servers.loopback import Dropped, Refused, Stalled
from servers.small_hub import TOKEN, Cut, Flipped, Lost, Meanwhile, Repo, Slow, SmallHub
from typer.testing import CliRunner

from seekerdata.cli import app
from seekerdata.dataset import pictures
from seekerdata.drawn_mark import prompt_frame
from seekerdata.errors import ItemError
from seekerdata.licence import hub_tag, licence
from seekerdata.published import MANIFEST, differing, sha256_of
from seekerdata.shards import read
from seekerdata.video import Video

ROOT = Path(__file__).parent.parent.parent
REPO = "me/small"
QA = "qa/train-00000-of-00001.parquet"


@pytest.fixture(autouse=True)
def no_plots(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without matplotlib, unless a test asks for plots: drawing takes longer than all else."""
    if "plots" not in request.fixturenames:
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)


@pytest.fixture
def plots() -> None:
    """Asks for them."""


@pytest.fixture
def dataset(run: Path, tmp_path: Path) -> Path:
    """The dataset folder of a finished build, to be changed at will."""
    shutil.copytree(run / "dataset", tmp_path / "run/dataset")
    shutil.copy(run / MANIFEST, tmp_path / "run" / MANIFEST)
    return tmp_path / "run/dataset"


def seekerdata(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert TOKEN not in result.output
    return result


def pushed(*arguments: object) -> dict[str, Any]:
    result = seekerdata("push", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def change(dataset: Path, config: str, **columns: Any) -> None:
    """Give every row other values, as a build with other settings would, and say so in the manifest."""
    path = dataset / f"{config}/train-00000-of-00001.parquet"
    table = pyarrow.parquet.read_table(path)
    for name, value in columns.items():
        place, field = table.schema.get_field_index(name), table.schema.field(name)
        values = value if isinstance(value, list) else [value] * len(table)
        table = table.set_column(place, field, pyarrow.array(values, field.type))
    pyarrow.parquet.write_table(table, path)
    manifest = dataset.parent / MANIFEST
    facts = json.loads(manifest.read_text())
    facts["files"][f"dataset/{path.relative_to(dataset)}"] = sha256_of(path)
    manifest.write_text(json.dumps(facts))


def test_what_is_pushed_is_what_anybody_loads(hub: SmallHub, plots: None, dataset: Path, tmp_path: Path) -> None:
    done = pushed(dataset, REPO, "--tag", "v1.0.0", "--private")
    repo = hub.repos[REPO]
    assert done["made"] and repo.private and repo.tags == {"v1.0.0": repo.head} == {"v1.0.0": done["commit"]}
    assert repo.titles == ["initial commit", "v1.0.0"], "one commit holds all"
    card = repo.files["README.md"].decode()
    for said in ("license: apache-2.0", "pretty_name: small", "## How it was made", "pictures/example-1.jpg", "@misc{"):
        assert said in card
    assert (
        repo.files["pictures/balance.png"][:4] == b"\x89PNG" and "| `qa` | 10 |" in repo.files["CHANGELOG.md"].decode()
    )
    from datasets import load_dataset

    rows = load_dataset(REPO, "sft", split="train", revision="v1.0.0", cache_dir=str(tmp_path / "cache"))
    local = list(read(dataset, "sft"))
    assert list(rows["id"]) == [row["id"] for row in local]
    for there, here in zip(rows, local, strict=True):
        assert there["messages"] == here["messages"]
        pairs = zip([there["image"], *there["images"]], [here["image"], *here["images"]], strict=True)
        assert all(one.tobytes() == other.tobytes() for one, other in pairs)

    out = tmp_path / "here"
    assert "every hash checked" in seekerdata("pull", f"{REPO}@v1.0.0", "--out", out).stdout
    files = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert files == {path: data for path, data in repo.files.items() if path != ".gitattributes"}
    assert seekerdata("check", out).exit_code == 0
    assert "here already" in seekerdata("pull", f"{REPO}@v1.0.0", "--out", out).stdout

    before = hub.calls["commit"], len(hub.sent)
    assert pushed(dataset, REPO)["made"] is False, "the same again makes no commit"
    assert pushed(dataset, REPO, "--tag", "v1.0.0")["made"] is False
    assert pushed(out, REPO, "--tag", "v1.0.0")["made"] is False, "what was pulled is what was pushed"
    assert before == (hub.calls["commit"], len(hub.sent))


def test_versions_follow_each_other_and_say_what_changed(hub: SmallHub, dataset: Path, tmp_path: Path) -> None:
    pushed(dataset, REPO, "--tag", "v1.0.0")
    ids = pyarrow.parquet.read_table(dataset / QA)["id"].to_pylist()
    change(dataset, "qa", id=["new", *ids[1:]], tag="a thing")
    for tag, said in (("v1.0.0", "is there already on me/small; the next could be v1.0.1"), ("1.1", "after a v")):
        result = seekerdata("push", dataset, REPO, "--tag", tag)
        assert result.exit_code == 2 and said in result.stderr
    sent = len(hub.sent)
    assert pushed(dataset, REPO)["tag"] is None
    assert len(hub.sent) - sent == 1, "the shard that changed"
    assert (
        list(hub.repos[REPO].tags) == ["v1.0.0"] and "## Unreleased" in hub.repos[REPO].files["CHANGELOG.md"].decode()
    )
    pushed(dataset, REPO, "--tag", "v1.1.0")
    log = hub.repos[REPO].files["CHANGELOG.md"].decode()
    assert "Unreleased" not in log and log.index("## v1.1.0") < log.index("## v1.0.0")
    assert "| `qa` | 10 | 1 | 1 | 9 |" in log and "`qa`: tag in 9 rows." in log
    listed = json.loads(seekerdata("versions", REPO, "--json").stdout)
    assert [(one["tag"], one["rows"]["qa"]) for one in listed] == [("v1.0.0", 10), ("v1.1.0", 10)]
    for first, second in ((f"{REPO}@v1.0.0", dataset), (f"{REPO}@v1.0.0", f"{REPO}@v1.1.0")):
        qa, *others = json.loads(seekerdata("diff", first, second, "--json").stdout)
        assert (qa["added"], qa["removed"], set(qa["changed"])) == (["new"], [ids[0]], set(ids[1:]))
        assert all(names == ["tag"] for names in qa["changed"].values())
        assert not any(one["added"] or one["removed"] or one["changed"] for one in others)
    assert "no row differs" in seekerdata("diff", dataset, dataset).stdout

    repo = hub.repos[REPO]
    repo.tags["v1.0.0"] = repo.tags["v1.1.0"]
    moved = seekerdata("pull", f"{REPO}@v1.0.0", "--out", tmp_path / "moved")
    assert moved.exit_code == 2 and "manifest.json there is of v1.1.0: the tag was moved" in moved.stderr
    repo.commits[repo.head][QA] += b"!"
    torn = seekerdata("pull", f"{REPO}@v1.1.0", "--out", tmp_path / "torn")
    assert torn.exit_code == 2 and f"{QA} is not what manifest.json says" in torn.stderr
    assert not (tmp_path / "torn").exists()


def busy(repo: Repo) -> Meanwhile:
    return Meanwhile(lambda: repo.commit("a hand", {**repo.files, "README.md": b"by hand"}))


FAULTS = {
    "commit 409": ("commit", Refused(409)),
    "commit 412": ("commit", Refused(412)),
    "commit 429": ("commit", Refused(429, retry_after="3")),
    "commit 503": ("commit", Refused(503)),
    "commit dropped": ("commit", Dropped()),
    "commit made, answer lost": ("commit", Lost()),
    "tag made, answer lost": ("tag", Lost()),
    "tag 500": ("tag", Refused(500)),
    "yaml 500": ("yaml", Refused(500)),
    "info 429": ("info", Refused(429)),
    "refs dropped": ("refs", None, Dropped()),
    "create lost": ("create", Lost()),
    "tree 500": ("tree", Refused(500)),
    "preupload 500": ("preupload", Refused(500)),
    "batch 429": ("batch", Refused(429, retry_after="2")),
    "put 503": ("put", Refused(503)),
    "put cut": ("put", Cut(500)),
    "get cut": ("get", None, Cut(500)),
    "head 503": ("head", Refused(503)),
    "commit slow": ("commit", Slow(0.3)),
    "get slower than one waits": ("get", None, Slow(0.6)),
}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A download is waited for no longer than this."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DOWNLOAD_TIMEOUT", 0.2)


@pytest.mark.usefixtures("impatient")
def test_all_bad_moments_of_one_push_are_survived(hub: SmallHub, run: Path) -> None:
    hub.go_wrong("create", Lost())
    hub.go_wrong("info", None, Refused(429, retry_after="1"))
    hub.go_wrong("tree", Refused(500))
    hub.go_wrong("preupload", Dropped())
    hub.go_wrong("batch", Refused(429, retry_after="1"))
    hub.go_wrong("put", Cut(500), Refused(503))
    hub.go_wrong("commit", Refused(409), Refused(429, retry_after="1"), Refused(503), Dropped(), Lost())
    hub.go_wrong("get", Cut(500), Slow(0.6))
    hub.go_wrong("head", Refused(503))
    hub.go_wrong("tag", Lost())
    done = seekerdata("push", run / "dataset", REPO, "--tag", "v1.0.0")
    assert done.exit_code == 0, done.output
    repo = hub.repos[REPO]
    assert repo.titles == ["initial commit", "v1.0.0"] and repo.tags == {"v1.0.0": repo.head} and not hub._plan
    for said in ("the Hub answered 429; trying again in 1 s", "the Hub answered 409", "the connection was lost"):
        assert said in done.stderr
    assert "the card has no plots: pip install 'videoseeker-toolkit[eval]'" in done.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("name", FAULTS)
def test_a_bad_moment_of_the_hub_is_survived(hub: SmallHub, run: Path, name: str) -> None:
    call, *faults = FAULTS[name]
    hub.go_wrong(call, *faults)  # type: ignore[arg-type]
    assert pushed(run / "dataset", REPO, "--tag", "v1.0.0")["tag"] == "v1.0.0"
    repo = hub.repos[REPO]
    assert repo.titles == ["initial commit", "v1.0.0"] and repo.tags == {"v1.0.0": repo.head}
    once = name.endswith("lost") or name == "commit slow"
    assert hub.calls[call] > len(faults) - once, "it went wrong, and was asked again or looked for"


def test_somebody_elses_commit_is_not_written_over(hub: SmallHub, dataset: Path) -> None:
    pushed(dataset, REPO)
    change(dataset, "qa", tag="a thing")
    hub.go_wrong("commit", busy(hub.repos[REPO]))
    result = seekerdata("push", dataset, REPO, "--tag", "v1.0.0")
    assert result.exit_code == 2 and "somebody else has moved main from" in result.stderr
    assert hub.repos[REPO].files["README.md"] == b"by hand" and not hub.repos[REPO].tags
    assert pushed(dataset, REPO, "--tag", "v1.0.0")["made"]


def test_a_version_that_comes_back_otherwise_has_no_tag(hub: SmallHub, run: Path) -> None:
    hub.go_wrong("get", Flipped())  # the first that is read back
    result = seekerdata("push", run / "dataset", REPO, "--tag", "v1.0.0")
    assert result.exit_code == 1 and f"{QA}: came back from the hub with other bytes" in result.stdout
    assert not hub.repos[REPO].tags
    assert pushed(run / "dataset", REPO, "--tag", "v1.0.0") | {"commit": ""} == {
        **{"page": f"{hub.url}/datasets/{REPO}", "commit": "", "made": False, "tag": "v1.0.0", "wrong": []}
    }


def test_a_killed_push_goes_on_and_a_killed_pull_leaves_nothing(hub: SmallHub, run: Path, tmp_path: Path) -> None:
    hub.chunk = 20_000
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-m", "seekerdata.cli"]

    def killed_at(call: str, after: int, *arguments: object) -> None:
        hub.go_wrong(call, *[None] * after, *[Stalled()] * 8)
        stalled = hub.waiting[call]
        process = subprocess.Popen([*command, *map(str, arguments)], env=env, stderr=subprocess.PIPE)
        while hub.waiting[call] == stalled:
            assert process.poll() is None, process.stderr and process.stderr.read()
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        hub._plan.clear()

    killed_at("put", 6, "push", run / "dataset", REPO, "--tag", "v1.0.0")
    there = set(hub.objects)
    assert there and hub.repos[REPO].titles == ["initial commit"], "some files are up, nothing is to be seen"
    uploaded = hub.calls["batch"]
    pushed(run / "dataset", REPO, "--tag", "v1.0.0")
    assert hub.calls["batch"] > uploaded and there < set(hub.objects)
    sizes = [len(data) for data in hub.objects.values()]
    assert sum(hub.sent) < 2 * sum(sizes), "what was up was not sent again"

    out = tmp_path / "out"
    killed_at("get", 3, "pull", f"{REPO}@v1.0.0", "--out", out)
    assert not out.exists()
    hub.calls.clear()
    assert seekerdata("pull", f"{REPO}@v1.0.0", "--out", out).exit_code == 0
    manifest = json.loads((out / MANIFEST).read_text())
    assert not list(differing(out, {path: facts["sha256"] for path, facts in manifest["files"].items()}))
    assert hub.calls["get"] < len(manifest["files"]) + 2, "what was here was not fetched again"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("command", "environment", "said"),
    [
        ("push", {"HF_TOKEN": "", "HF_TOKEN_PATH": "/nowhere"}, "no token; `hf auth login`, or HF_TOKEN"),
        ("push", {"HF_TOKEN": "hf_wrong000000000000000000"}, "the Hub does not know the token"),
        ("pull", {}, "the Hub has no such dataset"),
        ("versions", {}, "the Hub has no such dataset"),
        ("gated", {}, "its terms must be accepted"),
        ("unreachable", {}, "the Hub cannot be reached (ConnectError)"),
        ("foreign", {}, "holds files that no push has made, such as data.csv"),
        ("public", {}, "is there and public; --private is for a new one"),
        ("name", {}, "a dataset on the hub is named namespace/name"),
        ("revision", {}, "the Hub has no such dataset at v9.0.0"),
    ],
)
def test_what_only_the_user_can_mend_is_one_line(
    hub: SmallHub, run: Path, monkeypatch: pytest.MonkeyPatch, command: str, environment: dict[str, str], said: str
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", environment.pop("HF_TOKEN_PATH", "/nowhere"))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if command in ("gated", "foreign", "public", "revision"):
        repo = hub.repos[REPO] = Repo(gated=command == "gated")
        repo.commit("initial commit", {MANIFEST: b"{}"} if command == "gated" else {"README.md": b""})
        if command == "foreign":
            repo.commit("data", {"data.csv": b"a"})
    if command == "unreachable":
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    arguments = {
        "pull": ["pull", REPO],
        "gated": ["pull", REPO],
        "versions": ["versions", REPO],
        "public": ["push", run / "dataset", REPO, "--private"],
        "name": ["push", run / "dataset", "small"],
        "revision": ["pull", f"{REPO}@v9.0.0"],
    }.get(command, ["push", run / "dataset", REPO])
    result = seekerdata(*arguments, "--json")
    assert result.exit_code == 2 and said in result.stderr and result.stderr.count("\n") == 1
    assert environment.get("HF_TOKEN", "hf_none") not in (result.output or "hf_none") or not environment.get("HF_TOKEN")


def test_a_dry_run_asks_nobody(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **settings: Any) -> None:
        raise AssertionError(f"the network was asked: {arguments}")

    for place in ("socket.socket.connect", "socket.create_connection", "socket.getaddrinfo"):
        monkeypatch.setattr(place, refuse)
    result = seekerdata("push", run / "dataset", REPO, "--dry-run", "--tag", "v1.0.0", "--json")
    facts = json.loads(result.stdout)
    assert result.exit_code == 0 and facts["rows"] == {"qa": 10, "sft": 10, "rl": 3} and not facts["refused"]
    shard = run / "dataset" / QA
    assert facts["files"][QA] == {"bytes": shard.stat().st_size, "sha256": sha256_of(shard)}
    shown = seekerdata("push", run / "dataset", REPO, "--dry-run").stdout
    assert "10 qa, 10 sft, 3 rl" in shown and "manifest.json" in shown


def test_frames_under_a_closed_licence_stay_here(hub: SmallHub, dataset: Path, tmp_path: Path) -> None:
    ids = pyarrow.parquet.read_table(dataset / QA)["id"].to_pylist()
    licences = ["CC-BY-ND-4.0", "", *["CC BY-NC 4.0"] * 8]
    change(dataset, "qa", video_licence=licences)
    change(dataset, "sft", video_licence=licences)
    refused = seekerdata("push", dataset, REPO)
    assert refused.exit_code == 2 and not hub.calls
    for said in ("2 rows under 'CC-BY-ND-4.0' from world", f"first {ids[0]}", "2 rows under ''", "--frames reference"):
        assert said in refused.stderr
    dry = seekerdata("push", dataset, REPO, "--dry-run")
    assert dry.exit_code == 2 and "a push would be refused because of these licences" in dry.stdout

    pushed(dataset, REPO, "--tag", "v1.0.0", "--frames", "reference")
    out = tmp_path / "out"
    assert seekerdata("pull", REPO, "--out", out).exit_code == 0
    card = (out / "README.md").read_text()
    assert "license: cc-by-nc-4.0" in card and "4 rows of all configurations are here without pictures" in card
    assert "without commercial use" in card
    from datasets import load_dataset

    rows = load_dataset(str(out), "sft", split="train", cache_dir=str(tmp_path / "cache"))
    assert [row["image"] is None for row in rows] == [True, True, *[False] * 8]
    assert rows["media"] == ["withheld", "withheld", *["embedded"] * 8] and rows[0]["images"] == []
    with pytest.raises(ItemError, match="no such file"):
        pictures(rows[0], tmp_path)
    assert rows[0]["messages"] and rows[2]["images"] and rows["id"] == ids
    assert seekerdata("check", out).exit_code == 0
    withheld = (dataset / QA).stat().st_size - (out / QA).stat().st_size
    assert withheld > 0 and seekerdata("push", out, "me/other").exit_code == 2
    assert pushed(out, REPO, "--tag", "v1.0.0", "--frames", "reference")["made"] is False


def test_a_mark_that_was_not_published_is_drawn_again_on_the_video(
    hub: SmallHub, dataset: Path, run: Path, tmp_path: Path
) -> None:
    """All eight shapes: the very pixels; looks too. Another frame, or a row that does not say how, is an error."""
    change(dataset, "qa", video_licence=["all rights reserved"] * 10)
    change(dataset, "sft", video_licence=["all rights reserved"] * 10)
    before = {row["id"]: row for row in read(dataset, "qa")}
    pushed(dataset, REPO, "--frames", "reference")
    out = tmp_path / "out"
    assert seekerdata("pull", REPO, "--out", out).exit_code == 0
    for row in read(out, "qa"):
        assert row["image"] is None
        frame = prompt_frame(row, Video(run / "videos" / row["video_path"]))
        assert np.array_equal(frame.picture, before[row["id"]]["image"]), row["shape"]
    assert len({row["shape"] for row in before.values()}) == 8
    row = next(read(out, "sft"))
    seen = sum(block["type"] == "image" for turn in row["messages"] for block in turn["content"])
    assert len(pictures(row, run / "videos")) == seen > 0
    video = Video(run / "videos" / row["video_path"])
    with pytest.raises(ItemError, match="recorded"):
        prompt_frame(row | {"frame_time_s": row["frame_time_s"] + 1}, video)
    with pytest.raises(ItemError, match="or how to draw its mark"):
        prompt_frame(row | {"drawn": None}, video)
    done = seekerdata("check", out, "--videos", run / "videos")
    assert done.exit_code == 0 and "looks replay" in done.output
    exported = seekerdata("export", out, "--to", "verl", "--config", "rl", "--videos", run / "videos")
    assert exported.exit_code == 0, exported.output
    page = tmp_path / "page.html"
    assert seekerdata("show", out, "--html", page, "--videos", run / "videos").exit_code == 0
    assert "recorded" not in page.read_text()
    others = shutil.copytree(run / "videos", tmp_path / "others")
    files = sorted(others.iterdir())
    for file, other in zip(files, files[1:] + files[:1], strict=True):
        file.write_bytes((run / "videos" / other.name).read_bytes())
    assert seekerdata("show", out, "--html", page, "--videos", others).exit_code == 0
    assert "its mark on the frame of" in page.read_text(), "another file of that name is told"


@pytest.mark.parametrize(
    ("name", "tag", "why"),
    [
        ("Apache-2.0", "apache-2.0", ""),
        ("cc by 4.0", "cc-by-4.0", ""),
        ("CC-BY-SA-4.0", "cc-by-sa-4.0", ""),
        ("CC_BY_NC_SA_3.0", "cc-by-nc-sa-3.0", ""),
        ("CC0", "cc0-1.0", ""),
        ("CC-BY-NC-ND-4.0", "other", "a marked or cropped frame is changed"),
        ("All rights reserved", "other", "allows no copies"),
        ("", "other", "no licence is named"),
        ("my own words", "other", "is not a licence that seekerdata knows"),
    ],
)
def test_what_licences_allow(name: str, tag: str, why: str) -> None:
    found = licence(name)
    assert found.tag == tag and bool(found.refusal) == bool(why) and why in found.refusal
    assert found.commercial == ("nc" not in name.lower())


def test_the_licence_of_a_dataset_is_the_strictest() -> None:
    assert hub_tag(["Apache-2.0", "MIT"]) == "other" and hub_tag(["MIT", "MIT"]) == "mit"
    assert hub_tag(["Apache-2.0", "CC-BY-NC-4.0"]) == "cc-by-nc-4.0"
    assert hub_tag(["CC-BY-NC-SA-4.0", "CC-BY-NC-4.0"]) == "other"


def test_only_what_was_built_is_pushed(dataset: Path) -> None:
    (dataset / QA).write_bytes(b"torn")
    result = seekerdata("push", dataset, REPO, "--dry-run")
    assert result.exit_code == 2 and f"{QA}: is not what manifest.json says was written" in result.stderr
    (dataset.parent / MANIFEST).unlink()
    result = seekerdata("push", dataset, REPO, "--dry-run")
    assert result.exit_code == 2 and "give the dataset folder of a finished build" in result.stderr

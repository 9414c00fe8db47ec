"""backend: packages: what is refused and why; as `slow`, the original packages end to end in their own environment.

The environment is made once, in .venv-packages, from requirements-packages.txt: some minutes and 2 GB.
"""

import hashlib
import json
import subprocess
import venv
from pathlib import Path
from typing import Any

import pytest

from seekerdata.build import BuildRecipe, build
from seekerdata.errors import SeekerError
from seekerdata.instance import Instance, decode_mask, mask_box
from seekerdata.ledger import Ledger
from seekerdata.plugin import make
from seekerdata.video_session import KEPT_FRAMES

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "requirements-packages.txt"
ORIGINALS = ("groundingdino-py==0.4.0", "sam2==1.1.0")
MODULES = ("groundingdino", "sam2", "hydra", "torchvision")
FILES = {"detector": "d.pth", "text_encoder": "bert", "tracker": "t.pt"}


def packages(**settings: Any) -> Any:
    return make("segmenters", {"use": "groundingdino_sam2", "backend": "packages", **settings})


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a transformers of some version, and modules, look installed."""

    def install(transformers: str, *modules: str) -> None:
        facts = tmp_path / f"transformers-{transformers}.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: transformers\nVersion: {transformers}\n")
        for module in modules:
            (tmp_path / f"{module}.py").touch()
        monkeypatch.syspath_prepend(tmp_path)

    return install


def test_transformers_5_is_refused_with_the_reason_and_what_to_install(installed: Any) -> None:
    installed("5.23.0", *MODULES)
    words = r"beside transformers 5\.23\.0: .*get_extended_attention_mask.*requirements-packages\.txt.*transformers,"
    with pytest.raises(SeekerError, match=words) as error:
        packages().check_ready()
    assert "\n" not in str(error.value)


def test_packages_that_are_missing_are_named(installed: Any) -> None:
    installed("4.57.6", "groundingdino", "hydra", "torchvision")
    with pytest.raises(SeekerError, match=r"needs sam2: pip install -r requirements-packages\.txt"):
        packages().check_ready()


@pytest.mark.parametrize("missing", FILES)
def test_files_that_are_missing_are_named(missing: str, installed: Any, tmp_path: Path) -> None:
    installed("4.57.6", *MODULES)
    for name in FILES.values():
        (tmp_path / name).touch()
    files = {setting: str(tmp_path / name) for setting, name in FILES.items()}
    packages(**files).check_ready()
    with pytest.raises(SeekerError, match=f"needs {missing}: a file, and 'none' is none"):
        packages(**files | {missing: "none"}).check_ready()


def test_a_build_says_so_before_its_first_item(installed: Any, tmp_path: Path) -> None:
    installed("5.0.0")
    source = {"use": "world", "level": 1, "videos": 1}
    segment = {"by": {"use": "groundingdino_sam2", "backend": "packages"}}
    settings = {"name": "t", "out": tmp_path / "run", "source": source, "segment": segment, "engine": {"workers": 1}}
    recipe = BuildRecipe.model_validate(settings)
    with pytest.raises(SeekerError, match=r"beside transformers 5\.0\.0"):
        build(recipe)
    ledger = Ledger(tmp_path / "run/run.db")
    assert not list(ledger.rows("source"))
    ledger.close()
    assert build(recipe, until="verify").stages[-1]["kept"], "what does not need it can be done"


# The original packages


def run(*command: str, seconds: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False, cwd=ROOT)


def environment() -> Path:
    """The Python of .venv-packages, made if it is not there; skips where it cannot be."""
    home = ROOT / ".venv-packages"
    python, stamp = home / "bin/python", home / "made-from"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + repr(ORIGINALS).encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        venv.create(home, clear=True, with_pip=True)
        pip = (str(python), "-m", "pip", "install", "--quiet")
        for what in (("-r", str(REQUIREMENTS), "-e", "."), ("--no-deps", "--no-build-isolation", *ORIGINALS)):
            done = run("env", "SAM2_BUILD_CUDA=0", *pip, *what, seconds=1800)
            if done.returncode:
                said = [line.strip() for line in done.stderr.splitlines() if "ERROR" in line] or [done.stderr[-300:]]
                pytest.skip(f"the original packages cannot be installed here: {said[-1]}")
        stamp.write_text(wanted)
    return python


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("packages")
    path = f"PYTHONPATH={ROOT}:{ROOT / 'tests'}"
    script = str(ROOT / "tests/original_packages.py")
    done = run("env", path, "HF_HUB_OFFLINE=1", str(environment()), script, str(folder), seconds=600)
    assert done.returncode == 0, done.stderr
    assert "propagate in video" not in done.stderr and "frame loading" not in done.stderr, "no bars of progress"
    return json.loads((folder / "report.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["found", "bfloat16"])
def test_masks_at_true_times_of_the_window(name: str, report: dict[str, Any]) -> None:
    found = Instance.model_validate(report[name])
    assert found.tag == "white square" and found.sightings
    times = [s.time_s for s in found.sightings]
    assert set(times) <= {float(n) for n in range(3, 12)} and times == sorted(times)
    for sighting in found.sightings:
        assert sighting.mask is not None and sighting.mask["size"] == [64, 96]
        assert mask_box(decode_mask(sighting.mask)) == sighting.box_xyxy
        assert sighting.mask_from == "groundingdino_sam2"


@pytest.mark.slow
def test_the_same_masks_again_and_whatever_the_batch(report: dict[str, Any]) -> None:
    assert report["found"] == report["again"] == report["one_at_a_time"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nothing", "ItemError: nothing in the window fits 'white square'"),
        ("several", "ItemError: 20 things fit 'white square' at 3.0 s"),
        ("no_file", "SeekerError: backend: packages needs tracker: a file, and "),
        ("empty", "SeekerError: SAM 2 cannot be made from "),
        ("bare", "does not hold the weights of a SAM 2: 308 of its parts are missing"),
        ("no_config", "SeekerError: Grounding DINO cannot be made from "),
    ],
)
def test_a_reason_in_one_line(name: str, words: str, report: dict[str, Any]) -> None:
    assert words in report[name] and "\n" not in report[name]


@pytest.mark.slow
@pytest.mark.parametrize("way", [0, 1], ids=["forwards", "backwards"])
def test_a_streamed_session_gives_the_masks_of_the_packages_own(way: int, report: dict[str, Any]) -> None:
    seen = report["agreement"][way]
    assert seen["agree"] == 1.0 and 0.01 < seen["inside"] < 0.99
    assert seen["kept"] == KEPT_FRAMES + 1, "and forgets what SAM 2 no longer looks at"

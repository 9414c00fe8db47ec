"""Peer decoders: another library's pictures of the same frames; without the library one line says what is needed."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from clips import make_scene

from seekerdata.errors import SeekerError
from seekerdata.frame import FrameCache
from seekerdata.peer_decoder import PYAV, DecoderName, decoder_version
from seekerdata.video import Video, VideoError
from tests.hard_videos import VFR_TIMES_S, encode, number_in, write_audio

PEERS: tuple[DecoderName, ...] = ("decord", "torchcodec")
INSIDE_S = 1e-3


@pytest.fixture(params=PEERS)
def peer(request: pytest.FixtureRequest) -> DecoderName:
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    try:
        decoder_version(request.param)
    except SeekerError as error:
        pytest.skip(str(error))
    return request.param


def test_our_own_decoder_says_its_version() -> None:
    import av

    assert decoder_version(PYAV) == f"pyav {av.__version__}"


@pytest.mark.parametrize("name", PEERS)
def test_a_library_that_is_not_there_is_one_line(
    name: DecoderName, clip_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)  # as Python says it of what is not installed
    for ask in (lambda: decoder_version(name), lambda: Video(clip_path, decoder=name).frames([0.0])):
        with pytest.raises(SeekerError, match=f"^decoder {name} needs: pip install {name}$"):
            ask()


def test_a_library_that_does_not_load_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torchcodec").mkdir()
    (tmp_path / "torchcodec/__init__.py").write_text("raise RuntimeError('no FFmpeg\\n  that fits')")
    monkeypatch.syspath_prepend(tmp_path)
    for module in [name for name in sys.modules if name.startswith("torchcodec")]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(SeekerError) as caught:
        decoder_version("torchcodec")
    assert str(caught.value) == "decoder torchcodec is installed but cannot be loaded: no FFmpeg that fits"


def test_a_peer_shows_the_same_frames_at_their_true_times(peer: DecoderName, tmp_path: Path) -> None:
    encode(tmp_path / "vfr.mp4", VFR_TIMES_S)
    asked = [time_s + INSIDE_S for time_s in [*VFR_TIMES_S[::-3], VFR_TIMES_S[0], VFR_TIMES_S[0], 99.0]]
    ours, theirs = Video(tmp_path / "vfr.mp4"), Video(tmp_path / "vfr.mp4", decoder=peer)
    frames = theirs.frames(asked)
    assert [number_in(frame.rgb) for frame in frames] == [number_in(frame.rgb) for frame in ours.frames(asked)]
    assert [frame.time_s for frame in frames] == [frame.time_s for frame in ours.frames(asked)]
    again = theirs.frames([frame.time_s for frame in frames])
    assert all(np.array_equal(a.rgb, b.rgb) for a, b in zip(frames, again, strict=True))


def test_a_peers_pictures_differ_a_little_and_are_shrunk(peer: DecoderName, tmp_path: Path) -> None:
    make_scene(tmp_path / "clip.mp4", seed=1, size=(320, 240))
    cache = FrameCache()
    ours, theirs = (Video(tmp_path / "clip.mp4", decoder=name, cache=cache) for name in (PYAV, peer))
    apart = []
    for limit, size in ((None, (240, 320, 3)), (112 * 84, (84, 112, 3))):
        pairs = zip(ours.frames([0, 2, 4], max_pixels=limit), theirs.frames([0, 2, 4], max_pixels=limit), strict=True)
        for a, b in pairs:
            assert a.rgb.shape == b.rgb.shape == size and not b.rgb.flags.writeable
            apart.append(np.abs(a.rgb.astype(int) - b.rgb).mean())
    assert 0 < max(apart) < 4, "the same pictures by another conversion, and none is taken from the other's cache"


def test_what_a_peer_refuses_names_it(peer: DecoderName, tmp_path: Path) -> None:
    data = encode_whole(tmp_path / "whole.mp4")
    third = len(data) // 3
    (tmp_path / "hole.mp4").write_bytes(data[:third] + bytes(third) + data[2 * third :])
    with pytest.raises(VideoError, match=rf"hole\.mp4: {peer} cannot read it \(") as caught:
        Video(tmp_path / "hole.mp4", decoder=peer).frames([k / 10 for k in range(20)])
    assert caught.value.code == "unsupported" and ".cpp" not in caught.value.message


def test_what_is_refused_here_no_peer_is_shown(peer: DecoderName, tmp_path: Path) -> None:
    write_audio(tmp_path / "sound.m4a")
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nsound.m4a\n")
    for name, code in (("sound.m4a", "no_video_stream"), ("list.m3u8", "unreadable"), ("none.mp4", "missing")):
        with pytest.raises(VideoError) as caught:
            Video(tmp_path / name, decoder=peer).frames([0.0])
        assert caught.value.code == code and peer not in caught.value.message


def test_the_budget_is_kept(peer: DecoderName, clip_path: Path) -> None:
    with pytest.raises(VideoError, match="time budget") as caught:
        Video(clip_path, decoder=peer, budget_s=0).frames([0.0])
    assert caught.value.code == "decode_timeout"


def encode_whole(path: Path) -> bytes:
    encode(path, [k / 30 for k in range(90)])
    return path.read_bytes()

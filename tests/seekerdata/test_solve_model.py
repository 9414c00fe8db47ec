"""solve by a model: tries, letters and a judge decide what is kept, a kept trace is in form, all is said."""

import json
from pathlib import Path
from typing import Any

import pytest
from servers.loopback import Refused
from servers.openai_server import Called, ChatServer, Request, Said, in_turn
from servers.openai_server import Reply as Answer

from seekerdata.build import BuildRecipe, build
from seekerdata.errors import ItemError
from seekerdata.instructions import play_hash
from seekerdata.plan import estimate
from seekerdata.prompts import THOUGHTS
from seekerdata.sample import Sample
from seekerdata.stage import Drop, Item
from seekerdata.stages.solve import Solve
from seekerdata.trace_check import Spoken, early_time, format_of, tool_errors, trace_fault
from seekerdata.trajectory import StopReason, Text, ToolCall, Trajectory, Turn
from seekerdata.workspace import Workspace

NAME = "openai-api/local/any"
CROP = Called("crop_video", {"video_path": "video", "start_time": 8, "end_time": 11})
ALL = {"video_path": "video", "start_time": 0}
ROLES = ("judge", "second_judge", "check_thoughts")
LOOK = Said("<think>I look from 8 s to 11 s.</think>", (CROP,))


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_API_KEY", "sk-local-0123456789")
    monkeypatch.setattr("seekerdata.judge._CACHE", {})


@pytest.fixture
def free(sample: Sample) -> Sample:
    """The sample as an open question."""
    return sample.model_copy(update={"options": (), "answer": "a white square"})


def said(answer: str, thought: str = "I see it.") -> Said:
    return Said(f"<think>{thought}</think>\n<answer>{answer}</answer>")


def written(call: Called) -> str:
    return f"<tool_call>\n{json.dumps({'name': call.name, 'arguments': call.arguments})}\n</tool_call>"


def judged(score: float) -> Said:
    return Said(json.dumps({"score": score, "reason": "so it is"}))


def process(
    server: ChatServer,
    sample: Sample,
    clip: Path,
    calls: str = "native",
    temperature: float | None = None,
    **changes: Any,
) -> Item | Drop:
    """One item through the stage; `judge=True` and the like name the model that also plays."""
    model = {"model": NAME, "base_url": server.url, "retries": 0}
    player = {"use": "model", "model": {**model, "temperature": temperature}, "calls": calls}
    roles = {key: model if value is True and key in ROLES else value for key, value in changes.items()}
    stage = Solve.model_validate({"by": player, "rollout": {"overview_max_frames": 4}, **roles})
    return stage.process(Item(sample=sample), Workspace(root=clip.parent, video_root=clip.parent))


def test_the_first_right_try_is_kept_and_the_others_said(sample: Sample, clip_path: Path) -> None:
    with ChatServer(in_turn(said("A"), Said("I cannot tell."), LOOK, said("B"))) as server:
        kept = process(server, sample, clip_path, tries=4)
    assert isinstance(kept, Item) and kept.trajectory
    assert (kept.trajectory.answer, kept.trajectory.correct, kept.trajectory.kind) == ("B", True, "look")
    assert kept.trajectory.usage["calls"] == 2
    assert kept.sample.provenance["solve"] == {
        "tries": 3,
        "rejected": ["answered: answered 'A', not 'B'", "no_answer: answered '', not 'B'"],
        "model": NAME,
        "dialect": "native",
        "prompt": play_hash("tool"),
        "calls": 4,
        "input_tokens": 400,
        "output_tokens": 40,
    }
    assert [request.body.get("seed") for request in server.requests] == [None, 1, 2, 2]


def test_a_question_that_no_try_answers_is_dropped_with_every_reason(sample: Sample, clip_path: Path) -> None:
    with ChatServer(in_turn(said("A"), Said("B")), key="") as server:
        dropped = process(server, sample, clip_path, tries=3)
        assert dropped == Drop(
            reason="answered: answered 'A', not 'B' | no_answer: answered '', not 'B' | no_answer: answered '', not 'B'"
        )
        assert len(server.requests) == 3
        assert process(server, sample, clip_path) == Drop(reason="no_answer: answered '', not 'B'")


def test_a_judge_is_asked_only_where_no_rule_can_tell(free: Sample, clip_path: Path) -> None:
    def script(request: Request) -> Answer:
        return judged(1) if request.schema else said("the square that is white")

    with ChatServer(script) as server:
        kept = process(server, free, clip_path, judge=True)
        assert isinstance(kept, Item) and kept.trajectory and kept.trajectory.correct
        facts = kept.sample.provenance["solve"]["judge"]
        assert (facts["score"], facts["reason"], facts["calls"], facts["model"]) == (1, "so it is", 1, NAME)
        (asked,) = [request for request in server.requests if request.schema]
        told = {"question": free.question, "reference": free.answer, "answer": "the square that is white"}
        assert json.loads(asked.messages[1]["content"]) == told
        assert isinstance(process(server, free, clip_path), Drop), "without a judge the words decide"
    with ChatServer(in_turn(said("White square."))) as server:
        kept = process(server, free, clip_path, judge=True)
        assert isinstance(kept, Item) and "judge" not in kept.sample.provenance["solve"] and len(server.requests) == 1


@pytest.mark.parametrize("score", [0.5, 0])
def test_what_is_not_wholly_right_is_rejected(score: float, free: Sample, clip_path: Path) -> None:
    with ChatServer(in_turn(said("a shape"), judged(score), said("a white square"))) as server:
        dropped = process(server, free, clip_path, judge=True)
        wanted = f"answered: answered 'a shape', not 'a white square' (judged {score:g}: so it is)"
        assert dropped == Drop(reason=wanted)
    with ChatServer(in_turn(said("a figure"), judged(score), said("a white square"))) as server:
        kept = process(server, free, clip_path, judge=True, tries=2)
    assert isinstance(kept, Item), kept
    facts = kept.sample.provenance["solve"]
    assert facts["calls"] == 2, "the teacher's own"
    assert (facts["judge"]["calls"], facts["judge"]["model"], "score" in facts["judge"]) == (1, NAME, False)


@pytest.mark.parametrize("fault", [Refused(500), Said("Partly."), Said(None, finish="content_filter")])
def test_a_judge_that_fails_is_no_verdict(fault: Answer, free: Sample, clip_path: Path) -> None:
    with ChatServer(in_turn(said("a shape"), fault)) as server, pytest.raises(ItemError) as caught:
        process(server, free, clip_path, judge=True)
    assert (caught.value.code, caught.value.retryable) == ("judge_failed", True)


FLY = Said("<think>x</think>", (Called("fly"),))


@pytest.mark.parametrize(
    ("replies", "why"),
    [
        ([Said("<answer>B</answer>")], "bad_format: turn 1 does not open with a thought; answered 'B'"),
        ([Said("", (CROP,)), said("B")], "bad_format: turn 1 does not open with a thought; answered 'B'"),
        ([Said("<think>x</think>", (CROP, CROP)), said("B")], "bad_format: the order is think /think tool_call tool"),
        ([said("B", "At 9.3 s it is white.")], "early_time: names 9.3 s before it was shown; answered 'B'"),
        ([FLY, FLY, said("B")], "tool_errors: 2, at most 1; answered 'B'"),
    ],
)
def test_a_right_answer_in_a_bad_trace_is_rejected(
    replies: list[Answer], why: str, sample: Sample, clip_path: Path
) -> None:
    with ChatServer(in_turn(*replies)) as server:
        dropped = process(server, sample, clip_path)
    assert isinstance(dropped, Drop) and dropped.reason.startswith(why)


def test_tool_errors_are_allowed_as_far_as_the_recipe_says(sample: Sample, clip_path: Path) -> None:
    with ChatServer(in_turn(FLY, FLY, said("B"))) as server:
        assert isinstance(process(server, sample, clip_path, max_tool_errors=2), Item)
    with ChatServer(in_turn(FLY, said("B"))) as server:
        assert isinstance(process(server, sample, clip_path, max_tool_errors=0), Drop)


VIEW = Called("view_visual_prompt", {"frame_path": "prompt_1"})
WRONG = [
    Said("<think>Closer.</think>", (Called("zoom", {"a": 1}),)),
    Said("<think>Closer.</think>", (Called("crop_video", '{"start_time": 8'),)),
    Said("<think>Closer.</think>", (Called("crop_video", {"video_path": "film", "start_time": 8, "end_time": 11}),)),
    Said("<think>Closer.</think>\n<tool_call>{broken</tool_call>"),
]


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_call_that_was_corrected_is_a_recovery(wrong: Said, sample: Sample, clip_path: Path) -> None:
    calls = "native" if wrong.calls else "text"
    right = LOOK if wrong.calls else Said(f"{LOOK.text}\n{written(CROP)}")
    with ChatServer(in_turn(wrong, right, said("B"))) as server:
        kept = process(server, sample, clip_path, calls=calls)
    assert isinstance(kept, Item) and kept.trajectory and kept.trajectory.kind == "recovery"
    spoken = [turn for turn in kept.trajectory.turns if turn.role == "assistant"]
    assert [turn.loss for turn in spoken] == [False, True, True]
    assert kept.trajectory.turns[3].refused and not kept.trajectory.turns[5].refused, "the error stays in context"


def test_what_was_not_corrected_is_no_recovery_and_never_imitated(sample: Sample, clip_path: Path) -> None:
    with ChatServer(in_turn(FLY, said("B"), LOOK, FLY, said("B"), FLY, FLY, LOOK, said("B"))) as server:
        for losses in ([False, True], [True, False, True]):
            kept = process(server, sample, clip_path)
            assert isinstance(kept, Item) and kept.trajectory and kept.trajectory.kind == "look"
            assert [turn.loss for turn in kept.trajectory.turns if turn.role == "assistant"] == losses
        dropped = process(server, sample, clip_path)
    assert dropped == Drop(reason="tool_errors: 2, at most 1; answered 'B'")


def test_settings_that_cannot_mean_anything_are_mistakes() -> None:
    with pytest.raises(ValueError, match="second_judge needs a judge"):
        Solve.model_validate({"second_judge": NAME})


def checked(*early: int, reason: str = "too soon") -> Said:
    return Said(json.dumps({"early": early, "reason": reason}))


def test_a_model_checks_the_thoughts_of_what_would_be_kept(sample: Sample, clip_path: Path) -> None:
    play = [LOOK, said("B", "It was white then.")]
    with ChatServer(
        in_turn(said("A"), *play, checked(3, 5), *play[:1], said("B"), checked(reason=" all\nwell "))
    ) as server:
        kept = process(server, sample, clip_path, check_thoughts=True, tries=3)
    assert isinstance(kept, Item)
    facts = kept.sample.provenance["solve"]
    wanted = ["answered: answered 'A', not 'B'", "early_thought: turn 3, 5: too soon; answered 'B'"]
    assert (facts["rejected"], facts["tries"], facts["calls"], facts["thoughts"]["calls"]) == (wanted, 3, 5, 2)
    assert facts["thoughts"]["reason"] == "all well" and facts["thoughts"]["prompt"] == THOUGHTS.hash
    asked = [request for request in server.requests if request.schema]
    assert len(asked) == 2, "a wrong answer is not checked"
    assert (asked[0].body["temperature"], asked[0].body["seed"], asked[0].images) == (0, 0, [])
    told = json.loads(asked[0].messages[1]["content"])["turns"]
    assert [turn["turn"] for turn in told] == [2, 3, 4, 5]
    assert len(told[0]["pictures_at_s"]["video"]) == 4
    assert sample.question in told[0]["told"] and "seconds>" not in told[0]["told"]
    assert told[1] == {"turn": 3, "said": LOOK.text, "calls": [{"name": CROP.name, "arguments": CROP.arguments}]}
    assert (told[2]["turn"], told[2]["told"]) == (4, "") and len(told[2]["pictures_at_s"]["video"]) == 4
    assert told[3] == {"turn": 5, "said": play[1].text}


@pytest.mark.parametrize(
    "fault", [Refused(500), Said("Fine."), checked(2), Said('{"early": "none", "reason": ""}'), Said(None)]
)
def test_a_check_that_fails_is_no_pass(fault: Answer, sample: Sample, clip_path: Path) -> None:
    with ChatServer(in_turn(said("B"), fault)) as server, pytest.raises(ItemError, match="check_thoughts: ") as caught:
        process(server, sample, clip_path, check_thoughts=True)
    assert (caught.value.code, caught.value.retryable) == ("judge_failed", True)


def test_a_check_is_repaired_once(sample: Sample, clip_path: Path) -> None:
    with ChatServer(in_turn(said("B"), checked(4), checked())) as server:
        kept = process(server, sample, clip_path, check_thoughts=True)
        assert "turn 4 holds no thought" in server.requests[-1].text
    assert isinstance(kept, Item) and kept.sample.provenance["solve"]["thoughts"]["repaired"]


def test_no_words_of_the_truth_reach_who_plays(free: Sample, clip_path: Path) -> None:
    told = free.model_copy(update={"answer": "SECRET answer"})

    def script(request: Request) -> Answer:
        if request.schema:
            return judged(1 if "shape 2" in request.text else 0)
        return LOOK if request.replies == 0 else said(f"a shape {request.body.get('seed', 0)}")

    with ChatServer(script) as server:
        kept = process(server, told, clip_path, judge=True, tries=4)
    assert isinstance(kept, Item) and len(kept.sample.provenance["solve"]["rejected"]) == 2
    played = [request for request in server.requests if not request.schema]
    assert len(played) == 6 and "SECRET" not in json.dumps([request.body for request in played])


ENDINGS = {
    "no_answer": [Said("I cannot tell.")],
    "refused": [Said(None, finish="content_filter")],
    "too_long": [Said("<think>on and", finish="length")],
    "max_rounds": [LOOK, LOOK],
    "max_frames": [Said("<think>x</think>", (Called("crop_video", {**ALL, "end_time": 20}),))],
    "answered": [said("A")],
}


@pytest.mark.parametrize("last", ["B", "C"])
def test_how_every_try_ended_is_said_of_kept_and_dropped_rows(last: str, sample: Sample, clip_path: Path) -> None:
    replies = [reply for plays in ENDINGS.values() for reply in plays]
    limits = {"overview_max_frames": 4, "max_rounds": 1, "max_frames": 10}
    with ChatServer(in_turn(*replies, said(last))) as server:
        done = process(server, sample, clip_path, tries=len(ENDINGS) + 1, rollout=limits)
    answers = [f"{stop}: answered '{'A' if stop == 'answered' else ''}', not 'B'" for stop in ENDINGS]
    if last == "B":
        assert isinstance(done, Item) and done.sample.provenance["solve"]["rejected"] == answers
    else:
        assert done == Drop(reason=" | ".join([*answers, "answered: answered 'C', not 'B'"]))


def test_reasoning_content_is_the_thought_of_a_kept_play(sample: Sample, clip_path: Path) -> None:
    replies = (Said(None, (CROP,), reasoning="Where?"), Said("<answer>B</answer>", reasoning="So."))
    with ChatServer(in_turn(*replies)) as server:
        kept = process(server, sample, clip_path, temperature=0.7)
        assert [request.body["temperature"] for request in server.requests] == [0.7, 0.7]
    assert isinstance(kept, Item) and kept.trajectory
    thoughts = [turn.text for turn in kept.trajectory.turns if turn.role == "assistant"]
    assert thoughts == ["<think>Where?</think>", "<think>So.</think>\n<answer>B</answer>"]


def trace(*texts: str | tuple[str, int]) -> Trajectory:
    """A trajectory of assistant turns: words, or words and how many calls."""
    pairs = [(text, 0) if isinstance(text, str) else text for text in texts]
    calls = [tuple(ToolCall(id=f"call_{n}", name="crop_video") for n in range(count)) for _, count in pairs]
    turns = [
        Turn(role="assistant", content=(Text(text=text),), tool_calls=made)
        for (text, _), made in zip(pairs, calls, strict=True)
    ]
    return Trajectory(sample_id="q", policy="p", turns=tuple(turns), stop=StopReason.ANSWERED)


THOUGHT, END = "<think>a</think>", "<think>a</think><answer>B</answer>"


@pytest.mark.parametrize("good", [(END,), ((THOUGHT, 1), END), ((THOUGHT, 1), (f"{THOUGHT} So.", 1), f" {END}\n")])
def test_the_papers_format(good: tuple) -> None:
    assert format_of(trace(*good).turns) == ""


@pytest.mark.parametrize(
    "bad",
    [
        (),
        ("<answer>B</answer>",),
        (THOUGHT,),
        (THOUGHT, END),
        ((THOUGHT, 2), END),
        ((END, 1), END),
        (f"{END}<answer>B</answer>",),
        (f"{END} Done.",),
        (f"{THOUGHT}{END}",),
        ("<think>a<answer>B</answer>",),
        ("<think>a <think>b</think></think><answer>B</answer>",),
        (f"Well. {END}",),
    ],
)
def test_other_forms_are_named(bad: tuple) -> None:
    assert format_of(trace(*bad).turns) != "" and trace_fault(trace(*bad), 9).startswith("bad_format: ")


@pytest.mark.parametrize(
    ("thought", "fault"),
    [
        ("At 5 s and 5.0 seconds it falls.", ""),
        ("At 7.5 seconds it falls.", "names 7.5 seconds before it was shown"),
        ("At 7s it falls.", "names 7s before it was shown"),
        ("It stands there for 7 seconds, and 3 seconds later it is gone.", ""),
        ("There are 7 shapes.", ""),
        ("I look until 12.0 s.", ""),
    ],
)
def test_times_are_known_only_when_shown_or_asked(thought: str, fault: str) -> None:
    turns = [Spoken("user", "<5.0 seconds> What falls?"), Spoken("assistant", thought, ["video", 12, float("nan")])]
    assert early_time(turns) == fault
    assert early_time([Spoken("tool", "<7.0 seconds> <7.5 seconds>"), *turns]) == ""


SEEN = "<5.0 seconds> <79.6 seconds> <80.6 seconds> The video is video (200.0 s)."


@pytest.mark.parametrize(
    ("thought", "fault"),
    [
        *(("At 1:20 it falls.", ""), ("From 01:20 to 1:21 it falls.", ""), ("[00:01:20] It falls.", "")),
        *(("At 1 min 20 s it falls.", ""), ("At 1m20s it falls.", ""), ("At 0:05.0 it falls.", "")),
        *(("At 1 minute and 20 seconds it falls.", ""), ("After 1:20.6 it lies there.", "")),
        ("I look from 2:30 on.", ""),
        ("At 2:05 it falls.", "names 2:05 before it was shown"),
        ("It falls (02:05).", "names 02:05 before it was shown"),
        ("It falls at 0:05 or 0:09.", "names 0:09 before it was shown"),
        ("It lies there 0:09-0:12.", "names 0:09 before it was shown"),
        ("Around 1:20.2 it falls.", "names 1:20.2 before it was shown"),
        ("At 1 min 40 s it falls.", "names 1 min 40 s before it was shown"),
        ("At 3 minutes and 5 seconds it falls.", "names 3 minutes and 5 seconds before it was shown"),
        ("By 2m05s it falls.", "names 2m05s before it was shown"),
        ("It takes 2 min 5 s. It lasts for 1 minute and 40 seconds, and 1 min 10 s later it is gone.", ""),
        ("The score is 3:2, later 21:15; the picture is 16:9.", ""),
        ("The score stands at 21:15.", ""),
        ("The clock on the wall is at 10:30, her watch at 11:45.", ""),
        ("They meet at 10:30 am or at 4:15 p.m.", ""),
        ("They won by 21:15. At 2:05 it falls.", "names 2:05 before it was shown"),
        ("A 7 s clip. Within the first 3 seconds. For 7 s.", ""),
        ("Every 4 seconds, 3 s apart, 2 seconds after that. A car of the 1980s.", ""),
        ("A span of 3 seconds, over the 4 s of it, lasting roughly 6 seconds in a 9 s video.", ""),
    ],
)
def test_times_in_minutes_are_times_and_scores_and_clocks_are_not(thought: str, fault: str) -> None:
    assert early_time([Spoken("user", SEEN), Spoken("assistant", thought, [150, 155.5])]) == fault
    asked = [Spoken("user", f"{SEEN} {thought}"), Spoken("assistant", thought)]
    assert early_time(asked) == "", "what the question says is no discovery"


def test_refused_calls_are_counted() -> None:
    refused = Turn(role="tool", content=(Text(text="Error: no."),))
    assert tool_errors(trace(END).model_copy(update={"turns": (refused, refused)})) == 2


def recipe(out: Path, url: str, **solve: Any) -> BuildRecipe:
    model = {"model": NAME, "base_url": url, "retries": 0}
    return BuildRecipe.model_validate(
        {
            "name": "by-model",
            "out": out,
            "source": {"use": "world", "level": 1, "videos": 4, "questions_per_video": 1},
            "solve": {"by": {"use": "model", "model": model}, "judge": model, **solve},
            "engine": {"workers": 1},
        }
    )


def test_ranks_play_with_a_model_and_a_knowing_policy_waits_for_all(tmp_path: Path) -> None:
    assert Solve().sees_all
    with ChatServer(in_turn(said("A"))) as server:
        chosen = recipe(tmp_path / "run", server.url)
        assert not chosen.solve.sees_all
        build(chosen, until="render")
        shares = [build(chosen, rank=rank, world=2) for rank in range(2)]
        assert [share.stages[-1]["name"] for share in shares] == ["solve", "solve"]
        paid = len(server.requests)
        assert build(chosen).complete and paid == len(server.requests) == 4


def test_plan_counts_every_try_and_its_judge(tmp_path: Path) -> None:
    once, thrice = (recipe(tmp_path, "http://localhost:1/v1", tries=tries) for tries in (1, 3))
    assert estimate(once)["model_calls"] == 4 * (3 + 1)
    assert estimate(thrice)["model_calls"] == 4 * (3 * 3 + 3)
    more = recipe(tmp_path, "http://localhost:1/v1", tries=2, second_judge=NAME, check_thoughts=NAME)
    assert {row["role"]: row["calls"] for row in estimate(more)["models"]} == {
        "solve.by.model": 4 * 2 * 3,
        "solve.judge": 4 * 2,
        "solve.second_judge": 4 * 2,
        "solve.check_thoughts": 4 * 2,
    }


def test_a_changed_judge_redoes_and_another_server_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = (recipe(tmp_path, f"http://localhost:{port}/v1").solve for port in (1, 2))
    assert here.fingerprint() == there.fingerprint()
    without = here.model_copy(update={"judge": None})
    assert without.fingerprint() != here.fingerprint()
    from seekerdata.prompts import Prompt

    before = (here.fingerprint(), without.fingerprint())
    monkeypatch.setattr("seekerdata.stages.solve.JUDGE", Prompt("Another wording."))
    assert here.fingerprint() != before[0] and without.fingerprint() == before[1]
    checking = without.model_copy(update={"check_thoughts": here.judge})
    before = (checking.fingerprint(), without.fingerprint())
    monkeypatch.setattr("seekerdata.stages.solve.THOUGHTS", Prompt("Another wording."))
    assert checking.fingerprint() != before[0] and without.fingerprint() == before[1]

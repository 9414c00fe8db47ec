"""Open questions: which need rewriting, and what a model's wording may not do."""

import asyncio
import json

import pytest
from servers.loopback import Refused
from servers.openai_server import ChatServer, Said, in_turn
from servers.openai_server import Reply as Answer

from seekerdata.errors import ItemError
from seekerdata.models import ModelSettings
from seekerdata.open_question import asked_openly, check_open, open_by, reads_openly, stands_alone
from seekerdata.sample import Sample, Target
from seekerdata.verdict import OpenVerdict
from seekerdata.visual_prompt import VisualPrompt

PHRASE = "the target in the highlighted box"
ASKED = f"Which of the following best describes what {PHRASE} does after 3 seconds?"
GOOD = f"What does {PHRASE} do after 3 seconds?"
OPTIONS = ("Picks up the red cup.", "Picks up a hat.", "Opens the door.")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_API_KEY", "sk-local-0123456789")


@pytest.fixture
def choice(sample: Sample) -> Sample:
    mark = VisualPrompt(time_s=1.0, shape="rectangle", colour="red", phrase=PHRASE, box_xyxy=(0, 0, 9, 9))
    target = Target(tag="bearded man in a coat", description="the man")
    update = {"question": ASKED, "options": OPTIONS, "answer": "A", "target": target, "visual_prompts": (mark,)}
    return sample.model_copy(update=update)


def verdict(question: str) -> OpenVerdict:
    return OpenVerdict(is_open=bool(question), reason="so", question=question)


def said(question: str) -> Said:
    return Said(json.dumps({"is_open": bool(question), "reason": "so", "question": question}))


def test_the_answer_stays_the_right_options_words(choice: Sample) -> None:
    asked = asked_openly(choice, GOOD)
    assert (asked.question, asked.options, asked.answer) == (GOOD, (), "Picks up the red cup.")
    assert asked_openly(choice).question == ASKED
    assert asked_openly(asked).answer == asked.answer


def test_which_questions_read_without_options(choice: Sample) -> None:
    assert not reads_openly(choice) and stands_alone(choice)
    assert reads_openly(choice.model_copy(update={"question": GOOD}))
    assert reads_openly(choice.model_copy(update={"options": ()}))
    assert not stands_alone(choice.model_copy(update={"options": ("All of the above", "b", "c")}))


@pytest.mark.parametrize(
    "question",
    [GOOD, f" After 3 seconds, what is done by {PHRASE}?", f"What action does {PHRASE} take after 3 seconds?"],
)
def test_a_question_that_says_no_more_is_taken(question: str, choice: Sample) -> None:
    check_open(verdict(question), choice)


@pytest.mark.parametrize(
    ("question", "fault"),
    [
        (f"Which of these does {PHRASE} do?", "speaks of options"),
        (f"Which option says what {PHRASE} does?", "speaks of options"),
        (f"What does {PHRASE} do, A or B?", "'A' speaks of options"),
        (f"What does {PHRASE} do: A. pick B. open?", "speaks of options"),
        (f"What does {PHRASE} do (C)?", "speaks of options"),
        (f"Of the above, what does {PHRASE} do?", "speaks of options"),
        (f"What does {PHRASE} do with the cup?", "the word 'cup'"),
        (f"What does {PHRASE} pick up?", "the word 'pick'"),
        (f"What is {PHRASE} opening?", "the word 'open'"),
        ("What does the target do after 3 seconds?", "the phrase"),
        (f"What does {PHRASE}, the man, do?", "the word 'man'"),
        (f"What does {PHRASE} do after 7 seconds?", "the word '7'"),
        (f"Say what {PHRASE} does.", "question mark"),
        (f"What does\n{PHRASE} do?", "not one line"),
    ],
)
def test_what_a_question_may_not_do(question: str, fault: str, choice: Sample) -> None:
    with pytest.raises(ValueError, match=fault):
        check_open(verdict(question), choice)


def test_a_word_of_every_option_is_their_kind(choice: Sample) -> None:
    colours = choice.model_copy(update={"options": ("The colour red", "The colour blue"), "answer": "B"})
    check_open(verdict(f"What colour does {PHRASE} have?"), colours)
    with pytest.raises(ValueError, match="'blue'"):
        check_open(verdict(f"What blue colour does {PHRASE} have?"), colours)


def test_a_model_is_not_told_the_answer_and_may_mend_its_wording(choice: Sample) -> None:
    model = ModelSettings(model="openai-api/local/any", retries=0)
    with ChatServer(in_turn(said(f"What does {PHRASE} do with the cup?"), said(GOOD))) as server:
        decision = asyncio.run(open_by(model.model_copy(update={"base_url": server.url}), choice))
        told = json.loads(server.requests[0].messages[1]["content"])
        assert told == {"question": ASKED, "options": list(OPTIONS), "phrase": PHRASE}
        assert "'cup' was not in it before" in server.requests[1].text
    assert decision.verdict.question == GOOD and decision.facts["repaired"] and decision.facts["calls"] == 2


@pytest.mark.parametrize("reply", [said("What now, A or B?"), Said("{}"), Refused(500), Said('{"is_open": true}')])
def test_no_wording_is_no_question(reply: Answer, choice: Sample) -> None:
    model = ModelSettings(model="openai-api/local/any", retries=0)
    with ChatServer(in_turn(reply)) as server, pytest.raises(ItemError, match=r"bad_verdict|injected|openai-api"):
        asyncio.run(open_by(model.model_copy(update={"base_url": server.url}), choice))


def test_a_model_may_say_that_it_cannot_be_done(choice: Sample) -> None:
    check_open(verdict(""), choice)
    with pytest.raises(ValueError, match="must be empty exactly"):
        OpenVerdict(is_open=False, reason="so", question=GOOD)

"""Finding the words that name a target, and exchanging them for a phrase."""

import pytest

from seekerdata.reference import find_reference, put_phrase, put_vp

FOUND = [
    (
        "What does the woman in the white shirt do with the red toy?",
        "woman in a white shirt",
        "the woman in the white shirt",
    ),
    (
        "Where does the brown and white dog go after it barks?",
        "brown and white dog on a leash",
        "the brown and white dog",
    ),
    (
        "What is the dog carrying when it returns to the woman?",
        "brown and white dog on a leash",
        "the dog",
    ),
    (
        "What is the person in the orange top doing?",
        "person wearing an orange knitted top",
        "the person in the orange top",
    ),
    (
        "What is the man in the bright red coat holding?",
        "man in a red coat",
        "the man in the bright red coat",
    ),
    (
        "What colour are the shoes of the man in the grey shirt?",
        "man in a grey shirt",
        "the man in the grey shirt",
    ),
    (
        "What colour is the mug that receives the coffee?",
        "mug held on the table",
        "the mug",
    ),
    (
        "Who is the lady with the hat talking to?",
        "woman with a hat",
        "the lady with the hat",
    ),
    (
        "Does the man near the man in blue wave?",
        "man in blue",
        "the man in blue",
    ),
    (
        "Which cup is over the ball?",
        "red plastic cup",
        "",
    ),
    (
        "How many dogs are there?",
        "dog",
        "",
    ),
    (
        "What is the puppy doing?",
        "brown dog",
        "",
    ),
    (
        "What happens?",
        "",
        "",
    ),
    (
        "What is the T-shirt made of?",
        "white T-shirt",
        "the T-shirt",
    ),
]


@pytest.mark.parametrize(("question", "tag", "words"), FOUND)
def test_find_reference(question: str, tag: str, words: str) -> None:
    assert find_reference(question, tag) == words


def test_put_vp_replaces_whole_words_everywhere() -> None:
    assert put_vp("The dog sees the dog, not the dogfish.", "the dog") == "<vp> sees <vp>, not the dogfish."
    assert put_vp("What (the dog)?", "") == "What (the dog)?"


def test_put_phrase_starts_sentences_with_a_capital() -> None:
    phrased = put_phrase("<vp> runs. <vp> stops near <vp>.", "the target in the highlighted box")
    assert phrased.startswith("The target in the highlighted box runs. The target")
    assert phrased.endswith("near the target in the highlighted box.")

"""Families: the kinds of questions, as one table. To add one: an entry in `FAMILIES`, with a plan of its own or one
that is there.

Dimensions carry the true content meaning of V2P-Bench's codes (its released id map is wrong for 8 of 12).
"""

from dataclasses import dataclass

from seekerdata.world import plans, stories
from seekerdata.world.level import BRIGHT
from seekerdata.world.plans import Plan


@dataclass(frozen=True)
class Family:
    """One kind of question. In its texts `{target}` stands for the target's words, `{other}` for another thing's,
    `{answer}` for the answer."""

    dimension: str
    questions: tuple[str, ...]
    """Wordings; only natural levels use more than the first."""
    evidence: str
    """What a viewer sees at the decisive moment."""
    plan: Plan
    uses: frozenset[str]
    """What it does to its pair. Families that share one of these never get the same pair: "the flash" stays one."""
    actor: str = "object"
    names: int = 0
    """How many things with words of their own it needs."""
    holds: bool = False
    """Whether its event may also last for seconds, so that the overview shows it."""
    plain: bool = False
    """Whether it also works with flat things without a face (level 1)."""


FAMILIES = {
    "flash": Family(
        "OA",
        (
            "What colour does {target} flash?",
            "Which colour does {target} briefly turn?",
            "For a split second {target} changes its colour. Which colour does it take on?",
        ),
        "It turns {answer}.",
        plans.shown("flash", BRIGHT),
        frozenset({"colour"}),
        holds=True,
        plain=True,
    ),
    "digit": Family(
        "OA",
        (
            "What digit appears on {target}?",
            "Which digit does {target} show for a moment?",
            "A digit lights up on {target} for less than a second. Which one is it?",
        ),
        "It shows the digit {answer}.",
        plans.shown("face", plans.DIGITS),
        frozenset({"face"}),
        holds=True,
    ),
    "symbol": Family(
        "OA",
        (
            "What symbol appears on {target}?",
            "Which symbol does {target} show for a moment?",
            "Instead of its eyes {target} briefly shows a symbol. What is it?",
        ),
        "It shows {answer}.",
        plans.shown("face", plans.SYMBOLS, lambda answer: answer.split()[1]),
        frozenset({"face"}),
        holds=True,
    ),
    "item": Family(
        "HA",
        (
            "What does {target} hold up?",
            "Which object does {target} raise in one hand for a moment?",
            "At one point {target} quickly lifts something. What is it?",
        ),
        "The person holds up {answer}.",
        plans.shown("hold_up", tuple(plans.ITEMS), plans.ITEMS.__getitem__),
        frozenset({"hold_up"}),
        actor="person",
        holds=True,
    ),
    "card": Family(
        "HA",
        (
            "What colour is the card that {target} holds up?",
            "For a moment {target} shows a card. Which colour does it have?",
            "Which colour is the card raised by {target}?",
        ),
        "The person holds up a card that is {answer}.",
        plans.shown("hold_up", BRIGHT, "card/{}".format),
        frozenset({"hold_up"}),
        actor="person",
        holds=True,
    ),
    "dart": Family(
        "OD",
        (
            "In which direction does {target} dart?",
            "Which way does {target} rush for a moment before it comes back?",
            "All of a sudden {target} makes a quick dash and returns. Where does it go?",
        ),
        "It darts {answer} and comes back.",
        plans.dart,
        frozenset({"move"}),
        plain=True,
    ),
    "match": Family(
        "FM",
        (
            "Which one shows the same symbol as {target}?",
            "For a moment several of them show a symbol. Which one has the same as {target}?",
            "Whose symbol is identical to the one that {target} shows for an instant?",
        ),
        "The same symbol is on {answer}.",
        stories.match,
        frozenset({"face"}),
        names=4,
    ),
    "after": Family(
        "FT",
        (
            "What does {target} do right after it turns white?",
            "Once {target} has turned white for a moment, what is the next thing it does?",
            "What happens to {target} directly after its white flash?",
        ),
        "After it has been white, {answer}.",
        plans.around(white=True, asked=1),
        frozenset({"move", "colour"}),
    ),
    "before": Family(
        "RT",
        (
            "What does {target} do right before it turns white?",
            "What is the last thing that {target} does before it turns white for a moment?",
            "What happens to {target} directly before its white flash?",
        ),
        "Before it is white, {answer}.",
        plans.around(white=True, asked=0),
        frozenset({"move", "colour"}),
    ),
    "order": Family(
        "AS",
        (
            "In which order do three things happen to {target}?",
            "What is the correct order of the three things that {target} does in quick succession?",
            "Three things happen to {target} within a few seconds. In which order?",
        ),
        "The order is {answer}.",
        plans.around(white=False, asked=0),
        frozenset({"move"}),
    ),
    "visit": Family(
        "SR",
        (
            "In the picture, on which side of {other} does {target} stop?",
            "Seen in the picture, where does {target} show up for an instant, next to {other}?",
            "During a quick visit to {other}, on which side of it in the picture is {target}?",
        ),
        "It stands next to {other}, on this side: {answer}.",
        stories.visit,
        frozenset({"move"}),
        names=1,
    ),
    "swap": Family(
        "SR",
        (
            "Which one does {target} change places with?",
            "With which one does {target} trade places for a moment?",
            "For an instant {target} stands where another one was, and that one stands in its place. Which one?",
        ),
        "It changes places with {answer}.",
        stories.swap,
        frozenset({"move"}),
        names=4,
    ),
    "dots": Family(
        "GC",
        (
            "How many dots appear on {target}?",
            "How many dots does {target} show for a moment?",
            "For a split second there are dots on {target}, as on a die. How many are there?",
        ),
        "The number of dots on it is {answer}.",
        plans.shown("face", plans.COUNTS, "dots/{}".format),
        frozenset({"face"}),
        holds=True,
    ),
    "together": Family(
        "GC",
        (
            "How many others turn white together with {target}?",
            "When {target} turns white for a moment, how many others do so too?",
            "Count those that turn white at the same moment as {target}, without counting it. How many are they?",
        ),
        "The number of others that are white with it is {answer}.",
        stories.together,
        frozenset({"colour"}),
        names=4,
    ),
    "bump": Family(
        "CR",
        (
            "Why does {target} turn white?",
            "What makes {target} turn white for a moment?",
            "What is the reason that {target} suddenly turns white?",
        ),
        "It turns white because {answer}.",
        stories.bump,
        frozenset({"colour"}),
        names=4,
    ),
    "crown": Family(
        "PU",
        (
            "A crown goes round, starting with {target}. Who has it at the end?",
            "The crown that {target} wears first is passed on. Who wears it last?",
            "A crown changes hands twice after {target} has worn it. With whom does the story of it end?",
        ),
        "The last one with the crown is {answer}.",
        stories.crown,
        frozenset({"crown"}),
        names=4,
    ),
    "ball": Family(
        "CI",
        (
            "If {target} had not been there, what would the ball have hit?",
            "What would the white ball have run into if {target} had not stopped it?",
            "A white ball bounces off {target}. What would it have struck if nothing had been in its way there?",
        ),
        "The ball flies towards it; right behind it is {answer}.",
        stories.ball,
        frozenset({"ball"}),
        names=4,
    ),
}

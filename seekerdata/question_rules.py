"""Question rules: what speaks against a question, by category, in the order tried. Regular expressions on lower case.

A rule matches what is asked, the words after `what`, `is`, `does`; words in passing must not set it off.
"""

import re
from typing import Literal, NamedTuple

from seekerdata import question_words as w

Category = Literal["camera", "background", "overall_activity", "counting", "abstract", "lighting"]


class Rule(NamedTuple):
    """A pattern and the conditions under which its match counts."""

    category: Category
    pattern: str
    whole: bool = False
    """Look at clauses with when, while, after, that, who ... too."""
    unless: str = ""
    """Not if this is found after the match."""
    rest: bool = False
    """Only if nothing but empty words follows the match: "main topic of the video"."""

    def found(self, text: str) -> str:
        """The words that match, empty if none do."""
        for match in re.finditer(self.pattern, text):
            after = text[match.end() :]
            if self.unless and re.search(self.unless, after):
                continue
            if self.rest and not re.fullmatch(w.EMPTY, after):
                continue
            return " ".join(match[0].split())
        return ""


def _rules(category: Category, *patterns: str) -> tuple[Rule, ...]:
    return tuple(Rule(category, pattern) for pattern in patterns)


_COUNTING = tuple(
    Rule("counting", pattern, whole=True)
    for pattern in (
        r"\bhow (?:many|often|frequently)\b",
        rf"\b{w.AMOUNT} of (?!the\b|this\b|his\b|her\b)",  # "the number of the runner" is on a shirt
        r"^(?:please )?count\b",
    )
)

_FILMED_FROM = Rule(
    "camera",
    rf"\b{w.AUX} .*\b(?:filmed|recorded) (?:from|by|with)\b|\b(?:side|direction)\b.*\bfilmed{w.END}",
)

# Heard, read, dated, smelt or guessed; also when a person is the subject: "what does he say".
_UNSEEN = _rules(
    "abstract",
    rf"{w.WHAT} (?:{w.NO_PREPOSITION}){{0,2}}?(?:(?:kind|type|sort|genre|style) of )?"
    rf"(?:{w.NO_PREPOSITION})?{w.SOUND}\b",
    rf"\b{w.AUX} (?:there )?(?:the|any|a|some|his|her)? ?(?:{w.NO_PREPOSITION}){{0,2}}?{w.SOUND}\b",
    r"\b(?:role|purpose|genre|type|kind|style|source|volume|tempo|content|tone) of"
    rf" (?:the |background )*{w.SOUND}",
    r"\b(?:heard?|listen(?:ed|ing)? to|audible|narrat(?:ed|ing)|spoken|can be read)\b",
    rf"\b(?:sounds?|smells?|tastes?|feels?) like\b|\bhow {w.AUX} .* (?:taste|smell|sound){w.END}",
    rf"\bwhat {w.FEW}{w.AUX} .*?\b{w.SPOKEN}{w.ADDRESSED}{w.END}",
    rf"{w.WHAT} {w.FEW}(?:{w.BRAND}|company|manufacturer)\b",
    rf"\b(?:{w.AUX}|the) (?:the )?{w.FEW}{w.BRAND}(?: names?)? (?:of|on|is|shown|name)\b",
    rf"{w.WHAT} {w.FEW}{w.WRITING}\b.*\b(?:is|are|was|were|appears?|can be|does)\b.*\b{w.LEGIBLE}\b",
    rf"{w.WHAT} {w.FEW}{w.WRITING} (?:appears?|shows? up|comes? up|pops up|(?:is|are) on)\b",
    rf"\bwhat(?: else)? {w.AUX} (?:be )?(?:\w+ )?(?:written|printed|engraved|inscribed|spelled)\b",
    rf"\bwhat (?:does|do|did) (?:the|this|his|her) (?:[\w'-]+ ){{0,6}}?{w.SIGN}\b[\w' -]*?"
    r" (?:say|read|state|tell)s?\b",
    rf"\b(?:{w.AUX}|of) (?:the |there |any )*(?:on-?screen |overlaid )?"
    r"(?:text|captions?|subtitles|credits)\b(?!-)",
    rf"\bwhat (?:is|are|was|were) the (?:{w.NO_PREPOSITION})?(?:text|words?|title|captions?|subtitles?)\b(?!-)",
    rf"\bname of the (?:\w+ )?{w.NAMED}\b",
    rf"{w.WHAT} (?:year|date|month|decade|century|day of the week)\b|\bwhat is the (?:date|year)\b",
    r"\bwhen was\b.*\b(?:made|filmed|recorded|published|released|built|manufactured|uploaded)\b",
    rf"{w.WHAT} (?:is the |are the )?(?:smell|scent|taste|flavou?r|temperature|price|cost)\b(?! tag)",
    rf"\bhow (?:hot|cold|warm|loud|tasty|delicious|expensive) {w.AUX}\b|\bhow much {w.AUX} .* cost\b",
    rf"\bwhat is (?:the |this |his |her )?(?:[\w'-]+ ){{0,4}}?name{w.END}",
    rf"\bwhat {w.AUX} .* (?:think|thinking|dreaming)(?: about| of)?{w.END}",
    rf"\b(?:before|after) (?:the|this) {w.FILM} (?:start|beg[aiu]n|end|was)",
    r"\byour (?:opinion|favou?rite|thoughts|view|feeling)|\bfavou?rite\b|\brecommend\b",
    r"\bwould you\b(?! (?:describe|characteri))",
    r"\b(?:viewers?|audience|one|you|we) (?:be )?(?:learn\w*|taught|take away|understand)\b",
    r"\b(?:do|did) you (?:like|prefer|enjoy|feel|agree|believe|think of|think about)\b",
    rf"\b(?:symboli[sz]es?|signify|represent|imply|mean){w.END}|\b(?:significance|symbolism|meaning) of\b",
)

_CAMERA = _rules(
    "camera",
    rf"(?<!color )(?<!colour )\b{w.AUX} (?:the |a |any )?(?:\w+ )?camera\b"
    r"(?! (?:that|held|on the table|bag|strap))",
    rf"\bcamera(?:'s|s)? (?:\w+ )?{w.PARTS}\b",
    rf"\bto the camera{w.END}|\bbetween the camera and\b|\bwho {w.AUX} (?:filming|recording)\b",
    rf"\bwho (?:{w.AUX} )?(?:film|record|shot|shoot|made|make)\w* (?:the|this) {w.FILM}",
    rf"\b{w.FILM}\b.*\b(?:contain|have|include|use)s? (?:any )?(?:\w+ )?"
    r"(?:cuts?|edits?|transitions?|effects?|zooms?)\b",
    rf"\b{w.AUX} (?:the|this) (?:{w.FILM}|image|picture) .*\b(?:blurr?\w*|shaky|grainy|sharp|stabili[sz]ed|in focus)\b",
    r"\b(?:movement|motion|angle|position|perspective|direction|focus|height|role|speed|placement)"
    r" of the camera\b",
    r"\b(?:type|kind|sort|style|size) of (?:\w+ )?(?:shots?|angles?|framing|transitions?|cuts?|edit\w*)\b",
    rf"\b(?:what|which|whose) (?:\w+ )?{w.ANGLE}\b.*\b(?:{w.FILMED}|{w.OF_FILM})",
    rf"\b{w.ANGLE}\b.*\b{w.AUX} (?:the|this) {w.OF_FILM}",
    rf"\b(?:{w.OF_FILM}|visual)(?:'s)? (?:editing|transitions?|effects?|quality|resolution|format|frame ?rate"
    r"|speed|length|duration|aspect ratio|filters?|cuts?|techniques?)\b",
    r"\b(?:editing|edited|frame ?rate|resolution|aspect ratio|cinematograph\w*|special effects?"
    r"|visual effects?|jump cuts?|playback speed|montage"
    r"|transitions? (?:between|from|to|into|used|effects?))\b",
    rf"\b(?:transition|cut|fade) (?:between|from|to|into)\b.*{w.MEDIA}",
    rf"\b{w.AUX} (?:the|this|there|it|any|a)\b.*\b{w.TRICKS}",
    rf"\b{w.AUX} (?:the|this|it) ?(?:\w+ )?{w.OF_FILM}? ?(?:in |shown in )?"
    rf"(?:(?:colou?r or )?black[- ]and[- ]white{w.END}|sped up)",
    rf"\bhow long {w.AUX} (?:the|this) {w.FILM}",
    rf"\b(?:length|duration|quality|resolution) of (?:the|this) {w.FILM}",
    rf"\bhow {w.AUX} (?:the|this) (?:\w+ )?{w.OF_FILM} (?:being )?{w.FILMED}\b",
    rf"\b{w.AUX} (?:the|this|that) (?:\w+ )?{w.FILM} (?:being )?{w.FILMED} (?:from|with|by|using)\b",
    r"\b(?:what|which) (?:device|equipment|lens|drone)\b.*\b(?:film|record|shoot|capture)",
    rf"\b{w.AUX} the (?:view|{w.ANGLE}|framing|frame|footage|focus|zoom|shot)\b(?! of (?:his|her))",
    rf"\bhow {w.AUX} (?:the|these|different) (?:scenes|shots|clips)\b|\b{w.AUX} (?:the|this) {w.FILM}\b.*\bhandheld\b",
    rf"\b(?:what|which) (?:\w+ )?(?:framing|zoom|camerawork) {w.AUX}\b",
    r"\b(?:opening|closing|final|first|last) shot of\b",
    r"\b(?:first|third)-person (?:view|perspective|point)",
)

_LIGHT = (
    *_rules(
        "lighting",
        r"\blighting\b"
        r"(?! (?:the|a|an|his|her|up|it|candles?|equipment|fixtures?|rigs?|stands?|crew))",
        r"\b(?:illumination|ambient light|brightness|light(?:ing)? conditions?"
        r"|(?:source|quality|direction) of light|light source|natural (?:or artificial )?light)\b",
        r"\bcolou?r (?:scheme|palette|tones?|grading|theme|temperature|filter|contrast|balance)\b",
        rf"\bcolou?rs? (?:of|is|are|was|were|does|do) (?:the|this) (?:\w+ ){{0,2}}?{w.BEHIND}{w.END}",
        rf"\b{w.BEHIND}(?:'s)? colou?rs?\b",
        rf"\bhow {w.DARK}\b|\b{w.AUX} (?:the|it|this) (?:\w+ )?{w.DARK}\b",
        r"\bday(?:time)?,? or (?:at )?night|\bnight or day|\btime of (?:the )?day\b"
        r"|\bis it (?:day|night)",
        r"\bcolou?rs? (?:(?:is|are) )?(?:the )?(?:most )?(?:pre)?(?:domina\w+|prominent|prevalent)",
        rf"\bhow {w.AUX} the (?:\w+ )?\w+ (?:being )?lit\b",
        r"\b(?:does|do|did) the lights? (?:\w+ )?(?:get|become|change|fade|dim|come from)",
        rf"\b(?:kind|type|sort) of light {w.AUX}\b",
    ),
    Rule("lighting", rf"\b{w.MOST}(?: \w+)?{w.REST}", rest=True),
)


_MOOD = tuple(
    Rule("abstract", pattern, unless=w.SOMEONE)
    for pattern in (
        r"\b(?:mood|atmosphere|ambian?ce|ambience|vibe)\b",
        r"(?<!skin )(?<!two-)\btone\b(?! of (?:his|her))",
        rf"\b{w.FELT}\b.*\b{w.CONVEYED}",
        rf"\b{w.FELT} (?:is|are|does|do) (?:the )?(?:{w.MEDIA}|music)",
        r"\b(?:message|theme|moral|lesson)s? (?:of|in|does|that|is|behind|from)\b",
        r"\bmake (?:the |you |us )?(?:viewers?|audience|people)?\b.*\bfeel\b",
        rf"\bhow {w.AUX} (?:the )?(?:viewers?|audience) feel",
        rf"\bwhat makes (?:the|this) (?:\w+ )?{w.MEDIA}|\bwhat (?:is|makes) .*\b(?:funny|humorous|humou?r)\b",
        rf"\b{w.AUX} (?:the|this) {w.MEDIA} (?:\w+ )?"
        r"(?:funny|interesting|boring|sad|happy|entertaining|enjoyable|exciting)",
        rf"\b(?:do|would) you think\b(?!.*\b{w.LIVING}\b)",
    )
)


_PLACE = (
    *_rules(
        "background",
        rf"^(?:so )?(?:what|which|describe|list|name|identify)\b{w.LOOKED_AT} ?"
        rf"\b(?:in|of|on|make up|makes up|forms?|fills?) the (?:\w+ )?{w.SCENERY}"
        rf"(?: of the {w.MEDIA}| (?:behind|of) .*)?{w.END}",
        rf"^what {w.LOOKED_AT} ?\bin the (?:frame|room|area|image|picture|place){w.END}",
        rf"\b(?:{w.AUX}|describe|describes|of) (?:the|this) (?:\w+ ){{0,2}}?(?:background|backdrop"
        rf"|surroundings?|environment|scenery|landscape|venue|weather|scene)\b{w.NO_COMPOUND}",
        rf"\b(?:{w.AUX}|describe) (?:the|this) (?:\w+ ){{0,2}}?setting\b(?! (?:up|the|on|dial|off))",
        rf"\b(?:{w.AUX}|describe) the (?:\w+ )?location of (?:the|this) (?:\w+ )?{w.EVENT}\b",
        rf"\bwhere {w.AUX} (?:the |this |that |these )?(?:\w+ )?{w.EVENT}"
        rf"(?: (?:most )?(?:likely )?(?:being )?{w.HELD}\b.*)?{w.END}",
        rf"\b(?:what|which)(?: \w+)? (?:kind|type|sort|style) of (?:\w+ )?{w.WHERE}\b{w.NOT_OF_A_THING}",
        rf"\b(?:what|which) (?:\w+ )?(?:{w.WHERE}|city|country|season)\b{w.NOT_OF_A_THING}",
        r"\b(?:what|which) (?:kind|type|sort) of (?:\w+ )?(?:caf[eé]|restaurant|shop|store|building|house|school"
        r"|stadium|park|street|beach|gym|studio|kitchen|office) (?:is|are) (?:this|it|shown|that)\b",
        r"\bweather\b|\bis it (?:an? )?(?:rain(?:ing|y)|snow(?:ing|y)|sunny|cloudy|windy|foggy)\b",
        rf"\b{w.AUX} the {w.WHERE} like\b",
        r"\b(?:indoors?|outdoors?|inside) or (?:indoors?|outdoors?|outside)\b",
        rf"\b{w.AUX} (?:the|this|it) ?(?:\w+ )?{w.MEDIA}? ?(?:\w+ ){{0,2}}?"
        r"(?:indoors|outdoors|take place|taking place)\b",
    ),
    Rule("background", rf"\b(?:{w.AUX}|describe) the (?:\w+ )?location", rest=True),
)

_ENDS = (
    rf"(?:{w.FILM}'s |(?<!'s )(?<!their )(?<!his )(?<!her ))\b{w.MAIN} (?:\w+ )?{w.TOPIC}",
    rf"\b{w.TOPIC} (?:of|for|in) {w.THE_FILM}",
    rf"^(?:so )?what(?: else)?(?: exactly)? (?:is|was|are) (?:mainly |being |it )?{w.GOING_ON}",
    r"^(?:so )?what (?:happens|happened|occurs|occurred|takes place|goes on)(?: next| first| last)?",
    rf"^(?:what|which) (?:{w.KIND} of )?{w.DOING}",
    rf"^what {w.AUX} the (?:\w+ )?(?:occasion|event|activity|action)",
    r"\b(?:sequence|order|chronology|series) of (?:events?|actions|activities|steps|scenes)",
    rf"^(?:what|how|why) {w.AUX} (?:the|this) (?:\w+ ){{0,2}}?{w.FILM}(?: \w+)?",
    rf"^what {w.AUX} (?:the|this) (?:\w+ ){{0,2}}?{w.FILM}\b.*\babout",
    rf"^(?:what|why) {w.AUX} (?:the|this) (?:\w+ )?{w.FILM}"
    r" (?:try\w*|meant|intend\w*|supposed|aim\w*|designed)(?: to)?(?: \w+)?",
)
_ANYWHERE = (
    r"\bsummari[sz]e|\bsummary\b|\bsynopsis\b|\b(?:title|caption|headline) for\b",
    r"^(?:what|which) (?:\w+ )?(?:title|headline)\b|\bgenre\b(?! of music)",
    rf"\bdescribe (?:the|this|what (?:is|happens)) (?:in the )?(?:\w+ )?(?:{w.FILM}|going on|happening|{w.TOLD})",
    r"\b(?:describ|summari[sz]|captur|explain|represent)es? (?:best )?(?:the|this|what)(?: \w+){0,3}? ?"
    rf"(?:{w.FILM}|scene|{w.TOLD})\b",
    rf"\b{w.KIND} of (?:\w+ )?(?:{w.FILM}|content|show|program\w*|media)\b",
    rf"\b(?:target|intended) audience\b|\bhow (?:does|did) (?:the|this) (?:\w+ )?{w.FILM}"
    r" (?:begin|start|end|conclude|open)",
    rf"\b(?:the|this) {w.FILM} is (?:\w+ )?about\b",
    rf"\b(?:purpose|plot|storyline|gist|subject|topic|title) of {w.THE_FILM}\b",
)

_WHOLE = (
    *(Rule("overall_activity", pattern, whole=True, rest=True) for pattern in _ENDS),
    *(Rule("overall_activity", pattern, whole=True) for pattern in _ANYWHERE),
)

STEPS: tuple[Rule | str, ...] = (
    *(*_COUNTING, _FILMED_FROM, *_UNSEEN),
    w.LIVING_SUBJECT,
    *(*_CAMERA, *_LIGHT, *_MOOD, *_PLACE, *_WHOLE),
)
"""Rules in the order they are tried; the one text among them is the subject that settles it."""

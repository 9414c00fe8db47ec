"""Question words: groups of English words that the rules of question_rules.py are made of, as regex alternatives."""


def one_of(words: str, ending: str = "") -> str:
    """A regex group of space-separated words, each followed by `ending`; `_` stands for a space."""
    return "(?:" + "|".join(word.replace("_", " ") + ending for word in words.split()) + ")"


def plurals(words: str) -> str:
    """A regex group of nouns with or without a plural s."""
    return one_of(words, "s?")


AUX = one_of("is are was were does do did has have had can could will would should might may 's")
"""Stands before the subject of a question."""

FILM = plurals("video clip film footage recording movie vlog tutorial documentary advertisement")
"""The video as a whole."""

MEDIA = rf"(?:{FILM}|{plurals('scene shot frame')}|sequence|segment|image|picture)"
"""The video or a part of it."""

LIVING = (
    r"(?:\w*m[ae]n|child(?:ren)?|bab(?:y|ies)|lad(?:y|ies)|family|teen\w*|grand\w+|coach(?:es)?|waitress|actress"
    r"|pupp(?:y|ies)|wol(?:f|ves)|butterfl(?:y|ies)|fox(?:es)?|he|she|they|him|her|them|someone|people|sheep|deer"
    r"|fish|mouse|mice|camera (?:man|woman|person|operator)"
    "|"
    + plurals(
        "boy girl person individual kid toddler infant guy male female adult couple mother father mom dad parent"
        " brother sister son daughter friend teammate opponent player athlete dancer singer performer musician"
        " drummer guitarist pianist actor chef cook worker mechanic engineer driver rider cyclist skater skier"
        " surfer swimmer runner gymnast boxer wrestler referee goalkeeper batter pitcher teacher student doctor"
        " nurse patient barber customer waiter vendor officer soldier farmer climber host reporter journalist"
        " presenter speaker narrator instructor trainer artist painter magician clown judge bride groom character"
        " protagonist photographer videographer cameraer animal dog cat kitten bird horse cow goat pig rabbit"
        " hamster rat lion tiger leopard bear panda monkey orangutan gorilla elephant giraffe zebra penguin duck"
        " chicken hen parrot eagle shark whale dolphin turtle snake lizard frog spider insect bee squirrel raccoon"
        " robot"
    )
    + ")"
)
"""A person or an animal."""

_NOT_ITS_WORDS = (
    rf"(?:camera(?! (?:man|woman|person|operator))|{FILM}"
    "|"
    + one_of(
        "in on of at by with to for from about and scene shot background lighting mood atmosphere tone music text title"
        " caption frame view perspective angle setting number focus sound filmed shown used"
    )
    + ")"
)

LIVING_SUBJECT = rf"\b{AUX} (?:(?!{_NOT_ITS_WORDS}\b)[\w'-]+ ){{0,5}}?{LIVING}\b"
"""`does the tall man`, `are these two dogs`, but not `is the camera near the man`."""

EMPTY = (
    r"(?:[\s,.;:!?'\"]|\b"
    + one_of(
        "of in on for the this that these a an it its is are was were be been being has have does do did can most"
        " mainly primarily generally overall entire whole given provided short here there throughout during and or by"
        " to as so all you we see video clip film footage recording movie vlog tutorial scene scenes sequence segment"
        " image picture frame shown show shows showing depicted depict depicts performed perform presented featured"
        " feature captured demonstrated illustrated portrayed conveyed displayed discussed taught happening happens"
        " occurring occuring occurs occur taking takes take place going carried out done played seen visible observed"
        " described engaged involved held celebrated filmed recorded covered explained unfolding people about activity"
        " activities event events action actions focus focused likely probably correct exact different"
    )
    + r"\b)*"
)
"""Words that add nothing to `main topic`: "of the video that is shown here"."""

LOOKED_AT = (
    r"(?:[\s,]|\b"
    + one_of(
        "else other object objects item items thing things element elements feature features detail details sights"
        " structure structures building buildings tree trees plant plants vegetation scenery landscape furniture"
        " decorations kind kinds type types sort of can could be is are was were do does you we see seen visible shown"
        " present observed found noticed located displayed appear appears there happening happens going on the a main"
        " notable primary static prominent that depicted featured feature any some consistently clearly"
    )
    + r"\b)*"
)
"""Words between `what` and `in the background` that name no concrete thing."""

SCENERY = one_of("background backdrop surrounding surroundings environment scenery landscape setting scene distance")

SIGN = one_of(
    "sign signs text caption captions label banner shirt t-shirt board whiteboard blackboard poster screen title"
    " subtitle subtitles writing sticker placard message overlay card note letter logo tattoo billboard watermark words"
)
"""What can carry writing."""

WRITING = one_of(
    "text texts word words letter letters phrase sentence inscription caption captions subtitle subtitles title writing"
    " message name url phone_number telephone_number serial_number plate_number"
)

SOUND = (
    plurals("sound noise song voice-over voiceover language voice accent")
    + "|"
    + one_of("music melody tune audio soundtrack narration lyrics dialogue speech")
)
SOUND = (
    rf"(?:{SOUND})(?! "
    + one_of(
        "player box sheet stand video instrument system booth equipment store stage engineer check technician mixer"
    )
    + ")"
)
"""What is heard; not the things that make it."""

NO_PREPOSITION = r"(?:(?!" + one_of("with in on to of at by from for and under behind near") + r"\b)[\w'-]+ )"
"""One more word of a noun phrase."""

END = r"\W*$"

# -- for one category each

WHAT, FEW = r"\b(?:what|which|whose)", r"(?:\w+ ){0,2}?"
AMOUNT = r"(?:the|total|exact|approximate|what) (?:\w+ )?(?:number|count|quantity)"
SPOKEN = (
    r"(?:say|saying|said|(?:talk|speak)(?:ing)? about|discuss(?:ing|ed)?|mention(?:ing|ed)?|tell(?:ing)?"
    r"|explain(?:ing)?|whisper(?:ing)?|sing(?:ing)?)"
)
ADDRESSED = r"(?: (?:about|to|at|in|on|during|first|next|with|regarding|as) .*)?"
BRAND = r"(?:brand(?! new|-new)|logos?|slogan)"
LEGIBLE = (
    r"(?:written|printed|displayed|shown|appears?|appearing|visible|seen|read|on-screen|on|inscribed|overlaid"
    r"|engraved|featured)"
)
NAMED = rf"(?:{LIVING}|restaurant|shop|store|channel|song|show|company|product|place|city|team)"
PARTS = (
    r"(?:angles?|movements?|motion|moves?|works?|views?|viewpoint|perspective|positions?|zooms?|shots?"
    r"|techniques?|pan|panning|tilts?|shakes?|setup|focus|height|distance|direction|transitions?|cuts?|speed"
    r"|style|effects?)"
)
OF_FILM = rf"(?:{FILM}|scenes?|shots?|view)"
FILMED = r"(?:film(?:ed|ing)?|shot|record(?:ed|ing)|captured?|framed|viewed|shown|seen|taken|edited|presented)"
SIZE = r"(?:close-?ups?|wide(?:-angle)?|aerial|establishing|tracking|overhead|low-angle|high-angle|drone)"
TRICKS = (
    r"(?:slow[- ]motion|time[- ]?lapse|fast[- ]forward\w*|split[- ]screen"
    rf"|{SIZE} (?:shots?|views?|footage)|(?:single|one|continuous) (?:take|shot))"
)
ANGLE = r"(?:angle|perspective|viewpoint|point of view|vantage point)"
BEHIND = r"(?:background|backdrop|lighting|sky|scene|environment|surroundings|room|stage lights?"
BEHIND += r"|ambient light)"
DARK = r"(?:bright|dark|dim|(?:well|brightly|dimly|poorly)[- ]lit)"
MOST = r"(?:dominant|predominant|main|primary|overall|prevailing|prominent|common|general|background)"
REST = rf" colou?rs?(?: used| seen| visible| present| shown)?(?: (?:of|in) the (?:\w+ )?{BEHIND})?"
FELT = r"(?:emotions?|feelings?|sentiments?|impressions?|sense|lessons?)"
CONVEYED = r"(?:convey|evok|express|portray|suggest|communicat|elicit|creat|learn|taught|left|leave|projected|give)"
SOMEONE = rf"\b(?:by|on|in|of|from) (?:the |a |his |her )?(?:\w+ ){{0,3}}?{LIVING}\b"
WHERE = (
    r"(?:place|location|setting|environment|venue|landscape|terrain|weather|scenery|background|surroundings"
    r"|room)s?"
)
EVENT = (
    rf"(?:{FILM}|scene|event|action|activity|activities|filming|story|game|match|competition|performance"
    r"|concert|race|party|ceremony|show|lesson|demonstration|interview|this|it)"
)
HELD = r"(?:take|taking|taken|took|set|film\w*|shot|located|held|happen\w*|record\w*|being|place|occur\w*)"
NO_COMPOUND = (
    r"(?! (?:dancers?|singers?|actors?|characters?|objects?|vocals|music|noise|sounds?"
    r"|of the (?:man|woman)))"
)
NOT_OF_A_THING = rf"(?! (?:does|do|did) the (?!{EVENT}))"
MAIN = r"(?:main|primary|overall|central|general|key|principal|core|major|entire|whole|best|correct)"
TOPIC = (
    r"(?:topic|subject(?: matter)?|theme|focus|activit(?:y|ies)|events?|actions?|contents?|idea|purpose|point"
    r"|message|story(?:line)?|plot|narrative|task|goal|objective|aim|intention|process|sequence|concept"
    r"|highlights?|takeaway|context|situation|outcome|scenario|title|summary|steps?)"
)
THE_FILM = (
    rf"(?:the|this) (?:\w+ ){{0,2}}?"
    rf"(?:{FILM}|scene|presentation|story|show|event|lecture|speech|discussion)"
)
KIND = r"(?:kind|type|sort|category|style|genre|format)"
GOING_ON = (
    r"(?:happening|going on|taking place|occurring|done|shown|demonstrated|depicted|presented|featured"
    r"|captured|performed|discussed|taught|displayed|celebrated)"
)
DOING = (
    r"(?:activity|activities|events?|actions?|sports?|games?|process|task|ceremony|occasion|celebration|holiday"
    r"|competition|performance|procedure|skill|technique|topic|tutorial)"
)
TOLD = r"(?:events?|happens|sequence|theme|topic|activity|content|plot|story)"

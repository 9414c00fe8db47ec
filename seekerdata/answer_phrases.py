"""Answer phrases: the words with which models commit to an answer, take it back, deny it or refuse it.

Only patterns stand here; what they mean is decided in answer_claims.py and answers.py. Repeats are possessive,
bounded or anchored to a place, so that a text with single spaces takes linear time.
"""

import re
from typing import Any

ALPHA = "A-Za-zÀ-ɏͰ-ӿḀ-ỿ"
"""Letters of the scripts that put spaces between words: a word ends where none of these follows."""
UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3"
"""Scripts without spaces, or (Korean) with endings glued to the word: read sign by sign."""


class _Phrase:
    """A pattern, compiled when it is first asked for: all at once would take a third of a command's start."""

    def __init__(self, pattern: str, flags: int = 0) -> None:
        self._made_of = pattern, flags

    def __getattr__(self, name: str) -> Any:
        self.__dict__[name] = getattr(re.compile(*self._made_of), name)
        return self.__dict__[name]


def any_of(spaced: str, joined: str = "") -> str:
    """A pattern of alternatives: `spaced` words stand between word edges, `joined` ones anywhere.

    Both are tables of words parted by `|` (no word may hold one); line breaks are only layout.
    """

    def alternatives(table: str) -> str:
        words = {" ".join(word.split()) for word in table.split("|")} - {""}
        return "|".join(w.replace(" ", r"\s+") for w in sorted(words, key=lambda w: (-len(w), w)))

    pattern = rf"(?<![{ALPHA}])(?:{alternatives(spaced)})(?![{ALPHA}])"
    return rf"(?:{pattern}|{alternatives(joined)})" if joined else pattern


# -- to commit ---------------------------------------------------------------------------------------------------
_phrase: Any = _Phrase  # read everywhere as the `re.Pattern` that it stands for
_ANSWER = any_of(
    """answers? | answer's | answer with | respond with | ans | responses? | reply | prediction | verdict | guess
    | selection | solution | result | antwort | antworten | lösung | réponse | reponse | respuesta | solución | resposta
    | gabarito | risposta | soluzione | ответ | ответом | відповідь | antwoord | odpowiedź | odpowiedź to | odpověď
    | cevap | cevabı | yanıt | đáp án | câu trả lời | trả lời | jawaban | jawabannya | svar | svaret | vastaus | răspuns
    | răspunsul | válasz | απάντηση""",
    "答案|答え|解答|回答|正解|答|정답|답변|답|คำตอบ|ตอบ|उत्तर|जवाब|الإجابة|الاجابة|الجواب|إجابة|جواب|תשובה|پاسخ|উত্তর",
)
_OPTION = any_of(
    """options? | choices? | alternatives? | opción | opcion | alternativa | opção | opcao | opzione | optie | choix
    | wahl | variante | вариант | варіант | lựa chọn | phương án | pilihan | seçenek | şık""",
    "选项|選項|選択肢|선택지|보기|ตัวเลือก|ข้อ|विकल्प|الخيار|خيار",
)
_CHOOSE = any_of(
    """choose | chose | choosing | chosen | pick | picked | picking | select | selected | selecting | go with
    | going with | go for | going for | went with | opt for | opting for | vote for | settle on | settled on
    | lean towards? | leaning towards? | bet on | say | leaves us with | left with | this leaves | that leaves
    | that leaves us with | corresponds? to | wähle | nehme | entscheide mich für | elijo | escojo | selecciono
    | choisis | opte pour | escolho | seleciono | dirais | diría | diria | direi | würde sagen | scelgo | seleziono
    | выбираю | выберу | kies | wybieram | seçiyorum | chọn | memilih""",
    "选择|選擇|选|選|对应|對應|เลือก|चुन|선택|أختار|اختار",
)
_COPULAS = """is | are | was | be | been | being | would | will | should | must | has to be | have to be | can only be
    | corresponds? to | matches | points? to | ist | lautet | wäre | est | serait | es | sería | é | seria | è | sarebbe
    | это | является | jest | je | är | er | este | είναι | là | adalah | ialah | olan"""
_COPULAS_JOINED = "应该是|應該是|应该为|应是|应为|就是|只能是|是|为|為|は|が|은|는|이|가|คือ|هي|هو|है|היא|הוא"
_COPULA = any_of(_COPULAS, _COPULAS_JOINED)
_ADVERBS = """most | more | likely | probably | possibly | perhaps | maybe | presumably | clearly | definitely
    | certainly | surely | apparently | obviously | undoubtedly | therefore | thus | hence | so | then | indeed | simply
    | just | really | only | now | actually | rather | instead | in fact | still | again | finally | overall
    | in conclusion | donc | also | daher | deshalb | por lo tanto | entonces | portanto | quindi | dunque | alors
    | wahrscheinlich"""
_POINTERS = r"""the | this | that | it | its | it's | that's | which | my | i(?=\s+\w{2}) | i'd | i'm | i'll | we | you
    | think | thinking | believe | could | might | may | can | seems? | appears? | looks? like | going | gotta | mean
    | meant | letter | number | labell?ed | marked | called | namely | best | correct | closest | accurate | appropriate
    | suitable | final | either | both | or | ok | okay | sure | well | hmm+ | oh | sorry | to be | to the question
    | to this question | of the question | for this question | as follows | follows | given | la | le | el | l' | il
    | lo | die | der | das | c'est | lettre | letra | lettera | buchstabe | correcta | correcto | correcte | certa
    | certo | giusta | giusto | correta | correto | corretta | corretto | bonne | richtige | richtig | juste | đúng
    | правильный | верный | yang | benar | doğru | a letra | a alternativa | a opção
    | (?-i:[ao])(?=\s+[B-Z](?![A-Za-z])) | yes(?=,?\s+(?-i:[A-Z])(?![A-Za-z])) | que | che | dass | что | ich | würde
    | tepat | corect"""
_POINTERS_JOINED = """正确|正確|最终|最終|最佳|最|的|应该|应|應|因此|所以|故|我|认为|認為|综上所述|综上|可能|大概
    |也许|估计|更|合适|恰当|准确|符合|しい|番|번|최종|ที่ถูกต้อง|最も適切なの|सही|الصحيحة|الصحيح"""
_FILLER = f"{_ANSWER}|{_OPTION}|{_CHOOSE}|" + any_of(
    f"{_COPULAS}|{_ADVERBS}|{_POINTERS}", f"{_COPULAS_JOINED}|{_POINTERS_JOINED}"
)
_OPENING = r"\"'“‘(\[{<【「『|"

# `The answer is ...`, `option ...`, `I choose ...`: what follows the match is what is claimed.
COMMIT = _phrase(
    rf"(?:(?P<noun>{_ANSWER})|(?P<option>{_OPTION})|(?P<verb>{_CHOOSE}))[】」』]?"
    rf"(?P<link>(?:\s++|[:=>–—{_OPENING}]|-(?!\d)|{_COPULA}){{0,12}}+)"
    rf"(?P<fill>(?:\s++|{_FILLER}|[:=>–—{_OPENING}】]|,(?=\s)|-(?!\d)){{0,24}}+)",
    re.I,
)
LINKED = _phrase(rf"[:=]|{_COPULA}", re.I)
# `The answer to the question of ... is`: a link with other words before it.
FAR_LINK = _phrase(
    r"(?:(?!\b(?:not|whether|if|where|when|depends)\b|n't\b)[^.!?;\n]){1,90}?"
    r"(?:\b(?:is|be|est|es|ist|lautet)\s|:)\s*",
    re.I,
)
_TURNS = any_of("but | so | hence | thus | sondern | sino | mais | mas | ma | а", "ではなく|じゃなく|아니라")
_ENDING = any_of("is | it's | be | that's")
# A clause of nothing but fillers and then a letter or an option's text: `, so C.`, `It's (B).`, `- C`.
CLAUSE = _phrase(
    rf"(?:\A|,\s*no(?=\s)|[!?;,:\n。；、>→•|]|\.(?!\w\.)|[-–—](?=\s)|{_TURNS}|(?P<ending>{_ENDING}))"
    rf"(?P<fill>(?:\s++|{_FILLER}|\[[xX✓✔]\]|[-–—•·+∴✅✓✔☑👉➤▶⇒⟹{_OPENING}]|\d{{1,2}}[.)](?=\s)){{0,16}}+)",
    re.I,
)
# Fillers that make a clause an assertion: `it's white`, `so white`; not `then white`.
_ASSERTIONS = (
    "is | are | was | it's | that's | be | so | hence | thus | therefore | think | say | guess | believe | answer"
)
ASSERTS = _phrase(any_of(_ASSERTIONS, "是|は|은|는|答案"), re.I)
ASKS = _phrase(r"\W*(?:is|was|are|were|would|could|should|can|will|might|do|does)\b", re.I)
CALLED_FINAL = _phrase("final|最终|最終|최종|endgültig|définiti|definitiv|итогов", re.I)
# Before a letter that is judged: `option B is right`, never `plan B is right`.
LEADS_TO = _phrase(
    rf"(?:\A|[.!?;,:\n。，、—–(\[\"'“{UNSPACED}]|{_FILLER}"
    rf"|{any_of('that | makes | making | and | or | but')})[\s(\[\"'“]*\Z",
    re.I,
)
_JUDGED = f"{_COPULAS}|appears? | seems? | looks? | fits | matches | describes | to be"
_JUDGE_FILLER = any_of(f"{_JUDGED}|{_ADVERBS}|the | my | a | la | le | die | das | option | final", "最|的")
# After a letter: `... is the correct answer`; not `is right behind him`, `is likely to fall`.
RIGHT = _phrase(
    rf"[)\]}}\"'”\s]*(?:选项|選項|項|项|番|번)?(?:{any_of(_ADVERBS)}|\s){{0,6}}"
    rf"(?:{any_of(_JUDGED)}(?:\s|{_JUDGE_FILLER}){{0,12}}(?:"
    + any_of(
        r"""correct | true | accurate | best | better | answer | choice | correct one | right one | appropriate
        | suitable | plausible | reasonable | fitting | right(?=\s*[^\w\s-]) | right(?=\s*\Z) | right answer
        | right option | right choice | right because | right to me | likely(?!\s+to) | closest(?!\s+to) | richtig
        | richtige | korrekt | correcte | correcta | correcto | bonne | juste | respuesta | réponse | resposta
        | risposta | correta | correto | corretta | corretto | antwort | верно | верный | правильный | правильно
        | đáp án | đúng | jawaban | benar | doğru | juist"""
    )
    + rf")|\s+(?:wählen|nehmen|it is)\b|\s+correct\W*\Z|\s+the (?:correct|right|best) (?:answer|option|choice)\b"
    r"|\s*best (?:fits|matches|describes|represents|captures|explains|reflects)\b"
    rf"|(?:{_COPULAS_JOINED}|最|更|的|\s){{0,6}}"
    r"(?:正确|正確|对的|對的|合适|恰当|正しい|正解|適切|정답|맞|옳|을 선택|를 선택|を選|सही|صحيح))",
    re.I,
)
ONLY = _phrase(r"\bonly\s+(?:option\s+|choice\s+)?\Z", re.I)
FITS = _phrase(r"\s+(?:is\s+)?(?:fits|matches|remains|applies|works|left|consistent|possible|supported)\b", re.I)
_AND = any_of("and | or | und | oder | et | ou | y | o | e | и | или | nor | and/or | atau | veya")
_JOINTS = rf"(?:(?:,\s*)?{_AND}|[,/&+>]|-+>|→|和|或|及|与|與|、|と|か|또는|와|과)[(\[\"'“\s]*"
# After a letter: `or C`, `, C`, `and C`; before one: `A and`.
JOINED = _phrase(
    rf"[)\]}}\"'”\s]*{_JOINTS}(?:(?:option|choice|maybe|perhaps|possibly|even)\s+){{0,3}}(?P<letter>[A-Z])"
    rf"(?![{ALPHA}\d'])(?=\W{{0,3}}(?:\Z|[.,;!?\n)/&>。、]|-+>|{_AND}|{any_of('are | both')}|[{UNSPACED}]))"
)
JOINED_BEFORE = _phrase(rf"(?<![{ALPHA}\d])([A-Z])[)\]}}\"'”\s]*{_JOINTS}\Z")
_CLOSING = r"[\s)\]}>\"'”’」』】|]*"
_BECAUSE = r"""because | since | as(?!\s+well) | due | given | not | rather | based | instead | over | if | i think
    | i believe | i guess | with(?=\s+\w+\s+confidence)"""
_TAIL = any_of("only | of course | obviously | for sure | please | thanks | definitely | probably")
# What may stand behind a letter or an option's text that is committed to.
ENDED = _phrase(
    rf"{_CLOSING}(?:\Z|[.,;:!?\n(。；、—–|/]|"
    + any_of(
        f"""{_BECAUSE} | which | where | from | for | with | is | was | weil | da | parce | car | porque | perché
        | потому | option | please | i | according | and | but | however | so | while""",
        "입니다|이다|이에요|예요|です|だ|である|번|選項|选项|项|項|因为|है|を|을|를|ครับ|ค่ะ",
    )
    + ")",
    re.I,
)
SENTENCE_END = _phrase(
    rf"{_CLOSING}(?:\Z|[.;!?\n。；]|입니다|이다|이에요|예요|です|だ|である|번|选项|项|है)"
    rf"|\s*+[,—–(-]?\s*+{any_of(_BECAUSE)}|\s*\([^()\n]{{0,30}}(?:%|confiden|sure)"
    rf"|\s*+,?\s*+{_TAIL}\s*(?:[.!?\n]|\Z)",
    re.I,
)
NOTHING_MORE = _phrase(
    r"[^\w+#%]*+(?:입니다|이다|이에요|예요|です|だ|である|번|选项|选择|项|है|please|only|thanks)?[^\w+#%]*+\Z",
    re.I,
)

# -- to take back, conclude, doubt, deny -------------------------------------------------------------------------
CORRECTS = _phrase(
    any_of(
        r"""wait | actually | correction | corrected | correcting | second thoughts? | on reflection | nope
        | no(?=[,.:;!?]) | no(?=\s+(?-i:[A-Z])(?![A-Za-z])) | scratch that | strike that | i mean | i meant | mistake
        | mistaken | oops | hold on | look again | looking again | let me re\w* | let me correct | re-?examin\w+
        | re-?check\w* | reconsider\w* | closer inspection | closer look | revised | sorry | apologies | korrektur
        | eigentlich | en fait | attendez | espera | corrección | en realidad | aspetta | correzione | espere | correção
        | na verdade | подождите | исправление | точнее""",
        "等等|等一下|不(?=,)|不对|不對|更正|纠正|其实|其實|重新|待って|訂正|いや|やはり|やっぱり|잠깐|아니|정정",
    ),
    re.I,
)
CONCLUDES = _phrase(
    any_of(
        """so | hence | therefore | thus | finally | ultimately | overall | conclusion | in summary | summary
        | consequently | in short | to sum up | after all | daher | deshalb | schließlich | donc | finalement
        | por lo tanto | entonces | portanto | quindi | поэтому | итак""",
        "因此|所以|综上|綜上|故选|따라서|그러므로|결론|したがって|よって|つまり",
    ),
    re.I,
)
HEDGES = _phrase(
    any_of(
        """at first | initially | first thought | i thought | might | could | may | tempting | seems? | seemed
        | appears? | plausible | possible | was going to | first i | glance | would have | was thinking | my first"""
    ),
    re.I,
)
_DENIALS = """not | never | nobody | neither | nor | cannot | \\w+n't | without | instead of | rather than | unlike
    | other than | except | nicht | kein | keine | pas | nunca | não"""
# Right before a choice: `I don't think it is`, `rule out`, `if the answer were`.
DENIED_BEFORE = _phrase(
    "(?:"
    + any_of(
        rf"""{_DENIALS} | doubt | rule out | rules out | ruled out | ruling out | eliminat\w+ | exclud\w+ | discard\w*
        | reject\w* | dismiss\w* | than | over | against | if | whether | unless | suppose | assuming | unlikely
        | jamais | non | nie | не | ni | sauf | außer | excepto | niet | değil | không | không phải | bukan | ikke
        | inte | anything but | everything but | all but""",
        "不是|并非|並非|不选|不選|不应|非|没有|排除|除了|아닌",
    )
    + r")(?:[\s\"'(\[“]++|"
    + any_of(
        """think | believe | say | that | the | this | it | is | it's | be | been | are | were | correct | right | true
        | best | options? | choice | answer | choose | pick | select | go with | likely | would | to | either | letter
        | both | necessarily | actually | really | la | le | el | die | der | das | réponse | respuesta | antwort""",
        "选项|選項|选|選|是|答案",
    )
    + r")*+\Z",
    re.I,
)
# Right after a letter, where the denial comes last: `Aではなく`, `A가 아니라`.
DENIED_LAST = _phrase(r"\s*(?:では|じゃ)(?:な|あり)|\s*(?:가|이)?\s*아니|\s*(?:değil|नहीं)", re.I)
# Anywhere before in the same clause, for an option's text: `The jacket is not a bright red`.
DENIES = _phrase(any_of(f"{_DENIALS} | no", "不是|并非|没有|不"), re.I)
_WRONG = (
    "wrong|incorrect|false|ruled out|eliminated|excluded|inaccurate|unlikely|irrelevant|unsupported|invalid"
    "|inconsistent|impossible|mistaken"
)
DENIED_AFTER = _phrase(
    r"[)\]}\"'”\s]*(?:[:–—-]\s*)?(?:选项|選項|项|は|が|은|는|이|가)?\s*(?:(?:is|are|was|were|seems?|looks?|appears?|can"
    r"|could|does|do|did|has|have|would|should|must|also|both|all|clearly|simply|definitely|therefore|be|been|to"
    r"|completely|obviously|ist|est|es|é|è)\s+){0,5}+"
    rf"(?:(?:{_WRONG}|not|cannot|contradict\w*|fails?|nicht|falsch|faux|fausse|pas|incorrect[ao]s?|no\s+es|errad[ao]"
    r"|sbagliat[ao]|неверн\w*|n'est)\b|\w+n't\b|错|錯|不|排除|没|違|誤|間違|틀|아니)",
    re.I,
)
# Anywhere in the line after a letter, where a reply goes through the options line by line.
VERDICT_WRONG = _phrase(
    rf"[^\n]{{0,160}}?(?:\b(?:{_WRONG}|not (?:correct|right|the|match|shown|seen|present|visible))\b|n't\b"
    r"|❌|✗|✘|错|錯|不正确|不对|不符)",
    re.I,
)

# -- to refuse, to choose nothing, to say yes or no -------------------------------------------------------------
_TELL = (
    r"(?:determine|tell|say|answer|identify|know|see|view|watch|access|process|confirm|assist|help|provide|conclude"
    r"|infer|make out|discern|verify|judge|choose|decide|select|establish|recogni[sz]e|comply|analy[sz]e|describe|give"
    r"|find|pick|be (?:determined|answered|identified|known|inferred|seen|told|established|confirmed))\b"
)
CANNOT_TELL = _phrase(
    r"\b(?:cannot|can't|can not|could not|couldn't|unable to|not able to|impossible to|hard to|difficult to"
    rf"|not possible to|no way to)\s+(?:\w+\s+){{0,2}}?{_TELL}|\b(?:not|isn't|insufficient|n't have|no) "
    r"(?:enough |sufficient |any )?(?:information|info|context|evidence|details?|data|visual)"
    r"|\bnot (?:enough|sufficient|clear|sure|certain|provided|mentioned|specified|stated|visible|shown|known|given)\b"
    r"|\b(?:undetermined|unknown|unclear|unsure|uncertain|inconclusive|unanswerable)\b"
    r"|无法(?:确定|判断|得知)|不能(?:确定|判断)|不确定|不知道|判断できません|わかりません|알 수 없",
    re.I,
)
REFUSES = _phrase(
    r"\bi(?:'m| am)(?: \w+)? (?:sorry|unable|afraid)|\bi apologi[sz]e|\bmy apologies|^\W{0,9}sorry\b|\bno idea\b"
    r"|\bi (?:do not|don't|did not|didn't|cannot|can't|could not|couldn't) (?:know|see|have|find)\b|\bas an ai\b"
    r"|\b(?:videos?|clips?|footage|images?|frames?|questions?|scenes?|subtitles?|options?|information|pictures?"
    r"|content)(?: \w+)? (?:does not|doesn't|do not|don't|did not|didn't|never|is not|isn't|are not|aren't|was not"
    r"|wasn't|cannot|can't|fails? to)\b|\bplease (?:provide|upload|share)|\bi refuse\b"
    r"|\bno (?:video|image|frame|clip)s? (?:is|are|was|were|has|have|provided|attached|available)"
    r"|\bwithout (?:the|seeing|access|more|further|any|a|additional) |无法|無法|不能回答|抱歉|对不起|對不起"
    r"|没有(?:显示|展示|提供|足够|出现|提到)|未(?:显示|提及|提供|出现)|申し訳|できません|わからない|分かりません"
    r"|不明です|죄송|정보가 없|모르겠|불가능|못합니다|tut mir leid|\bleider\b|\bich kann\b.{0,60}\bnicht\b"
    r"|nicht (?:möglich|ersichtlich)|je ne (?:peux|sais)|désolé|impossible (?:de|à)|ne (?:montre|permet) pas"
    r"|on ne peut|\bno (?:puedo|se puede|es posible|lo sé|muestra)\b|lo siento|desculp|sinto muito"
    r"|não (?:posso|consigo|é possível|sei)|non (?:posso|è possibile|so|riesco)\b|mi dispiace|не (?:могу|знаю)"
    r"|извините|невозможно|к сожалению|helaas|kan (?:het )?niet|không thể|xin lỗi|tôi không|لا (?:أستطيع|يمكن|أعرف)"
    r"|آسف|عذر|माफ|क्षमा|नहीं (?:बता|पता|कर सक)|tidak (?:dapat|bisa|tahu)|\bmaaf\b|üzgünüm|bilmiyorum|ขออภัย"
    r"|ไม่(?:สามารถ|ทราบ)|nie (?:mogę|wiem)|przepraszam",
    re.I | re.M,
)
NONE_OF = _phrase(
    r"\b(?:none|neither|any|all|both|each)(?: of)?(?: the| these| those)? (?:above|these|those|them|options?"
    r"|choices?|given|listed|provided|answers?|alternatives|is correct|are correct)\b"
    r"|\A\W*(?:none|neither|both|all|everything|nothing)\W*\Z|以上(?:都|皆|全|所有|均)|都不(?:是|对)|いずれも"
    r"|\bno (?:correct|valid|right|suitable )?(?:options?|choices?|answers?)\b|해당 없음|(?:ningun|nessun|aucun)[ae]?\b"
    r"|\bkeine der|\btodas las|\btoutes les",
    re.I,
)
POLAR = ("yes", "no", "true", "false")
# After yes or no: `No, ...`, `No it is`; not `No one`, `Yes or no`.
PAUSE = _phrase(r"[\"')\]]*\s*(?:[.,;:!?\n—–(-]|\Z|(?:it|he|she|they|there|the|this|that|i|we|his|her)\b)", re.I)

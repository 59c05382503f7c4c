"""A message without its variable parts.

What is a name in the program (a column, an attribute, the host of a URL, a status) stays; what comes out of its input
(ids, numbers, times, addresses, paths, quoted values, bodies) becomes ``#``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

#: So much of a message is read, and so much of what is left of it is kept, in characters.
_READ, _KEPT = 4_000, 300
#: What is quoted or set after one of these is a name in the program, not a value that it was given.
_NAMING = re.compile(
    "relation|columns?|table|view|constraint|index|schema|sequence|function|procedure|operator|extension|type|collation"
    "|trigger|policy|fields?|attribute|argument|parameter|property|method|module|package|class|option|setting|variable"
    "|header|host|hostname|database|dtype",
    re.IGNORECASE,
)
#: What is quoted after one of these is a message of its own.
_TELLING = re.compile("reason|message|error|details?|said|says|because|failure|exception", re.IGNORECASE)
#: Errors about names in the program: whatever they quote is one.
_ABOUT_NAMES = re.compile(
    r"\b(?:AttributeError|TypeError|NameError|UnboundLocalError|ImportError|ModuleNotFoundError|ProgrammingError"
    r"|NotImplementedError|SyntaxError|UndefinedTable|UndefinedColumn|UndefinedFunction|FieldError)\b"
)
#: Errors about input that cannot be read: what exactly is wrong with it is chance.
_ABOUT_INPUT = re.compile(
    r"\b(?:JSONDecodeError|UnicodeDecodeError|UnicodeEncodeError|ParseError|ExpatError|binascii\.Error|zlib\.error"
    r"|struct\.error|UnpicklingError|BadZipFile|BadGzipFile)\b"
)
#: Digits that stay are put aside where no pattern finds them.
_ASIDE = str.maketrans("0123456789", "".join(chr(0xE000 + digit) for digit in range(10)))
#: Stands for a body until those around it are found.
_HOLE = "\ue010"
_BACK = {0xE000 + digit: str(digit) for digit in range(10)}

_DETAIL = re.compile(
    r"\n(?:DETAIL|HINT|CONTEXT|QUERY|STATEMENT):|\nLINE \d+:|\s*\[(?:SQL|parameters): |\(Background on this error"
)
_MARKUP = re.compile(r"<(?:!doctype|html|\?xml)\b.*", re.IGNORECASE | re.DOTALL)
_BODY = re.compile(r"\{[^{}]*\}")
_OPEN_BODY = re.compile(r"\{\s*['\"].*", re.DOTALL)
_TOLD = re.compile(
    r"['\"](?:error|errors|code|type|reason|message|error_code|status)['\"]\s*:\s*(?:['\"]([^'\"]{1,80})['\"]|([1-5]\d\d)\b)"
)
_URL = re.compile(
    r"\b([a-zA-Z][\w+.-]*)://(?:[^\s/@'\"]*@)?(\[[\da-fA-F:.%]+\]|[^\s/:?#'\"<>()\[\],;]*)[^\s'\"<>)\],;]*"
)
_REPR = re.compile(r"<(?!class\b)([A-Za-z_][\w.]*)\b[^<>]{0,300}>")
_CAUSE = re.compile(r"\b([A-Z]\w+)\((?:-?\d+, )?(['\"])((?:\\.|(?!\2\)).)*)\2\)")
_CODED = re.compile(r"^\((\d{3,5}), [bu]?(['\"])(.*)\2\)$", re.DOTALL)
#: What an exception with several arguments says, if the first of them is a sentence.
_ARGUMENTS = re.compile(r"^\((['\"])((?:(?!\1).)* (?:(?!\1).)*)\1, (.*)\)$", re.DOTALL)
_EMAIL = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
#: What stands before a number that tells what happened, and not to what.
_STATUS = re.compile(
    r"(?:\b(?:http(?:/\d(?:\.\d)?)?(?: error)?|status(?:[ _]code)?|errno|sqlstate|signal|(?:exit|error|return|response)"
    r"(?:[ _](?:code|status))?|code)[\s:=#('\"]{0,3})$",
    re.IGNORECASE,
)
#: Names of packages that end in a digit are no numbers either.
_PACKAGE = re.compile(r"[a-z]{3,}\d(?:\.[A-Za-z_]+)+")
_QUOTED = re.compile(
    r"(?<!\w)[bru]{0,2}(?:'((?:[^'\\]|\\.|'(?=\w))*)'(?!\w)|\"((?:[^\"\\]|\\.)*)\"|`([^`]*)`|\u201c([^\u201d]*)\u201d|\u2018([^\u2019]*)\u2019"
    r"|\xab([^\xbb]*)\xbb)",
    re.DOTALL,
)
#: A quote that was cut off with the message.
_CUT_QUOTE = re.compile(r"(?<!\w)(?:'[^']{200,}|\"[^\"]{200,})$", re.DOTALL)
_NAME = re.compile(r"[^\W\d][\w.$-]*(?:\(\))?$")
_EXTENSIONS = (
    "csv|tsv|txt|jsonl?|xml|ya?ml|html?|pdf|png|jpe?g|gif|svg|webp|tiff?|mp[34]|wav|avi|mov|mkv|zip|gz|tgz|bz2|xz|zst|"
    "tar|7z|parquet|avro|orc|feather|xlsx?|docx?|pptx?|log|sql|db|sqlite3?|bin|dat|tmp|bak|pkl|npy|npz|h5|md|ini|cfg|"
    "conf|toml|lock|pem|crt|eml|ics|part"
)
_PATH = re.compile(
    r"(?<![\w<>:/\\.])(?:~|\.{1,2}|[A-Za-z]:)?[/\\][\w.@%+=~,:-]*[\w-](?:[/\\][\w.@%+=~,:-]*)*(?:\?[^\s'\"]*)?"
)
_FILE = re.compile(rf"(?<![\w./\\-])[\w./\\-]*[\w-]\.(?:{_EXTENSIONS})\b", re.IGNORECASE)
_SET = re.compile(r"\b(\w+)=([^\s,;)\]}&#]+)")
#: What bears a name of its own, which may be a word.
_THING = re.compile(
    "user|username|login|tenant|customer|client|account|company|organi[sz]ation|org|team|member|owner|author|sku|product"
    "|item|order|invoice|file|filename|bucket|blob|key|id|token|session|topic|node|host|server|shard|region|country|city"
    "|device|project|repository|repo|branch|document|record|name|value|symbol|coupon|campaign|patient|student|player",
    re.IGNORECASE,
)
_PLAIN = re.compile(
    "not|no|is|are|was|were|has|have|had|does|did|do|can|cannot|could|must|may|should|will|already|missing|required"
    "|invalid|timeout|refused|denied|failed|expired|closed|unknown|none|null|empty|error|exists?|and|or|of|in|to|for",
    re.IGNORECASE,
)
#: What is said to be or do something by its own name; ``user bob is``, but not ``user email is``.
_SUBJECT = re.compile(
    r"\b((?i:user|tenant|customer|client|account|company|organi[sz]ation|org|team|member|owner|author|bucket|topic|host"
    r"|node|shard|region|project|repo|repository|branch|patient|student|player))(\s+)([a-z][\w.@'-]*)"
    r"(?=\s+(?:is|was|has|had|does|did|not|cannot|can't|could|already|exceeded|may|must|isn't|wasn't|doesn't|needs|lacks)\b)"
)
_QUALITY = re.compile(
    "e-?mail|phone|address|status|state|total|date|amount|price|balance|number|type|code|password|limit|quota|count|age"
    "|size|length|level|role|roles|group|groups|list|lists|profile|avatar|picture|image|photo|birthday|birthdate|gender"
    "|language|locale|currency|timezone|zone|title|description|label|version|setting|settings|config|configuration"
    "|session|login|logout|access|permission|permissions|data|record|records|row|field|card|cart|plan|subscription"
    "|payment|credit|credits|score|rate|rating|creation|deletion|update|import|export|lookup|input|output|service"
    "|server|machine|reference|url|link|path|file|table|model|object|instance|class|agent|ids|names|which|that|who|it"
    "|policy|contract|history|activity|domain|network|country|city|region|street|zip|pool|cluster|connection|lease"
)
_LABELLED = re.compile(r"\b([A-Za-z]+)(\s*:\s*)([^\W\d][\w.@'-]*)(?=\s*(?:[,;)\]]|\.?$))")
_PERSON = re.compile(r"\b([A-Za-z]+)(\s+)([A-Z][\w'-]*)((?:\s+[A-Z][\w'-]*)*)")
_NUMBERED = re.compile(
    r"(?<![\w.%+~$€£#@-])[$€£#@]{0,3}[-+±]?(?:[\w.%+~-]|(?<=[\w%])[:/,](?=\w)){0,80}\d(?:[\w%+~°-]|[.:/,](?=[\w+-]))*|\b(?i:nan|[+-]?inf)\b"
)
_HEX = re.compile(r"\b[0-9a-fA-F]{8,}\b")
#: Addresses of network cards, and of IPv6.
_ADDRESS = re.compile(
    r"\b(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}\b"
    r"|(?<![\w:])(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4})*)?::(?![\w:])"
    r"|\[?(?<![\w:])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{1,4}\b(?:\]:\d+)?"
)
_UNIT = re.compile(
    r"#\s?(?:%|°C|[kKMGTP]i?[Bb]?\b|bytes?\b|bits?\b|B\b|[nuµm]?s\b|milliseconds?\b|microseconds?\b|secs?\b|seconds?\b"
    r"|mins?\b|minutes?\b|h\b|hrs?\b|hours?\b|days?\b|weeks?\b|months?\b|years?\b|m\b|[kcm]m\b|kg\b|g\b|Hz\b"
    r"|USD\b|EUR\b|GBP\b|[€$£])"
)
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*"
_DATE = re.compile(
    rf"(?:\b{_DAY},?\s+)?(?:\b{_MONTH}\.?\s+#|#\s+{_MONTH}\b)(?:,?\s+#)*(?:\s+(?:[AP]M|GMT|UTC|[+-]#)\b)?|#\s+(?:[AP]M|GMT|UTC)\b"
)
_LIST = re.compile(r"(?:#|\{\})(?:\s*(?:,|;|&|\||/|:|\bx\b|,?\s(?:and|or)\b)\s*(?:#|\{\}))+")
_MORE = re.compile(r"(?<=#)(?:,|\s|\.\.\.|…)+(?:and # (?:more|others)|\.\.\.|…|and others|more\b|others?\b)")
_COUNTED = re.compile(r"(?<=# )(?!(?:is|has|was)\b)([a-z-]+?)s?(?: (?!(?:is|has|was)\b)([a-z-]+?)s?)?(?<!-)\b(?!-)")
_NUMBER_OF = (
    (re.compile(r"\b(?:was|were)\b"), "was"),
    (re.compile(r"\b(?:is|are)\b"), "is"),
    (re.compile(r"\b(?:has|have)\b"), "has"),
)
_SPECIAL = (
    (re.compile(r"^(?:not enough|too many) values to unpack.*"), "values to unpack"),
    (re.compile(r"^maximum recursion depth exceeded.*"), "maximum recursion depth exceeded"),
    (re.compile(r"^Command '.*' (?=returned|died|timed)", re.DOTALL), "Command # "),
    (re.compile(r"^unconverted data remains:.*"), "unconverted data remains"),
)


def skeleton(kind: str, message: str, classes: Iterable[str] = ()) -> str:
    """Take the variable parts out of a message.

    :param kind: the type of the error, with its module.
    :param classes: the names of its base classes.
    """
    kinds = " ".join((kind, *classes))
    if _ABOUT_INPUT.search(kinds):
        return ""
    text = unwrapped(kind, message)
    text = _without_bodies(text)
    text = _URL.sub(_site, text) if "://" in text else text
    text = _without_objects(text)
    text = _EMAIL.sub("#", text) if "@" in text else text
    text = _without_quotes(text, bool(_ABOUT_NAMES.search(kinds)))
    text = _without_words(text)
    text = _without_numbers(text)
    return _once(" ".join(text.translate(_BACK).split()))[:_KEPT]


def _once(text: str) -> str:
    """Say once what is said of each of several things."""
    parts: list[str] = []
    for part in text.split(", "):
        if not (parts and parts[-1].endswith(part)):
            parts.append(part)
    return ", ".join(parts)


def unwrapped(kind: str, message: str) -> str:
    """Give what was meant to be said: not its repr, nor the code beside it, nor what else a database knows of it."""
    text = message[:_READ].strip()
    if kind == "KeyError":
        # A key is shown as its repr, and so is what somebody had to say.
        return text[1:-1] if text[:1] in "'\"" and text.count(" ") > 1 else "#"
    coded = _CODED.match(text) if text.startswith("(") else None
    if coded:
        text = f"{coded[1].translate(_ASIDE)} {coded[3]}"
    elif text.startswith("("):
        text = _ARGUMENTS.sub(r"\2 (\3)", text)
    text = text.removeprefix("<urlopen error ").removesuffix(">") if text.startswith("<urlopen") else text
    if "\n" in text or "[SQL" in text:
        found = _DETAIL.search(text)
        text = text[: found.start()] if found else text
    for pattern, words in _SPECIAL:
        text = pattern.sub(words, text, count=1)
    return text


def names_follow(text: str) -> bool:
    """Tell whether what comes after a text is a name in the program."""
    return bool(_NAMING.fullmatch(_last_word(text)))


def _last_word(text: str) -> str:
    return re.split(r"[^\w]", text[-40:].rstrip(" \t:=(\"'`"))[-1].lower()


def _without_bodies(text: str) -> str:
    if "<" in text:
        text = _MARKUP.sub("<html>", text)
    if "{" not in text:
        return text
    for _ in range(6):
        text = _BODY.sub(_body, text)
    return _OPEN_BODY.sub(_HOLE, text).replace(_HOLE, "{}")


def _body(found: re.Match[str]) -> str:
    """Keep of a body only what it says of an error."""
    said = (word or status for word, status in _TOLD.findall(found[0]))
    told = [text if " " in text else text.translate(_ASIDE) for text in said][:3]
    return f" {' '.join(told)} " if told else _HOLE


def _site(found: re.Match[str]) -> str:
    host = found[2].lower()
    return f"{found[1].lower()}://{'#' if host[:1] == '[' or _is_address(host) else _spelled(host)}"


def _is_address(host: str) -> bool:
    return host.replace(".", "").isdigit()


def _spelled(name: str) -> str:
    return re.sub(r"\d+", "#", name).translate(_ASIDE)


def _without_objects(text: str) -> str:
    if "<" in text:
        for _ in range(3):
            text, found = _REPR.subn(r"\1", text)
            if not found:
                break
    if "(" in text:
        text = _CAUSE.sub(r"\1 \3", text)
    return text


def _without_quotes(text: str, names: bool) -> str:
    def replace(found: re.Match[str]) -> str:
        value = next((each for each in found.groups() if each is not None), "")
        head = text[max(0, found.start() - 40) : found.start()]
        before = _last_word(head)
        if "://" in value:
            return value
        if _TELLING.fullmatch(before) and " " in value:
            return f" {value} "
        named = names or _NAMING.fullmatch(before) or head.endswith("<class ")
        return _spelled(value) if named and _NAME.match(value) else "#"

    text = _QUOTED.sub(replace, text)
    return _CUT_QUOTE.sub("#", text) if len(text) > 200 else text


def _without_words(text: str) -> str:
    text = _PATH.sub("#", text) if "/" in text or "\\" in text else text
    text = _FILE.sub("#", text) if "." in text else text
    text = _SET.sub(_assigned, text) if "=" in text else text
    text = _LABELLED.sub(_called, text) if ":" in text else text
    return _SUBJECT.sub(_called, _PERSON.sub(_called, text))


def _called(found: re.Match[str]) -> str:
    """Blank the name of what bears one."""
    name = found[3]
    if not _THING.fullmatch(found[1]) or _PLAIN.fullmatch(name) or _THING.fullmatch(name) or _QUALITY.fullmatch(name):
        return found[0]
    return f"{found[1]}{found[2]}#"


def _assigned(found: re.Match[str]) -> str:
    key = found[1]
    stays = _NAMING.fullmatch(key) or _TELLING.fullmatch(key) or key.endswith(("code", "status", "errno"))
    return found[0] if stays else f"{key}=#"


def _number(found: re.Match[str]) -> str:
    """Blank a number, unless it says what happened."""
    text, start = found[0], found.start()
    if len(text) <= 6 and text.strip("-.,:").isdigit():
        status = _STATUS.search(found.string, max(0, start - 24), start)
        if status or found.string.startswith((" Client Error", " Server Error"), found.end()):
            return text.translate(_ASIDE)
    return text.translate(_ASIDE) if _PACKAGE.fullmatch(text) else "#"


def _without_numbers(text: str) -> str:
    text = _ADDRESS.sub("#", text) if ":" in text or "-" in text else text
    text = _HEX.sub("#", _NUMBERED.sub(_number, text))
    if "#" not in text:
        return text
    text = _DATE.sub("#", _UNIT.sub("#", text))
    text = _MORE.sub("", _LIST.sub("#", text))
    for pattern, word in _NUMBER_OF:
        text = pattern.sub(word, text)
    return _COUNTED.sub(lambda found: " ".join(filter(None, found.groups())), text)

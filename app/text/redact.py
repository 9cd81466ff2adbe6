"""Remove credentials from foreign text, found by the words around them and by their own form.

Each pattern reads its text once: its runs are bounded or taken whole, with possessive quantifiers
and atomic groups.  (Python 3.11.2 does not go back if a possessive group fails half-way.)
"""

import re

# Names of secrets.
_NAME = (
    r"(?:token|passw(?:or)?d|passphrase|secret|signature|credential|(?<=_)pwd"
    r"|(?:api|access|account|private|signing|encryption)[_-]?key"
    r"|(?<![a-z])pass(?=\s?=)|(?<=[\"'_])auth(?=\\*[\"']?\s?[:=]))"
)
_LONGER_NAME = rf"{_NAME}[\w-]{{0,40}}"
# Packages have such names too, and "libsecret: no such file" is the beginning of a sentence.
_NAME_IN_WORDS = (
    r"(?:(?-i:(?<![a-z]))|(?-i:(?=[A-Z])))"
    rf"{_NAME}(?:_[\w-]{{0,40}}|-[\w-]{{0,40}}?key[\w-]{{0,40}})?"
)
_NAMED = ("token", "pass", "secret", "signature", "credential", "pwd", "key", "auth")
_IS = r"\\*[\"']?\s?(?:=>|:=|[:=])\s?"
# Without the colon and space of a sentence.
_ASSIGNS = r"(?:\\*[\"']?\s?(?:=>|:=|=)\s?|\\*[\"']\s?:\s?|\s?:(?!\s))"
# Quoted as in JSON and shells, or once more inside a string; the end may have been cut off.
_VALUE = (
    r"(?:\\+[\"'][^\"']*+[\"']?|\"(?>(?:[^\"\\]|\\.)*)\"?|'(?>(?:[^'\\]|\\.)*)'?|[^\s\"'&,;]++)"
)

_SCHEME = "(?:basic|bearer|token|digest|negotiate)"
_MIXED = "(?-i:(?=[a-z0-9+/]{0,75}[A-Z])(?=[A-Z0-9+/]{0,75}[a-z])(?=[A-Za-z+/]{0,75}[0-9]))"

# A pattern is tried if the text, in lower case, has one of the words before it.
_PATTERNS = (
    (
        ("private key",),
        r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)",
        "*** PRIVATE KEY",
    ),
    # Up to the last @: passwords may contain others.
    (("://",), r"(?<=://)[^/\s\"<>]*@", "***@"),
    (
        ("authorization",),
        rf"\b(authorization{_IS}\\*[\"']?)(?:{_SCHEME}\s)?[^\s\"',;\\]++",
        r"\1***",
    ),
    (
        ("cookie",),
        rf"\b(cookie{_IS}\\*[\"']?)[^\s\"']++(?>(?:(?<=;)\s[^\s\"'=]++=[^\s\"']*+)*)",
        r"\1***",
    ),
    (_NAMED, rf"({_LONGER_NAME}{_ASSIGNS}){_VALUE}", r"\1***"),
    (_NAMED, rf"({_NAME_IN_WORDS}\s?:\s){_VALUE}", r"\1***"),
    (_NAMED, rf"((?<![\w-])--?[\w-]{{0,40}}?{_LONGER_NAME}\s){_VALUE}", r"\1***"),
    (("-u", "-user"), r"((?<!\S)(?:-u|--user|--proxy-user)[\s=][^\s:]{1,100}:)\S++", r"\1***"),
    (("login",), r"(\blogin \S++ password )\S++", r"\1***"),
    (
        ("bearer", "basic"),
        # Not the next word of a sentence, such as "basic authentication".
        r"\b(bearer|basic) (?=[\w+/.~-]*(?:[0-9=+/_]|(?-i:\B[A-Z])|\.\w))[a-z0-9+/._~-]{8,}+=*+",
        r"\1 ***",
    ),
    # GitHub, Docker; GitLab; Slack; Amazon, Google; JSON web tokens.
    (("gh", "github"), r"(?<![a-z0-9])(?:gh[oprsu]_[a-z0-9]{6,}+|github_pat_\w{6,}+)", "***"),
    (("dckr",), r"(?<![a-z0-9])dckr_pat_[\w-]{6,}+", "***"),
    (("gl",), r"(?<![a-z0-9])gl(?:pat|oas|dt|rt|cbt|ptt|ft|soat|agent)-[\w-]{6,}+", "***"),
    (("xox",), r"(?<![a-z0-9])xox[a-z]-[\w-]{6,}+", "***"),
    (("akia", "asia"), r"(?-i:\b(?:AKIA|ASIA)[0-9A-Z]{16})", "***"),
    (("aiza",), r"(?-i:\bAIza)[\w-]{30,}+", "***"),
    (("eyj",), r"(?<![\w-])(?-i:eyJ)[\w-]{6,}+\.[\w-]++(?:\.[\w-]*+)?", "***"),
    # The secret part of a binary cache's key; the public part is shorter.
    (("==",), r"(?<=:)[a-z0-9+/]{86}==", "***"),
    # A line of a private key's body (RFC 7468, section 3: 64 characters; OpenSSH's have 70, MIME's
    # 76), since logs are shown line by line.  Digests of that length are in lower case.
    (("",), rf"(?<![\w+/=-]){_MIXED}[a-z0-9+/]{{64,76}}+={{0,2}}(?![\w+/=.-])", "***"),
)
_COMPILED = tuple(
    (words, re.compile(pattern, re.IGNORECASE | re.DOTALL), shown)
    for words, pattern, shown in _PATTERNS
)


# Each once; names, versions and descriptions of packages have none of them.
_WORDS = tuple({word: None for words, _, _ in _COMPILED for word in words if word})  # plain: ok
# The shortest text that a pattern without a keyword may match.
_LONG = 64


def without_credentials(text: str) -> str:
    """Return the text, of one line, with stars in place of secrets."""
    lower = text.lower()
    present = {word for word in _WORDS if word in lower}  # plain: ok
    if not present and len(text) < _LONG:
        return text
    for words, pattern, shown in _COMPILED:
        if not words[0] or not present.isdisjoint(words):
            text = pattern.sub(shown, text)
    return text

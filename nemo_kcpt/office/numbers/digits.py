"""Digits of a number by a format's placeholders: 0, #, ?, thousands, percent, exponents, fractions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

from nemo_kcpt.office.numbers.codes import Token
from nemo_kcpt.text.counting import counted

_FULL = str.maketrans("0123456789", "０１２３４５６７８９")
_FRACTION = re.compile(r"[Ls]*(?:d+s+)?d+/(?:d+|n+)[Ls]*")
"""Digits, one space, digits, a slash, digits or a number; anything else around them."""
_KANJI = ("japaneseCounting", "japaneseLegal")


def in_numerals(text: str, numerals: int) -> str:
    """Digits as [DBNum1] (kanji with units), [DBNum2] (the kanji of deeds) or [DBNum3] (full width) show them.

    Raises:
        ValueError: a number that has no such form.
    """
    if not numerals:
        return text
    if numerals == 3:
        return text.translate(_FULL)
    if numerals == 4 or not text.isdecimal() or int(text) >= 10**8:
        raise ValueError(f"{text} in numerals of the kind [DBNum{numerals}]")
    return counted(int(text), _KANJI[numerals - 1]) or text


def write_number(tokens: Sequence[Token], number: Decimal, numerals: int = 0) -> str:
    """A number that is not negative, by the tokens of a section that has digits."""
    if any(token.kind == "exponent" for token in tokens):
        return _scientific(tokens, number)
    tokens, number = _scaled(tokens, number)
    slash = next((index for index, token in enumerate(tokens) if token.kind == "slash"), None)
    if slash is not None and any(token.kind == "digit" for token in tokens[:slash]) and _follows(tokens, slash):
        if not _FRACTION.fullmatch("".join(map(_letter, tokens))):
            raise ValueError("a fraction in a form that is not known")
        return _fraction(tokens, number, slash)
    if numerals in (1, 2) and not any(token.kind == "point" for token in tokens):
        whole = in_numerals(str(int(number.quantize(Decimal(1), ROUND_HALF_UP))), numerals)
        first = next(index for index, token in enumerate(tokens) if token.kind == "digit")
        return "".join(whole if index == first else _other(token) for index, token in enumerate(tokens))
    return in_numerals(_plain(tokens, number), 3) if numerals == 3 else _plain(tokens, number)


def _other(token: Token) -> str:
    return token.text if token.kind in ("literal", "slash", "percent") else ""


def _letter(token: Token) -> str:
    """A letter for a token, by which the shape of a fraction is known."""
    if token.kind == "digit":
        return "d"
    if token.kind == "slash":
        return "/"
    if token.kind == "literal" and token.text.isdecimal():
        return "n"
    return "s" if token.kind == "space" or token.text == " " else "L"


def _follows(tokens: Sequence[Token], slash: int) -> bool:
    """Whether a denominator follows a slash."""
    return any(token.kind == "digit" or token.text.isdecimal() for token in tokens[slash + 1 :])


def _scaled(tokens: Sequence[Token], number: Decimal) -> tuple[list[Token], Decimal]:
    """The tokens without commas that divide, and the number as they and percent signs scale it."""
    digits = [index for index, token in enumerate(tokens) if token.kind == "digit"]
    point = next((index for index, token in enumerate(tokens) if token.kind == "point"), len(tokens))
    last = max((index for index in digits if index < point), default=-1)
    kept: list[Token] = []
    for index, token in enumerate(tokens):
        if token.kind == "comma" and (index > last if last >= 0 else True):
            if index <= point and all(other.kind == "comma" for other in tokens[last + 1 : index]):
                number /= 1000
                continue
            if digits and index > digits[-1] and all(other.kind == "comma" for other in tokens[digits[-1] + 1 : index]):
                number /= 1000
                continue
            token = token._replace(kind="literal")
        elif token.kind == "comma" and digits and index < digits[0]:
            token = token._replace(kind="literal")
        kept.append(token)
    return kept, number * 100 ** sum(token.kind == "percent" for token in tokens)


def _plain(tokens: Sequence[Token], number: Decimal) -> str:
    point = next((index for index, token in enumerate(tokens) if token.kind == "point"), len(tokens))
    places = sum(token.kind == "digit" for token in tokens[point:])
    whole, _, rest = f"{number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):f}".partition(".")
    return _whole(tokens[:point], whole) + _decimals(tokens[point:], rest)


def _whole(tokens: Sequence[Token], digits: str) -> str:
    """Digits before the point, from the right; the first placeholder takes what is left over."""
    digits = digits.lstrip("0")
    places = [index for index, token in enumerate(tokens) if token.kind == "digit"]
    grouped = any(token.kind == "comma" for token in tokens[: places[-1] if places else 0])
    pieces: list[str] = []
    count = 0

    def put(digit: str) -> None:
        nonlocal count
        if grouped and count and count % 3 == 0:
            pieces.append(",")
        pieces.append(digit)
        count += 1

    for index in range(len(tokens) - 1, -1, -1):
        token = tokens[index]
        if token.kind != "digit":
            pieces.append(_other(token)[::-1])
            continue
        if digits:
            put(digits[-1])
            digits = digits[:-1]
        elif token.text == "0":
            put("0")
        if index == places[0]:
            while digits:
                put(digits[-1])
                digits = digits[:-1]
    return "".join(pieces)[::-1]


def _decimals(tokens: Sequence[Token], digits: str) -> str:
    """The point and the digits after it; # and ? leave zeros at the end out."""
    needed = len(digits.rstrip("0"))
    text, index = "", 0
    for token in tokens:
        if token.kind == "point":
            text += "." if index == 0 and "." not in text else ""
        elif token.kind == "digit":
            if index < needed or token.text == "0":
                text += digits[index] if index < len(digits) else "0"
            index += 1
        else:
            text += _other(token)
    return text


def _scientific(tokens: Sequence[Token], number: Decimal) -> str:
    at = next(index for index, token in enumerate(tokens) if token.kind == "exponent")
    mantissa, rest = tokens[:at], tokens[at + 1 :]
    kinds = {token.kind for token in tokens}
    if kinds & {"percent", "comma"} or not rest or rest[0].kind != "digit":
        raise ValueError("an exponent in a form that is not known")
    point = next((index for index, token in enumerate(mantissa) if token.kind == "point"), at)
    step = max(1, sum(token.kind == "digit" for token in mantissa[:point]))
    places = sum(token.kind == "digit" for token in mantissa[point:])
    exponent = number.adjusted() if number else 0
    if step > 1:
        exponent -= exponent % step
    scaled = number.scaleb(-exponent).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    if scaled >= Decimal(10) ** step:
        exponent += step
        scaled = number.scaleb(-exponent).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    sign = "-" if exponent < 0 else "+" if tokens[at].text.endswith("+") else ""
    power = _plain(rest, Decimal(abs(exponent))) if exponent else _plain(rest, Decimal(0)) or "0"
    return f"{_plain(mantissa, scaled)}{tokens[at].text[0]}{sign}{power}"


def _fraction(tokens: Sequence[Token], number: Decimal, slash: int) -> str:
    """A number as a fraction: # ?/?, ??/??, # ?/8."""
    start = slash
    while start and tokens[start - 1].kind == "digit":
        start -= 1
    stop = slash + 1
    while stop < len(tokens) and (tokens[stop].kind == "digit" or tokens[stop].text.isdecimal()):
        stop += 1
    under = "".join(token.text for token in tokens[slash + 1 : stop])
    mixed = any(token.kind == "digit" for token in tokens[:start])
    whole = int(number) if mixed else 0
    exact = Fraction(number) - whole
    if under.strip("0").isdecimal():
        below = int(under)
        above = int((Decimal(exact.numerator) / Decimal(exact.denominator) * below).quantize(Decimal(1), ROUND_HALF_UP))
    else:
        above, below = _convergent(exact, 10 ** len(under) - 1)
    if mixed and above == below:
        whole, above = whole + 1, 0
    before, after = (_literals(part) for part in (tokens[:start], tokens[stop:]))
    if mixed and not above:
        return f"{before.strip()}{whole}{after}"
    return f"{before.strip()}{f'{whole} ' if whole else ''}{above}/{below}{after}"


def _convergent(exact: Fraction, greatest: int) -> tuple[int, int]:
    """The last convergent of the continued fraction whose denominator is small enough, as Excel has it: π is 22/7."""
    before, now, rest = (0, 1), (1, 0), exact
    while True:
        whole = int(rest)
        after = (whole * now[0] + before[0], whole * now[1] + before[1])
        if after[1] > greatest:
            return now
        before, now = now, after
        if rest == whole:
            return now
        rest = 1 / (rest - whole)


def _literals(tokens: Sequence[Token]) -> str:
    return "".join(map(_other, tokens))

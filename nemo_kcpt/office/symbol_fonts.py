"""Signs of fonts that have a code of their own (Symbol, Wingdings), as Unicode characters."""

from __future__ import annotations

_SYMBOL = {
    0x20: " !∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_‾αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼",
    0xA0: "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…⏐⎯↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪",
    0xF1: "〉∫⌠⎮⌡⎞⎟⎠⎤⎥⎦⎫⎬⎭",
}
"""First code -> the signs from it on, of Adobe's Symbol encoding."""
_WINGDINGS = {
    0x21: "✏", 0x22: "✂", 0x28: "☎", 0x2A: "✉", 0x46: "☞", 0x4A: "☺", 0x4C: "☹", 0x6C: "●", 0x6D: "❍", 0x6E: "■",
    0x6F: "□", 0x71: "❑", 0x72: "❒", 0x74: "⧫", 0x75: "◆", 0x76: "❖", 0x9E: "·", 0x9F: "•", 0xA1: "○", 0xA7: "▪",
    0xA8: "◻", 0xAB: "★", 0xD8: "➢", 0xDF: "←", 0xE0: "→", 0xE1: "↑", 0xE2: "↓", 0xE8: "➔", 0xF0: "⇨", 0xFB: "✗",
    0xFC: "✓", 0xFD: "☒", 0xFE: "☑",
    **{0x80 + number: chr(0x24EA if number == 0 else 0x245F + number) for number in range(11)},
    **{0x8B + number: chr(0x24FF if number == 0 else 0x2775 + number) for number in range(11)},
}  # fmt: skip
_WINGDINGS_2 = {0x4F: "✗", 0x50: "✓", 0x51: "☒", 0x52: "☑", 0x53: "☒", 0x54: "☒", 0xA3: "□", 0x98: "●"}
_TABLES = {
    "symbol": {first + offset: sign for first, signs in _SYMBOL.items() for offset, sign in enumerate(signs)},
    "wingdings": _WINGDINGS,
    "wingdings 2": _WINGDINGS_2,
}
PRIVATE = "\uf000"
"""Codes of such fonts are stored from here on."""


def is_symbol_font(font: str) -> bool:
    """Whether a font has a code of its own."""
    return font.casefold() in _TABLES or font.casefold().startswith(("wingdings", "webdings"))


def sign(code: int, font: str) -> str | None:
    """The character that a font shows for a code; None if it is not known."""
    code = code & 0xFF if 0xF000 <= code <= 0xF0FF else code
    return _TABLES.get(font.casefold(), {}).get(code)


def in_font(text: str, font: str) -> str:
    """Text as a font shows it: a symbol font's codes as characters, what is not known of them as U+FFFD."""
    if is_symbol_font(font):
        return "".join(_character(letter, font) for letter in text)
    return text


def _character(letter: str, font: str) -> str:
    if letter.isspace() or not (letter <= "\xff" or PRIVATE <= letter <= "\uf0ff"):
        return letter
    return sign(ord(letter), font) or "\ufffd"

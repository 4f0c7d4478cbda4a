"""Templates of wikis: those of Wikipedia that hold numbers, units, readings and names are expanded, others cannot be.

A dump does not say what a template shows. One that is not known is left out; but where it holds a number it stays as it
is written, so that no number goes without a word. Both are counted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from nemo_kcpt.text.chemistry import formula_of
from nemo_kcpt.text.raised import lowered, raised

LEFT_OUT, KEPT = "wiki_templates", "wiki_templates_kept"
"""Names of the counts."""
_SPACED = {"snd": " – ", "spaced ndash": " – ", "spnd": " – ", "ndash": "–", "mdash": "—", "nbsp": "\u00a0",
"=": "=", "!": "|",
           "pi": "π", "times": "×", "・": "・", "·": " · ", "dot": " · ", "bull": " • ", "sp": " ", "π": "π", "'": "'",
           "minus": "−",
           "thinsp": "\u2009", "zwsp": "", "-": "", "clear": "", "br": "\n", "°": "°"}  # fmt: skip
_LAST = frozenset(["resize", "font", "size", "color", "fontsize", "colored", "text", "align", "text"]) | {
    "font color",
    "colored text",
    "フォント",
}
"""Templates of which the last argument is the text."""
_FIRST = frozenset(
    re.findall(
        r"\S+",
        "nowrap nobr small smaller big bigger large larger center nobold noitalic mvar math "
        "em strong strike sc smallcaps underline visible kbd code mono ipa ipa2 plainlist "
        "flatlist script/hebrew unicode nihongo2 tt samp var kanji q quote quotation cquote "
        "blockquote 引用 正式名称 main text 大文字 縦書き abbr tooltip ruby ruby-ja rubyja ルビ ルビペ 繁体字 "
        "簡体字 hl plain list collapsible 拡張漢字 jis2004フォント 補助漢字フォント vanchor nohighlight",
    )
)
"""Templates of which the first argument is the text."""
_SECOND = frozenset(["lang", "transl", "script", "big5", "llang"])
_NOTES = re.compile(r"reflist|references|脚注|notelist|出典$", re.I)
_NAVIGATION = re.compile(
    r"stub|スタブ|navbox|節スタブ|要出典|出典の明記|citation needed|cn$|fact$|main$|see also|"
    r"further|関連|about|otheruses|for$|redirect|曖昧さ回避|デフォルトソート|defaultsort|"
    r"displaytitle|authority control|典拠管理|commons|wiktionary|sister|portal|ポータル|"
    r"good article|featured|use .* dates|short description|pp-|半保護|保護|refimprove|"
    r"unreferenced|独自研究|正確性|coord missing|clear|toc|告知|when|who|by whom|which|"
    r"dead link|リンク切れ|cleanup|観点|参照方法|特殊文字|更新|継続|カレントイベント|複数の問題|"
    r"multiple issues|hatnote|翻訳|webarchive",
    re.I,
)
_INFOBOX = re.compile(
    r"infobox|基礎情報|taxobox|automatic ?taxobox|生物分類表|日本の市|政治家|武将|大学$|駅情報|chembox|"
    r"drugbox|speciesbox",
    re.I,
)
_CITATION = re.compile(r"cite\b|citation$|cite$|harvnb?$|sfn$|sfnm?$|wikicite|r$|rp$", re.I)
_JOINING = frozenset(["to", "-", "–", "and", "by", "x", "×", "*", "+/-", "±", "or", "と", "to(-)"]) | {"and(-)"}
_DATES = frozenset(
    ["date", "日付", "時点", "access-date", "accessdate", "archive-date", "archivedate", "閲覧日", "アクセスdate"]
)
_NUMBER = re.compile(r"[-−+]?[\d.,/]+(?:\s*[-–]\s*[\d.,]+)?$")


@dataclass
class Expanded:
    """What a template becomes: text, or nodes that are read on."""

    text: str = ""
    nodes: Sequence[Any] | None = None
    block: bool = False
    counts: Counter[str] = field(default_factory=Counter)


def expanded(node: Any, title: str) -> Expanded:
    """What a template of mwparserfromhell shows, as far as that can be known."""
    whole = str(node.name).strip()
    name = " ".join(whole.replace("_", " ").split()).casefold()
    positional = [
        parameter for parameter in node.params if not parameter.showkey or str(parameter.name).strip().isdigit()
    ]
    values = [str(parameter.value).strip() for parameter in positional]
    named = {
        str(parameter.name).strip().casefold(): str(parameter.value).strip()
        for parameter in node.params
        if parameter.showkey
    }
    if name in _SPACED and not values:
        return Expanded(_SPACED[name])
    if (write := _KNOWN.get(name)) is not None:
        text = write(values, named)
        if text is not None:
            return _parsed(text)
    if name in ("pagename", "fullpagename", "subpagename"):
        return Expanded(title)
    for beginning in ("formatnum:", "lc:", "uc:", "lcfirst:", "ucfirst:"):
        if name.startswith(beginning):
            return Expanded(whole[len(beginning) :].strip())
    if name in _FIRST and positional:
        return Expanded(nodes=positional[0].value.nodes, block=name in ("quote", "quotation", "blockquote", "cquote"))
    if name in _SECOND and len(positional) > 1:
        return Expanded(nodes=positional[1].value.nodes)
    if name in _LAST and positional:
        return Expanded(nodes=positional[-1].value.nodes)
    if name.startswith("lang-") and positional:
        return Expanded(nodes=positional[0].value.nodes)
    if _INFOBOX.search(name):
        return _box(node)
    if _CITATION.match(name):
        return _parsed(_cited(values, named))
    return _unknown(node, name, values, named)


def _parsed(text: str) -> Expanded:
    import mwparserfromhell

    if not re.search(r"[\[{<'&]", text):
        return Expanded(text)
    return Expanded(nodes=mwparserfromhell.parse(text).nodes)


def _unknown(node: Any, name: str, values: Sequence[str], named: dict[str, str]) -> Expanded:
    """A template that nobody can expand here: out, or as it is written where it holds a number."""
    if _NOTES.match(name):
        return Expanded()
    held = [*values, *(value for key, value in named.items() if key not in _DATES)]
    if _NAVIGATION.search(name) or not any(re.search(r"\d", value) for value in held):
        return Expanded(counts=Counter({LEFT_OUT: 1}))
    text = " ".join(str(node).split())
    return Expanded(text if len(text) <= 2000 else "", counts=Counter({KEPT if len(text) <= 2000 else LEFT_OUT: 1}))


def _box(node: Any) -> Expanded:
    """An infobox: its facts, one an item."""
    import mwparserfromhell

    lines = []
    for parameter in node.params:
        key, value = str(parameter.name).strip(), " ".join(str(parameter.value).split())
        if (
            value
            and parameter.showkey
            and not re.search(
                r"image|画像|サイズ|size|width|幅|map|地図|color|色|style|alt$|logo|ロゴ|signature|caption", key, re.I
            )
        ):
            lines.append(f"* {key}: {value}")
    return Expanded(nodes=mwparserfromhell.parse("\n" + "\n".join(lines) + "\n\n").nodes, block=True)


def _cited(values: Sequence[str], named: dict[str, str]) -> str:
    """A reference that is given in parts."""

    def part(*names: str) -> str:
        return next((named[name] for name in names if named.get(name)), "")

    people = [part(f"author{number}", f"last{number}") for number in range(1, 10)]
    given = [part(f"first{number}") for number in range(1, 10)]
    authors = part("author", "authors", "last", "著者", "和書著者", "vauthors")
    if authors and (first := part("first")):
        authors = f"{authors}, {first}"
    names = [
        authors,
        *(f"{last}, {first}" if first else last for last, first in zip(people, given) if last and last != authors),
    ]
    volume = part("volume", "巻") + (f"({part('issue', 'number', '号')})" if part("issue", "number", "号") else "")
    pages = part("pages", "page", "ページ", "p", "pp")
    numbers = ":".join(filter(None, (volume, pages)))
    pieces = ["; ".join(dict.fromkeys(filter(None, names))), part("title", "タイトル", "chapter")]
    pieces += [part("journal", "work", "website", "newspaper", "magazine"), part("publisher", "出版社"), numbers]
    pieces += [part("date", "year", "年"), *(f"{key}:{named[key]}" for key in ("doi", "isbn") if named.get(key))]
    return ". ".join(filter(None, [*values, *pieces])).replace("..", ".")


def _value(values: list[str], named: dict[str, str]) -> str | None:
    """{{val|12400|0.5|e=5|u=km}}: 12400±0.5×10⁵ km."""
    if not values:
        return None
    doubt = (
        f"±{values[1]}"
        if len(values) == 2
        else f"+{values[1].lstrip('+')}−{values[2].lstrip('-−')}"
        if len(values) > 2
        else ""
    )
    number = f"{values[0].replace('-', '−', 1) if values[0].startswith('-') else values[0]}{doubt}"
    if power := named.get("e", ""):
        number = f"({number})×10{raised(power)}" if doubt else f"{number}×10{raised(power)}"
    unit = named.get("u") or named.get("ul") or ""
    over = named.get("up") or named.get("upl") or ""
    unit = re.sub(r"(?<=[A-Za-zΩµ])(-?\d+)", lambda match: raised(match[1]), f"{unit}/{over}" if over else unit)
    return f"{named.get('p', '')}{number}{named.get('s', '')}{f' {unit}' if unit else ''}"


def _convert(values: list[str], named: dict[str, str]) -> str | None:
    """{{convert|5|to|10|km|mi}}: 5 to 10 km; what it converts to is not computed."""
    taken: list[str] = []
    for index, value in enumerate(values):
        if _NUMBER.fullmatch(value.replace("\u00a0", " ")) or (value in _JOINING and taken):
            taken.append(value)
            continue
        unit = value.replace("sqkm", "km²").replace("sqmi", "mi²")
        unit = re.sub(r"(?<=[A-Za-z])([23])$", lambda match: raised(match[1]), unit)
        rest = values[index + 1 : index + 3]
        more = (
            f" {rest[0]} {rest[1]}"
            if len(rest) == 2 and _NUMBER.fullmatch(rest[0]) and unit in ("ft", "st", "lb", "mi")
            else ""
        )
        return f"{' '.join(taken)} {unit}{more}".replace(" - ", "–").replace(" – ", "–") if taken else None
    return None


def _date(values: list[str], named: dict[str, str]) -> str | None:
    numbers = [value for value in values if value.isdigit()]
    return (
        "-".join([numbers[0], *(part.zfill(2) for part in numbers[1:3])])
        if numbers
        else (values[0] if values else None)
    )


def _japanese_date(values: list[str], named: dict[str, str]) -> str | None:
    numbers = [value for value in values if value.isdigit()]
    return "".join(f"{int(value)}{sign}" for value, sign in zip(numbers[:3], "年月日")) if numbers else None


def _chemistry(values: list[str], named: dict[str, str]) -> str:
    text = ""
    for number, value in enumerate(values):
        text += (
            lowered(value)
            if number % 2 and value.isdigit()
            else raised(value)
            if re.fullmatch(r"\d*[-+−]", value)
            else value
        )
    return text


def _fraction(values: list[str], named: dict[str, str]) -> str | None:
    if len(values) == 3:
        return f"{values[0]} {values[1]}/{values[2]}"
    return f"{values[0]}/{values[1]}" if len(values) == 2 else f"1/{values[0]}" if values else None


def _coordinates(values: list[str], named: dict[str, str]) -> str | None:
    """{{coord|35|41|N|139|45|E}}: 35°41′N 139°45′E."""
    parts, angle, signs = [], "", iter("°′″")
    for value in values:
        if re.fullmatch(r"[NSEW東西南北]", value, re.I):
            parts.append(f"{angle}{value}")
            angle, signs = "", iter("°′″")
        elif re.fullmatch(r"-?[\d.]+", value):
            angle += f"{value}{next(signs, '')}"
        else:
            break
    return " ".join(parts) or (", ".join(f"{value}°" for value in values[:2]) if len(values) >= 2 and angle else None)


def _reading(values: list[str], named: dict[str, str]) -> str | None:
    return f"{values[0]}（{'、'.join(values[1:3])}）" if len(values) > 1 else values[0] if values else None


def _nihongo(values: list[str], named: dict[str, str]) -> str | None:
    if not values:
        return None
    inner = ", ".join(filter(None, values[1:3]))
    return f"{values[0]} ({inner})" if values[0] and inner else values[0] or inner


def _joined(between: str) -> Callable[[list[str], dict[str, str]], str | None]:
    return lambda values, named: between.join(filter(None, values))


def _nth(number: int) -> Callable[[list[str], dict[str, str]], str | None]:
    return lambda values, named: values[number] if len(values) > number else (values[-1] if values else None)


_Write = Callable[[list[str], dict[str, str]], "str | None"]
_KNOWN: dict[str, _Write] = {
    "val": _value, **dict.fromkeys(("convert", "cvt", "単位変換"), _convert),
    **dict.fromkeys(("start date", "end date", "birth date", "death date", "start date and age",
    "birth date and age", "film date",
                     "dts", "date", "release date"), _date),
    **dict.fromkeys(("生年月日と年齢", "生年月日", "没年月日", "死亡年月日と没年齢", "開始年月日"), _japanese_date),
    "chem": _chemistry, "chem2": lambda values, named: formula_of(values[0]) if values else None,
    **dict.fromkeys(("frac", "sfrac", "fraction", "分数"), _fraction),
    "coord": _coordinates, "ウィキ座標": _coordinates,
    **dict.fromkeys(("読み仮名", "読み仮名 ruby不使用", "読み"), _reading),
    **dict.fromkeys(("nihongo", "nihongo3", "japanese"),
    _nihongo),
    "sup": lambda values, named: raised("".join(values)), "sub": lambda values, named: lowered("".join(values)),
    "e": lambda values, named: f"×10{raised(values[0])}" if values else None,
    **dict.fromkeys(("10^", "e10"), lambda values, named: f"10{raised(values[0])}" if values else None),
    **dict.fromkeys(("仮リンク", "ill", "interlanguage link", "ill2", "日本語版にない記事リンク"),
                    lambda values, named: named.get("label") or named.get("lt") or (values[0] if values else None)),
    **dict.fromkeys(("flag", "flagcountry", "flagu", "国旗"), _nth(0)), **dict.fromkeys(("flagicon", "flagicon image",
    "audio", "icon"), lambda values, named: ""),
    **dict.fromkeys(("circa", "c."), lambda values, named: f"c. {'–'.join(values)}"),
    **dict.fromkeys(("hlist", "flatlist", "cslist"), _joined(", ")), **dict.fromkeys(("ubl", "unbulleted list",
    "plainlist", "bulleted list"), _joined("; ")),
    "linktext": _joined(" "), "le": _nth(0), "efn": lambda values, named: f"<ref>{values[0]}</ref>" if values else None,
    **dict.fromkeys(("refnest", "#tag:ref"), lambda values, named: f"<ref>{values[-1]}</ref>" if values else None),
    "increase": lambda values, named: "▲", "decrease": lambda values, named: "▼", "steady": lambda values, named: "",
    **dict.fromkeys(("us$", "usd"), lambda values, named: f"${values[0]}" if values else None),
    **dict.fromkeys(("jpy", "japanese yen"), lambda values, named: f"¥{values[0]}" if values else None),
}  # fmt: skip

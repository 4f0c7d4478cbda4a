"""Units that Japanese text spells out in katakana, with the prefixes of the SI: ミリシーベルト, 平方センチメートル."""

from __future__ import annotations

from nemo_kcpt.text.symbols import Unit


def _table(rows: str) -> dict[str, Unit]:
    """Rows of word, measure and factor."""
    return {word: (measure, float(factor)) for word, measure, factor in (row.split() for row in rows.split(";"))}


_PREFIXES = dict(
    zip(
        ["ピコ", "ナノ", "マイクロ", "ミリ", "センチ", "デシ", "ヘクト", "キロ", "メガ", "ギガ", "テラ", "ペタ"],
        (1e-12, 1e-9, 1e-6, 1e-3, 1e-2, 1e-1, 1e2, 1e3, 1e6, 1e9, 1e12, 1e15),
        strict=True,
    )
)
_BASES = _table(
    "メートル length 1; グラム mass 1; リットル volume 1e-3; 秒 time 1; トン mass 1e6; ワット時 energy 3600; "
    "ワットアワー energy 3600; ワット power 1; ボルト voltage 1; アンペア current 1; オーム resistance 1; "
    "ニュートン force 1; パスカル pressure 1; バール pressure 1e5; ヘルツ frequency 1; テスラ tesla 1; "
    "シーベルト sievert 1; グレイ gray 1; ベクレル becquerel 1; ジュール energy 1; カロリー calories 1; モル mole 1; "
    "電子ボルト electronvolt 1; バイト bytes 1; ビット bits 1; ルクス lux 1; ルーメン lumen 1; カンデラ candela 1; "
    "ファラド capacitance 1"
)
_ALONE = _table(
    "ポンド ポンド 1; ルピー rupees 1; フラン francs 1; ルーブル roubles 1; バーツ baht 1; ペソ pesos 1; 光年 光年 1; "
    "海里 海里 1; ノット knots 1; カラット carats 1; ガロン gallons 1; オングストローム length 1e-10; "
    "気圧 pressure 101325"
)
_SHORT = ("ミリ", "センチ", "キロ")
"""Prefixes that stand for the metre by themselves: 平方センチ."""
SPELLED: dict[str, Unit] = {
    **_BASES,
    **{
        f"{prefix}{name}": (what, times * size)
        for prefix, times in _PREFIXES.items()
        for name, (what, size) in _BASES.items()
        if name != "秒" or times < 1
    },
    **{
        f"{word}{prefix}{metre}": (what, _PREFIXES.get(prefix, 1.0) ** power)
        for word, what, power in (("平方", "area", 2), ("立方", "volume", 3))
        for prefix in ("", *_SHORT)
        for metre in ("メートル", "")
        if prefix or metre
    },
    **_ALONE,
}
"""Word -> what it measures, and how many of its first unit one of this is."""

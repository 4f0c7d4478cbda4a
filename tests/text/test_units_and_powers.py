"""Numbers that differ in a unit, a power or a fraction alone: a reader's, beside the table of numerals.tsv."""

from __future__ import annotations

import pytest

from nemo_kcpt.evaluation.scoring.exact_match import exact_match
from nemo_kcpt.text.quantities import quantities
from tests.text.test_table import supported

EQUAL = [
    ("10^(-2.5)", "10^-2.5"),
    ("10の-5乗", "10⁻⁵"),
    ("10のマイナス5乗", "10⁻⁵"),
    ("1万2,345.6円", "12,345.6円"),
    ("1京", "10,000兆"),
    ("1京2000兆", "1.2京"),
    ("1.2×10^16", "1.2京"),
    ("120/80 mmHg", "120/80mmHg"),
    ("9秒58", "9.58秒"),
    ("1分23秒45", "83.45秒"),
    ("the '90s", "the 1990s"),
    ("1.5 GJ", "1500 MJ"),
    ("3 A", "3000 mA"),
    ("10 kΩ", "10000 Ω"),
    ("0.2 µSv/h", "0.2 μSv/h"),
    ("5 dL", "500 mL"),
    ("5 Mt", "500万トン"),
    ("3 Gt", "30億トン"),
    ("ー3℃", "−3℃"),
    ("〇・五", "0.5"),
    ("三・五", "3.5"),
    ("二十五・三", "25.3"),
    ("1,350ᵃ", "1,350"),
    ("3 x 10^8 m/s", "300,000 km/s"),
    ("760 mmHg", "760mmHg"),
    ("4 Gbps", "4 Gb/s"),
    ("250 W·h·kg⁻¹", "250 Wh/kg"),
    ("5 mol L⁻¹", "5 mol/L"),
    ("30 円/kWh", "30円／kWh"),
    ("3.5 t/日", "3.5t/日"),
    ("1/2インチ", "0.5インチ"),
    ("5 km/h", "時速5キロ"),
    ("100 m²/g", "100m2/g"),
    ("3.2 V/m", "3.2V/m"),
    ("20 個/mL", "20個／mL"),
    ("80 lm/W", "80lm/W"),
    ("3/5", "60%"),
    ("2 3/4", "2.75"),
    ("1ギガバイト", "1GB"),
    ("60Hz", "60ヘルツ"),
    ("15 mA", "0.015 A"),
    ("5ミリシーベルト", "5 mSv"),
    ("5ギガワット時", "5 GWh"),
    ("5ナノメートル", "5 nm"),
    ("1013ヘクトパスカル", "1013 hPa"),
]
DIFFERENT = [
    ("100 m²/g", "100 m²"),
    ("3.2 V/m", "3.2 V"),
    ("5 W/(m·K)", "5 W/m"),
    ("5 W/(m·K)", "5 W/(m²·K)"),
    ("20 個/mL", "20個"),
    ("500 lx", "500 lm/W"),
    ("5ミリシーベルト", "5マイクロシーベルト"),
    ("5ミリシーベルト", "5シーベルト"),
    ("5キロカロリー", "5カロリー"),
    ("5メガワット", "5キロワット"),
    ("5メガワット", "5ワット"),
    ("5ギガワット時", "5メガワット時"),
    ("5ミリリットル", "5リットル"),
    ("5デシリットル", "5リットル"),
    ("5マイクロメートル", "5ミリメートル"),
    ("5ナノメートル", "5マイクロメートル"),
    ("5ヘクトパスカル", "5パスカル"),
    ("5キロボルト", "5ボルト"),
    ("5ミリアンペア", "5アンペア"),
    ("5ベクレル", "5シーベルト"),
    ("5ポンド", "5ドル"),
    ("5ルピー", "5ドル"),
    ("5フラン", "5ユーロ"),
    ("5平方メートル", "5立方メートル"),
    ("5平方センチメートル", "5平方メートル"),
    ("5立方センチ", "5立方メートル"),
    ("5光年", "5年"),
    ("5ノット", "5キロ"),
    ("5カラット", "5グラム"),
    ("5ガロン", "5リットル"),
    ("5エーカー", "5ヘクタール"),
    ("5オングストローム", "5ナノメートル"),
    ("5Å", "5nm"),
    ("5メガバイト", "5メガビット"),
    ("5キログラム", "5ミリグラム"),
    ("5マイクログラム", "5ミリグラム"),
    ("5メガヘルツ", "5ギガヘルツ"),
    ("5キロヘルツ", "5ヘルツ"),
    ("5万トン", "5万キロ"),
    ("10^(-2.5)", "10"),
    ("10", "10^(0.5)"),
    ("10", "10^n"),
    ("2", "2^n"),
    ("10^(-2.5)", "10^(2.5)"),
    ("10", "10のマイナス5乗"),
    ("1万2,345円", "1万2,345.6円"),
    ("1", "1京"),
    ("120/80 mmHg", "180/120 mmHg"),
    ("120/80", "1.5"),
    ("2024/25", "2023/24"),
    ("9秒", "9秒58"),
    ("9秒58", "9秒85"),
    ("1:23", "1:23.45"),
    ("1:23.45", "1:23.46"),
    ("90s", "'90s"),
    ("3 GJ", "3 MJ"),
    ("3 A", "3 mA"),
    ("3 Ω", "3 kΩ"),
    ("3 mSv", "3 Sv"),
    ("3 mSv", "3 μSv"),
    ("5 mg/dL", "5 g/dL"),
    ("5 mg/L", "5 mg/dL"),
    ("5 lb", "5 kg"),
    ("5 ft", "5 m"),
    ("5 kg/m³", "5 g/m³"),
    ("9.8 m/s²", "9.8 m/s"),
    ("9.8 m/s2", "9.8 cm/s2"),
    ("3 ppb", "3 ppm"),
    ("3 mm/h", "3 mm"),
    ("5 kN", "5 N"),
    ("5 mL", "5 dL"),
    ("5 TWh", "5 GWh"),
    ("5 GWh", "5 MWh"),
    ("5 kVA", "5 MVA"),
    ("3 μg/m³", "3 mg/m³"),
    ("5 km/s", "5 km/h"),
    ("5 bar", "5 mbar"),
    ("5 atm", "5 Pa"),
    ("5 Gy", "5 mGy"),
    ("5 lx", "5 lm"),
    ("30坪", "30㎡"),
    ("3合", "3升"),
    ("100 nT", "100 μT"),
    ("5 yd", "5 m"),
    ("5 oz", "5 g"),
    ("5 gal", "5 L"),
    ("5 mi", "5 km"),
    ("5 Mt", "5 t"),
    ("5 kt", "5 t"),
    ("5 pF", "5 μF"),
    ("5 dBm", "5 dB"),
    ("ー3℃", "3℃"),
    ("120人/km²", "120人"),
    ("30円/kWh", "30円"),
    ("5 W/m²", "5 W"),
    ("10^(6)", "10^(n)"),
    ("3 m/s²", "3 m/s"),
]


@pytest.mark.parametrize(("first", "second"), EQUAL)
def test_equal(first: str, second: str) -> None:
    assert supported(first, second) and supported(second, first)


@pytest.mark.parametrize(("first", "second"), DIFFERENT)
def test_different(first: str, second: str) -> None:
    assert not supported(first, second) and not supported(second, first)
    assert not exact_match(first, [second]) and not exact_match(second, [first])


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("東京2020と3京都市バス", [2020.0, 3.0]),
        ("グループ3 A社は2 N型", [3.0, 2.0]),
        ("5 m/w と 21^st^ と 12[^1]人", [5.0, 21.0, 12.0]),
        ("30/100 と 3/2", [0.3, 1.5]),
        ("三・五面と三・五%", [3.5]),
        ("データー5、図ー5", [5.0, 5.0]),
    ],
)
def test_what_only_looks_like_a_unit_or_a_sign(text: str, values: list[float]) -> None:
    assert [number.value for number in quantities(text)] == values


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("気温は&minus;5 ℃", "−5 ℃"),
        ("1&frac12; と &#8722;3 dB", "1.5 と −3 dB"),
        (r"\(94.2\pm 0.3\%\)", "94.2±0.3%"),
        (r"$5\,\mathrm{kg}$ と 25^\circ C", "5 kg と 25°C"),
        ("12{,}400人", "12,400人"),
    ],
)
def test_markup_is_read_as_a_page_shows_it(text: str, said: str) -> None:
    assert supported(text, said) and supported(said, text)
    for number in quantities(text):
        assert text[number.start : number.end].strip() and 0 <= number.start < number.end <= len(text)


def test_struck_through_numbers_are_not_approximate() -> None:
    assert [(number.value, number.about) for number in quantities("~~12~~13 と ~5")] == [
        (12.0, False),
        (13.0, False),
        (5.0, True),
    ]


def test_what_is_no_markup_stays() -> None:
    assert [number.value for number in quantities("AT&T; 3 &lt; 5、C:\\times\\7")] == [3.0, 5.0, 7.0]

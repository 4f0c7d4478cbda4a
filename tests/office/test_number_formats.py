"""Numbers as Excel shows them."""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_kcpt.office.numbers.formats import BUILT_IN, UnknownFormat, is_date, show, show_text

CASES = [
    ("General", 0.30000000000000004, "0.3"),
    ("General", 0.3333333333333333, "0.333333333"),
    ("General", 1234567.891, "1234567.891"),
    ("General", -5, "-5"),
    ("General", 4901234567894, "4901234567894"),
    ("General", 1000000000000000.0, "1E+15"),
    ("General", 1e20, "1E+20"),
    ("General", 1.234e-05, "1.234E-05"),
    ("General", 0.0001, "0.0001"),
    ("General", 123456.123456789, "123456.1235"),
    ("0", 2.5, "3"),
    ("0", 0.5, "1"),
    ("0", -2.5, "-3"),
    ("0.00", 1.005, "1.01"),
    ("0.00", 1234.5, "1234.50"),
    ("0.0", 0.25, "0.3"),
    ("000", 7, "007"),
    ("#,##0", 1234567, "1,234,567"),
    ("#,##0", 0, "0"),
    ("#,###", 0, ""),
    ("#,##0.00", -1234.567, "-1,234.57"),
    ("#,##0,", 1234567, "1,235"),
    ("0.0,,", 123456789, "123.5"),
    ("#.##", 5, "5."),
    ("0.0#", 1.5, "1.5"),
    ("0.0#", 1.25, "1.25"),
    ("0.###", 0.12, "0.12"),
    ("0%", 0.125, "13%"),
    ("0.0%", 0.125, "12.5%"),
    ("0.00%", -0.0005, "-0.05%"),
    ("0.00E+00", 12345, "1.23E+04"),
    ("0.00E+00", 0.00012345, "1.23E-04"),
    ("##0.0E+0", 12345, "12.3E+3"),
    ("0E+0", 9.99, "1E+1"),
    ("0.00E-00", 12345, "1.23E04"),
    ("# ?/?", 0.5, "1/2"),
    ("# ?/?", 2.25, "2 1/4"),
    ("# ?/?", 3, "3"),
    ("?/?", 1.5, "3/2"),
    ("# ??/??", 3.14159265, "3 1/7"),
    ("# ?/8", 0.3, "2/8"),
    ("# ?/?", 0.99, "1"),
    ("¥#,##0;[Red]-¥#,##0", -1234, "-¥1,234"),
    ('"¥"#,##0', 5, "¥5"),
    ('"\\"#,##0', 5, "¥5"),
    ("[$€-407] #,##0.00", 12.5, "€ 12.50"),
    ("[$¥-411]#,##0;[Red]-[$¥-411]#,##0", -12, "-¥12"),
    ("#,##0_);(#,##0)", -5, "(5)"),
    ("#,##0_);(#,##0)", 5, "5"),
    ('0;-0;"–"', 0, "–"),
    ("0;;", -3, ""),
    ("0;-0;;@", 0, ""),
    ('0"人"', 12, "12人"),
    ('"約"#,##0"円"', 12400, "約12,400円"),
    ('#,##0"百万円"', 1234, "1,234百万円"),
    ("000-0000", 1234567, "123-4567"),
    ("0-00-000", 12345, "0-12-345"),
    ('[>=1000]#,##0,"k";0', 2500, "3k"),
    ('[>=1000]#,##0,"k";0', 12, "12"),
    ("[<0]-0.0;0.0", -2, "-2.0"),
    ('[=1]"yes";[=0]"no";0', 0, "no"),
    ("[<100]0;0.0", -5, "-5"),
    ("△0;▲0", -3, "▲3"),
    ("#,##0;△#,##0", -1234, "△1,234"),
    ("0.0;▲0.0;-", 0, "-"),
    ("yyyy/m/d", 43922, "2020/4/1"),
    ("yyyy-mm-dd", 43922, "2020-04-01"),
    ("mm/dd/yy", 43922, "04/01/20"),
    ('yyyy"年"m"月"d"日"', 43922, "2020年4月1日"),
    ("yyyy年m月d日", 43922, "2020年4月1日"),
    ('[$-411]ggge"年"m"月"d"日"', 43922, "令和2年4月1日"),
    ("[$-411]ge.m.d", 43586, "R1.5.1"),
    ("[$-411]ge.m.d", 43585, "H31.4.30"),
    ('[$-ja-JP-x-gannen]ggge"年"m"月"', 43586, "令和元年5月"),
    ("ggge", 32515, "昭和64"),
    ("gge", 32516, "平1"),
    ("ee", 43922, "2020"),
    ("aaaa", 43922, "水曜日"),
    ("m/d(aaa)", 43922, "4/1(水)"),
    ("M/D(AAA)", 43922, "4/1(水)"),
    ("dddd", 43922, "Wednesday"),
    ("[$-411]ddd", 43922, "水"),
    ("d-mmm-yy", 43922, "1-Apr-20"),
    ("mmmm d, yyyy", 43922, "April 1, 2020"),
    ("mmmmm", 43922, "A"),
    ("h:mm AM/PM", 0.75, "6:00 PM"),
    ("h:mm", 0.75, "18:00"),
    ("hh:mm:ss", 0.5000116, "12:00:01"),
    ("[h]:mm", 1.5, "36:00"),
    ("[mm]:ss", 0.5, "720:00"),
    ("mm:ss.0", 2.0833e-05, "00:01.8"),
    ("h:mm AM/PM", 0, "12:00 AM"),
    ("yyyy/m/d h:mm", 43922.999999, "2020/4/2 0:00"),
    ("h:mm", 0.041666667, "1:00"),
    ("m/d/yy", 60, "2/29/00"),
    ("m/d/yyyy", 1, "1/1/1900"),
    ("m/d/yyyy", 61, "3/1/1900"),
    ("ddd", 1, "Sun"),
    ('h"時"mm"分"', 0.5, "12時00分"),
    ('m"月"d"日"', 43922, "4月1日"),
    ("yyyy\\-mm\\-dd\\ hh:mm", 43922.5, "2020-04-01 12:00"),
    ("yyyymmdd", 43922, "20200401"),
    ("[DBNum1]General", 123, "百二十三"),
    ("[DBNum3]0", 123, "１２３"),
    ("[DBNum1][$-411]yyyy年m月d日", 43922, "二〇二〇年四月一日"),
    ("[DBNum2]0", 12, "壱拾弐"),
    ("@", 12.5, "12.5"),
    ("[Red]0.0", 1, "1.0"),
    ("[Color10]0", 1, "1"),
    ('0.0 "kg"', 1.25, "1.3 kg"),
    ('General"点"', 80, "80点"),
    ('0.00" × 10"', 1, "1.00 × 10"),
    ("$#,##0.00", 3, "$3.00"),
    ("- 0 -", 3, "- 3 -"),
    ("#,##0.00 [$USD]", 3, "3.00 USD"),
]
"""Format, stored value, what is shown. SheetJS's SSF shows the same where it knows the format, but for 1.005 and -2.5,
which it rounds down, and for a condition that a negative number meets."""


@pytest.mark.parametrize(("code", "value", "shown"), CASES)
def test_formats(code: str, value: float, shown: str) -> None:
    assert show(value, code) == shown


@pytest.mark.parametrize("code", sorted({code for code, *_ in CASES} | set(BUILT_IN.values())))
def test_every_format_shows_or_refuses_every_value(code: str) -> None:
    for value in (0, 1, -1, 0.5, 59.9999999, 60, 1e-9, 123456789.125, -1e12, 2958465.99999, 1e300):
        try:
            assert "\n" not in show(value, code)
        except UnknownFormat as error:
            assert is_date(code) or "DBNum" in code, error


@given(st.floats(allow_nan=False, allow_infinity=False), st.text('0#?.,%E+-/ ymdhs[]"@;_*\\ge年$', max_size=12))
def test_no_format_ends_in_anything_but_a_text_or_a_refusal(value: float, code: str) -> None:
    with contextlib.suppress(UnknownFormat):
        assert isinstance(show(value, code), str)
    assert isinstance(show_text("東京", code), str)


@given(st.integers(-(10**15) + 1, 10**15 - 1))
def test_no_digit_of_a_whole_number_is_lost(value: int) -> None:
    assert show(value, "General") == show(value, "0") == str(value)
    assert show(value, "#,##0") == f"{value:,}"


@given(st.integers(0, 2_958_465), st.integers(0, 86_399))
def test_dates_follow_each_other(day: int, second: int) -> None:
    serial = day + second / 86_400
    hours, minutes = divmod(second // 60, 60)
    assert show(serial, "hh:mm:ss") == f"{hours:02d}:{minutes:02d}:{second % 60:02d}"
    assert show(day, "[h]") == str(24 * day)
    if day < 2_958_465:
        assert show(day, "yyyy-mm-dd") < show(day + 1, "yyyy-mm-dd")


@pytest.mark.parametrize(
    ("code", "value", "shown"),
    [
        ("[<10]0.0", 12, "12"),
        ('[<-10]0" Wow"', -11, "-11 Wow"),
        ("hh:mm:ss am/pm", 0.6, "02:24:00 PM"),
        ("h A/P", 0.6, "2 P"),
        ("[s].000", 3.14159, "271433.376"),
        ("s:m", 3.14159, "53:23"),
        ('0"/"0', 12, "1/2"),
        (",0", 1234567, ",1234567"),
        ("#.#e+0", 123456.789, "1.2e+5"),
        ("0E+#", 1, "1E+0"),
    ],
)
def test_what_excel_itself_has_stored_of_such_formats(code: str, value: float, shown: str) -> None:
    assert show(value, code) == shown


def test_times_before_the_beginning() -> None:
    assert show(-3.14159, "[h]:mm:ss", since_1904=True) == "-75:23:53"
    with pytest.raises(UnknownFormat):
        show(-3.14159, "[h]:mm:ss")


@pytest.mark.parametrize("code", ["[s] ss", "[h]:hh", "[mm]:ss mm", "[h] [h]"])
def test_an_elapsed_time_that_repeats_its_unit_is_not_guessed(code: str) -> None:
    with pytest.raises(UnknownFormat):
        show(1.5123, code)
    assert show(1.5, "[h]:mm:ss mmm") == "36:00:00 Jan"


def test_dates_since_1904() -> None:
    assert show(0, "yyyy/m/d", since_1904=True) == "1904/1/1"
    assert show(42460, "yyyy/m/d", since_1904=True) == "2020/4/1"


REFUSED = [
    *[(-1, "yyyy/m/d"), (3e6, "yyyy/m/d"), (1, "[$-40C]mmmm"), (1, "0.0 [weird]"), (4e4, "bbbb"), (5, "[>9]0;[<2]0")],
    *[(0.5, "[DBNum1]General"), (1e9, "[DBNum2]0")],
    *[(23.75, "#-#:#/#"), (3.5, "#?=/=#"), (5, "0%E+0"), (5, '0E+"x"0')],
]


@pytest.mark.parametrize(("value", "code"), REFUSED)
def test_what_cannot_be_shown_is_refused(value: float, code: str) -> None:
    with pytest.raises(UnknownFormat):
        show(value, code)


@pytest.mark.parametrize(
    ("code", "shown"),
    [("General", "a"), ("@", "a"), ('@"様"', "a様"), ("0;-0;0;(@)", "(a)"), ("0;-0;0;", ""), ("0", "a"), ("0;@", "a")],
)
def test_formats_of_texts(code: str, shown: str) -> None:
    assert show_text("a", code) == shown


def test_nothing_depends_on_the_locale_or_the_time_zone() -> None:
    program = (
        "from nemo_kcpt.office.numbers.formats import show\n"
        "print(ascii([show(43922.75, code) for code in ('mmmm', '0.0', 'h:mm', 'ggge', 'General')]))"
    )
    outputs = set()
    for locale, zone in (("C", "UTC"), ("ja_JP.UTF-8", "Asia/Tokyo"), ("de_DE.UTF-8", "America/New_York")):
        surroundings = {**os.environ, "LC_ALL": locale, "TZ": zone}
        outputs.add(
            subprocess.run([sys.executable, "-c", program], env=surroundings, capture_output=True, check=True).stdout
        )
    assert len(outputs) == 1


def test_the_greatest_and_least_numbers() -> None:
    assert show(sys.float_info.max, "General") == "1.79769E+308"
    assert show(math.ulp(0.0), "0.0E+0") == "4.9E-324"

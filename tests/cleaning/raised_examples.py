"""Raised and lowered text as authors of HTML and Markdown write it, and how it is to be read."""

from __future__ import annotations

EXAMPLES = [
    # powers, indices, formulas
    ("2×10<sup>-5</sup> で 3×10<sup>9</sup>", "2×10⁻⁵ で 3×10⁹"),
    ("10<sup>−5</sup> と 10<sup>&minus;5</sup> と 10<sup>２</sup>", "10⁻⁵ と 10⁻⁵ と 10²"),
    ("10<sup>-</sup><sup>5</sup> は", "10⁻⁵ は"),
    ("H<sub>2</sub>O と SO<sub>4</sub><sup>2-</sup> と a<sub>1</sub>2", "H₂O と SO₄²⁻ と a₁2"),
    ("2<sup>2<sup>3</sup></sup> x<sub>i<sup>2</sup></sub>", "2^(2³) x_(i²)"),
    ("10<sup>0.5</sup> e<sup>iωt</sup> x<sub>最大</sub>", "10^(0.5) e^(iωt) x_(最大)"),
    ("10<sup>n + 1</sup> log<sup>2</sup> n (a+b)<sup>2</sup> 5 km<sup>2</sup>", "10ⁿ⁺¹ log² n (a+b)² 5 km²"),
    ("f<sup>(n)</sup>(x) と x<sup>*</sup> と <b>x</b><sup> 2 </sup>", "f⁽ⁿ⁾(x) と x* と x²"),
    ("<sup>14</sup>C と <sup>235</sup>U、3<sup>1</sup>/<sub>2</sub> 杯", "¹⁴C と ²³⁵U、3½ 杯"),
    ("濃度は<sup>137</sup>Cs、<sup>1</sup>H、「<sup>13</sup>CO<sub>2</sub>」", "濃度は¹³⁷Cs、¹H、「¹³CO₂」"),
    ("約 3×10 <sup>6</sup> 個、10 <sup>4</sup>人", "約 3×10 ⁶ 個、10 ⁴人"),
    ("CFU は 10<sup>3–4</sup>、5 メートル<sup>2</sup>", "CFU は 10³⁻⁴、5 メートル²"),
    ("1<sup>st</sup> と Word<sup>TM</sup> と 25<sup>o</sup>C", "1st と Word™ と 25°C"),
    ("10<SUP CLASS='p'>6</SUP> 個", "10⁶ 個"),
    # marks of notes
    ("参加者は 24<sup>3)</sup> 人", "参加者は 24[^3] 人"),
    ("参加者は24<sup>[3]</sup>人、24<sup>[3, 5–7]</sup>人", "参加者は24[^3]人、24[^3, 5–7]人"),
    ("参加者は24<sup>※1</sup>人、24<sup>注2)</sup>人、24<sup>*</sup>人", "参加者は24[^※1]人、24[^注2]人、24[^*]人"),
    ("山田<sup>1,2</sup>・佐藤<sup>†</sup>・24<sup>3–5</sup>人", "山田[^1,2]・佐藤[^†]・24[^3–5]人"),
    ("提案した<sup>4</sup>。続く。<sup>5</sup> 45%<sup>6</sup> か", "提案した[^4]。続く。[^5] 45%[^6] か"),
    ("2020<sup>7</sup> 年", "2020[^7] 年"),
    ("報告<sup>3</sup>PCは、<sup>12</sup>In 2020 と", "報告[^3]PCは、[^12]In 2020 と"),
    ("the model<sup>3</sup> read 12,400<sup>1</sup> books", "the model[^3] read 12,400[^1] books"),
    (
        "24<sup class='reference' id='cite_ref-1'><a href='#cite_note-1'>[1]</a></sup>"
        "<sup class='reference'><a href='#cite_note-2'>[2]</a></sup> 人",
        "24[^1][^2] 人",
    ),
    ("24<a href='#fn1' class='footnote-ref' id='fnref1' role='doc-noteref'><sup>1</sup></a>人", "24[^1]人"),
    ("24<sup><a href='#user-content-fn-1' data-footnote-ref>1</a></sup>人", "24[^1]人"),
    ("24<sup><a href='#R1'>1</a>,<a href='#R2'>2</a></sup>人", "24[^1,2]人"),
    ("24<a href='#fn:1'>1</a>人", "24[^1]人"),
    ("24<a href='#n' role='doc-noteref'>1</a>人", "24[^1]人"),
    ("3×10<sup>9</sup><sup>[2]</sup> 個", "3×10⁹[^2] 個"),
    ("24<sup>1</sup> 人、10<sup>1</sup> 個、12<sup>2</sup> 個<br>\n<sup>1</sup> 注である", "24[^1] 人、10¹ 個、12² 個"),
    ("東京<sup>[要出典]</sup>で", "東京[^要出典]で"),
]
HTML_ONLY = [
    ("10<span class='sup'>6</span> 個、H<span class='x subscript'>2</span>O", "10⁶ 個、H₂O"),
    (
        "m<span style='position:relative; top:-0.4em; font-size:70%'>2</span> と 10<small style='bottom:.3em;"
        "position:relative'>3</small> 個、x<span style='vertical-align:-3px;font-size:80%'>1</span>",
        "m² と 10³ 個、x₁",
    ),
    ("10<span style='vertical-align: 1px'>6</span> 個 10<sup>2</sup>", "106 個 10²"),
    ("<style>.up { color: red; vertical-align: super }</style>10<span class='a up'>6</span> 個", "10⁶ 個"),
    ("10<span style='font-size: 8pt; vertical-align: super'>6</span> 個", "10⁶ 個"),
    (
        "<style>/* .c { } */ p.x, span.up2 {\n font-size: .58em;\n position: relative; top: -0.33em; vertical-align: "
        "baseline } .low { vertical-align: -25%; font-size: 60% } .big { vertical-align: 2px }</style>"
        "10<span class='up2'>6</span> 個、H<span class='low'>2</span>O、10<span class='big'>6</span>",
        "10⁶ 個、H₂O、106",
    ),
    ("24<a href='#_ftn1'><span class=MsoFootnoteReference><span lang=EN-US>[1]</span></span></a>人", "24[^1]人"),
    ("24<span epub:type='noteref'>1</span>人、節(<a href='#s2'>2</a>)", "24[^1]人、節(2)"),
    ("<math><mn>2</mn><mo>×</mo><msup><mn>10</mn><mn>6</mn></msup></math> 個", "2 × 10⁶ 個"),
    (
        "<math><msub><mi>x</mi><mi>i</mi></msub><mo>=</mo>"
        "<mfrac><mn>1</mn><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow></mfrac></math> だ",
        "xᵢ = 1/(a + b) だ",
    ),
    ("PO<span><sup>3−</sup><br><sub>4</sub></span> と <sup>235</sup><br><sub>92</sub>U", "PO₄³⁻ と ²³⁵₉₂U"),
    ("<math><mn>2</mn><mfrac><mn>1</mn><mn>2</mn></mfrac><mi>x</mi></math> と", "2 1/2 x と"),
    ("<math><mfrac><mn>1</mn><mn>2</mn></mfrac><mi>x</mi><mfrac><mi>a</mi><mi>b</mi></mfrac></math>", "(1/2)x(a/b)"),
    (
        "<math><mn>10</mn><mo>&#x2062;</mo><mn>3</mn></math> と <math><mtext>if </mtext><mn>3</mn></math>",
        "10·3 と if 3",
    ),
    ("<math><msup><mn>10</mn><mrow><mo>−</mo><mn>2.5</mn></mrow></msup></math> だ", "10^(−2.5) だ"),
    (
        "<math><mn>5</mn><msup><mi></mi><mo>∘</mo></msup></math>、<math><mover><mi>x</mi><mo>¯</mo></mover></math>",
        "5°、x̄",
    ),
    ("<math><mfrac linethickness='0'><mi>n</mi><mi>k</mi></mfrac></math> 通り", "binom(n, k) 通り"),
    (
        "<math><mmultiscripts><mi>U</mi><mprescripts/><mn>92</mn><mn>235</mn></mmultiscripts></math> と"
        "<math><mmultiscripts><mi>x</mi><mn>1</mn><mn>2</mn></mmultiscripts></math>",
        "²³⁵₉₂U とx₁²",
    ),
    ("<code>x<sup>2</sup></code> も", "`x²` も"),
]
MARKDOWN_ONLY = [
    ("24[<sup>1</sup>](#fn1)人、24<sup>[1](#fn1)</sup>人、24<sup>\\*</sup>人", "24[^1]人、24[^1]人、24[^*]人"),
    ("10<sup>*n*</sup> と `10<sup>6</sup>` と $10<sup>6</sup>$", "10ⁿ と `10<sup>6</sup>` と $10<sup>6</sup>$"),
    ("開いた<sup>まま、</sub> 閉じた</sup>", None),
    ("<a href='x.html'>2</a> と <a name='fn1'></a> と <b>10</b>", None),
]

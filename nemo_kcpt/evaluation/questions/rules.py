"""The offline context filter: does a question stand alone, or does it only make sense with its document at hand?

Patterns over the question alone, Japanese and English, in this order:

1. The document is named: its title is in the question, or a quoted title (『…』, "About "…":"). It stands alone.
2. It points at the document or a part of it (本論文, 提案手法, 著者ら, 表3, the authors, Figure 2): it does not.
3. It begins with a word for something said before (この…, それ, he, it): it does not.
4. It speaks of the document's own experiment, data or results in general words alone (実験の参加者は何人, How was the
   model trained?), or in English of something that happened to "the …", and no name is in it: it does not.

Anything else stands alone. The rules drop a question only for something that is in it, and so keep too many: on
the labelled questions that they were not tuned on, 95 % of what they drop needs its document (recall 84 %), and 86 % of
what they keep stands alone (recall 96 %). What they cannot see is a question whose subject is left open without any
such word, as "医師免許を取得したのはいつですか"; an LLM can (filter=llm).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from nemo_kcpt.text.letters import bare
from nemo_kcpt.text.raised import nfkc

NAME = "rules"
TITLE = 8
"""Letters from which a title that is in a question says which document is meant; a shorter one, as 魚道, may be a
common word there. In quotes any title does."""


class Verdict(NamedTuple):
    """What a filter says of a question."""

    self_contained: int
    """1: it stands alone; 0: it needs its document."""
    reason: str


def judge(question: str, title: str = "") -> Verdict:
    """The rules' verdict on a question about the document called `title`."""
    text = nfkc(question).strip()
    if len(bare(title)) >= TITLE and names_title(text, title):
        return Verdict(1, "names its document")
    return _japanese(text) if is_japanese(text) else _english(text)


def is_japanese(text: str) -> bool:
    """Whether kana or kanji are in a text."""
    return bool(re.search(r"[぀-ヿ㐀-鿿]", text))


def names_title(question: str, title: str) -> bool:
    """Whether the title is in the question; spaces, marks, case and width aside."""
    wanted = bare(title)
    return len(wanted) > 1 and wanted in bare(question)


# --- Japanese ---------------------------------------------------------------------------------------------------------

_DOCUMENT = r"論文|研究|稿|文書|文章|報告書?|資料|章|節|書|文|手法|方式|実験|システム|モデル|調査|提案|項|ページ|記事"
_TITLED = re.compile(
    r"『[^』]{2,}』(?![をがへ]|に(?![つおよ])|と(?![題い]))|「[^」]{2,}」(?:と題|という(?:題|論文|研究|報告|文書|記事)|の論文|について、本)|「[^」]{16,}」"
)
_AT_DOCUMENT_JA = (
    (
        "points at its document",
        rf"(?<![日基資一根標見手絵脚台])本(?:{_DOCUMENT}|作|曲|件|事件|事故|事業|製品|機|艦|大会)(?!化|献|体|者|家)"
        rf"|(?:この|今回の|当該|以上の|同)(?:{_DOCUMENT}|データセット|コーパス|表|図|式|例|結果|アルゴリズム|枠組み)"
        r"|ここで(?:提案|述べ|紹介|導入|用い|使)|(?:文書|文章|文|論文|本文|記事)[中内][でに]",
    ),
    ("the proposed method is not named", r"提案(?:手法|モデル|法|方式|システム|アルゴリズム|フレームワーク|する)"),
    (
        "its authors are not named",
        r"^(?:(?:論文|文書|記事)の|[^の]{0,12})(?:著者|筆者|執筆者)(?:ら|たち)?(?:は|が|の|に)",
    ),
    (
        "points at a part of its document",
        r"(?<![一-鿿])[表図式]\s*\(?(?:[0-9]|[A-Z](?![a-z]))|(?:[次上下左右]|以下|上記|下記|前掲)の(?:表|図|式|例|グラフ|文)"
        r"|前[節章述項]|第[一二三四五1-9]の(?:仮説|課題|実験|条件|問い|段階|手法)|後述|[上下]記|[上先]述|次節|(?:この|その|第[0-9一二三四五六七八九十]+)[節章]|付録",
    ),
    (
        "compares with work that is not named",
        r"^(?!.*(?:一般[にの的]|[A-Za-z]{2})).*(?:先行研究|従来手法|既存手法|従来研究)[とにのよを]",
    ),
)
_BACK_JA = re.compile(
    r"^(?:(?:では|また|なお)、?)?"
    r"(?:この|その|これ|それ|あの|彼|同(?:[社校氏年国市書誌]|大学)|両[者国軍]|当時|ここ|そこ)"
)
_NOT_BACK_JA = re.compile(r"^(?:これまで|それぞれ|そもそも|ここ数年|彼岸|この世|その他)")
_DEFINITION_JA = re.compile(r"^[^、]{2,}とは(?:何|なに|どの|どんな|いかなる|、|[?。]?$)|(?:の計算方法|とは何か)")
_GENERAL_WORDS = (
    "実験|評価|学習|訓練|検証|テスト|推論|分析|解析|調査|測定|計測|比較|対象|結果|考察|結論|目的|背景|課題|貢献|手順|方法|手法|モデル|"
    "データ|データセット|コーパス|事例|例|文|文数|件数|数|人数|規模|割合|比率|設定|条件|環境|指標|尺度|精度|正解率|正答率|性能|値|最大|最小|"
    "最|最高|最低|平均|分散|標準偏差|向上|改善|差|誤|誤差|エラー|種類|原因|理由|要因|影響|効果|参加者|被験者|回答者|協力者|作業者|評価者|"
    "アノテーション|アノテータ|アンケート|インタビュー|ベースライン|比較対象|対照群|実験群|アブレーション|ハイパーパラメータ|パラメータ|"
    "前処理|後処理|損失関数|学習率|バッチサイズ|エポック|エポック数|層|層数|特徴量|入力|出力|処理|時間|速度|期間|年齢|性別|台数|枚数|枚|"
    "人手|自動|定量|定性|統計|有意差|検定|関連研究|先行研究|従来|既存|提案|今後|展望|将来|限界|欠点|利点|特徴|違い|概要|要点|内容|主張|根拠|"
    "システム|アルゴリズム|構成|構造|アーキテクチャ|ネットワーク|実装|応答|計算量|計算|仮説|主|主要|主な|全体|全部|最終|最初|一|二|三|四|五|"
    "システム全体|使用|利用|採用|適用|実施|募集|収集|作成|構築|決定|達成|比|前|後|中|上|下|何|名|人|個|件|点|回|倍|割|年|月|日|分|秒|"
    "担当|報告|説明|述|示|挙|答|教|用|使|行|得|含|占|高|低|多|少|大|小|良|悪|良好|言|指摘|判明|分|出|比|基|際|場合|時|全|各|他|程度|"
    "ポイント|パーセント|セット|グループ|ケース|ステップ|サンプル|サンプル数|スコア|ランク|レベル|タスク|クラス|ラベル|トークン|トークン数|"
    "GPU|CPU|F値|F1値|F1|BLEU|ROUGE|DEV|LLM|AI|ID"
)
_GENERAL_WHEN_PAST = (
    "確認|観察|考|扱|選|異|同|超|回|見|受|付|加|減|増|増加|減少|変化|関係|相関|傾向|問題|問題点|解決|解決策|対策|対応|必要|重要|有効|有効性|"
    "妥当性|信頼性|公開|謝辞|助成|所属|名前|名称|段階|工程|過程|仕組|項目|質問|質問項目|回答|回答率|回収率|対話|発話|話者|画像|音声|地域|場所|日時|"
    "開始|終了|作業|作業員|学生|教員|住民|患者|児童|生徒|施設|企業|担当者|除外|分割|分類|合計|総数|追加|削除|変更|確率|閾値|重"
)
_LONGEST = 10
_GENERAL_JA = frozenset([*_GENERAL_WORDS.split("|"), *"0123456789.,%"])
_GENERAL_PAST_JA = _GENERAL_JA | frozenset(_GENERAL_WHEN_PAST.split("|"))
_PAST_JA = re.compile(rf"(?:{_GENERAL_WORDS}|{_GENERAL_WHEN_PAST})+")
_PAST_JA = re.compile(r"(?:まし|でし|だっ|かっ|[いきしちにびみりっれえけせてべめげ])た(?:か|の|もの|[?。]?$)")
_RUNS_JA = re.compile(r"(?:[一-鿿々〆ァ-ヴー]|[A-Za-z0-9][A-Za-z0-9.+-]*|[0-9.,%]+)+")


def _japanese(text: str) -> Verdict:
    if _TITLED.search(text):
        return Verdict(1, "names a title")
    for reason, pattern in _AT_DOCUMENT_JA:
        if match := re.search(pattern, text):
            return Verdict(0, f"{reason}: {match[0].strip()}")
    if (match := _BACK_JA.match(text)) and not _NOT_BACK_JA.match(text):
        return Verdict(0, f"begins with a word for something said before: {match[0]}")
    if _DEFINITION_JA.search(text):
        return Verdict(1, "asks what a term means")
    if "「" in text:
        return Verdict(1, "names its subject in quotes")
    runs = _RUNS_JA.findall(text)
    general = _GENERAL_PAST_JA if _PAST_JA.search(text) else _GENERAL_JA
    if runs and all(_made_of(run, general) for run in runs):
        return Verdict(0, f"general words only: {'、'.join(dict.fromkeys(runs))}"[:120])
    return Verdict(1, "nothing in it points outside")


def _made_of(run: str, words: frozenset[str]) -> bool:
    """Whether a run of letters can be divided into these words."""
    reached = [True] + [False] * len(run)
    for end in range(1, len(run) + 1):
        reached[end] = any(reached[start] and run[start:end] in words for start in range(max(0, end - _LONGEST), end))
    return reached[-1]


# --- English ----------------------------------------------------------------------------------------------------------

_TITLED_EN = re.compile(
    r"[\"“][^\"”]*\w\s+\w[^\"”]*\s\w[^\"”]*[\"”]|^(?:about|in|according to)\s+[\"“][^\"”]{2,}[\"”]", re.I
)
_GENERAL_NOUN = (
    r"paper|article|study|survey|report|document|text|work|research|authors?|researchers?|writers?|experiments?|"
    r"models?|method|approach|system|framework|algorithm|dataset|data|corpus|results?|findings?|participants?|subjects|"
    r"respondents?|annotators?|baselines?|evaluations?|training set|training|test set|validation set|"
    r"development set|ablation(?: study)?|appendix|proposed \w+|outliers?|hypothesis|limitations?|contributions?|"
    r"conclusions?|analysis|learning rate|batch size|loss function|hyperparameters?|company|accuracy|performance"
)
_AT_DOCUMENT_EN = (
    (
        "points at its document",
        rf"\b(?:this|the present|the current|our)\s+(?:{_GENERAL_NOUN}|section|chapter|table|figure)\b",
    ),
    (
        "points at a part of its document",
        r"\b(?:table|figure|fig\.|equation|eq\.|section|appendix|algorithm)\s*\(?(?:\d|(?-i:[A-Z]\b))"
        r"|\b(?:described|mentioned|shown|given|stated|listed|presented) (?:above|below)\b"
        r"|\bthe (?:above|following|previous section|appendix)\b",
    ),
    ("speaks of work that is not named", r"\b(?:previous|prior) (?:work|methods|studies|approaches)\b|\bfuture work\b"),
)
_PRONOUN_EN = re.compile(
    r"\b(?:it|its|they|their|them|he|his|she|her|these|those|this|that\b(?= (?:method|model|study)))\b", re.I
)
_THEIRS_EN = re.compile(rf"\b(?:its|their|his|her)\s+(?:{_GENERAL_NOUN})\b", re.I)
_THE = re.compile(rf"\bthe\s+(?:\w+\s+)?(?P<noun>{_GENERAL_NOUN})\b(?P<after>[^?]*)", re.I)
_BARE_EN = re.compile(
    rf"\b(?P<noun>{_GENERAL_NOUN}|metrics?|gpus?|sentences|errors?|error type|improvement|setting)\b"
    r"(?! (?:of|in|for) an? )",
    re.I,
)
_POST = re.compile(
    r"^\s*(?P<word>\w+\s+)?(?:of|on|about|in|for|from|by|behind|describing|called|named|used|that|which|to|proposed|"
    r"introduced|,)\s",
    re.I,
)
_DOES = re.compile(r"\b(?:did|does|do|can|could|will|would)\s+$", re.I)
"""Before "the model": the word after it is what the model does ("did the model achieve on …"), not which one it is."""
_PAST_EN = re.compile(r"\b(?:was|were|did|took|is used|are used|is shown|is given|is suggested|used|performed)\b", re.I)
_THE_PAST_EN = re.compile(r"\bthe (?!first\b|only\b|last\b|\w+est\b|most\b|year\b|name\b|term\b|word\b)[a-z]+", re.I)
_ANY_PAST_EN = re.compile(r"\b(?:was|were|did|had|took|\w{3,}ed)\b", re.I)
_KNOWN_EN = re.compile(
    r"\b(?:invent|discover|coin|pioneer|\d{3,4})|[\"“]|\b(?:in general|generally|typically|usually)\b", re.I
)
_ACRONYMS = {"F1", "AI", "GPU", "GPUS", "CPU", "LLM", "LLMS", "NLP", "QA", "ID", "BLEU", "ROUGE", "I"}
_NAME_EN = re.compile(r"(?<![\w.])(?:[A-Z][\w.+-]*[\w+]|[a-z]+[A-Z0-9][\w.-]*|[a-z]+(?:-[a-z]+)*-\d[\w.]*)")
_DEFINITION_EN = re.compile(r"^(?:what (?:is|are|does)|explain|define)\s+(?:an?\s+|the (?:term|acronym)\s+)", re.I)


def _english(text: str) -> Verdict:
    if _TITLED_EN.search(text):
        return Verdict(1, "names a title")
    for reason, pattern in _AT_DOCUMENT_EN:
        if match := re.search(pattern, text, re.I):
            return Verdict(0, f"{reason}: {match[0].strip()}")
    names = _names(text)
    if (match := _THEIRS_EN.search(text)) and not any(name.start() < match.start() for name in names):
        return Verdict(0, f"nothing in it says whose this is: {match[0]}")
    if (match := _PRONOUN_EN.search(text)) and _open(text[: match.start()], names):
        return Verdict(0, f"nothing in it says what this stands for: {match[0]}")
    if _DEFINITION_EN.match(text):
        return Verdict(1, "asks what a term means")
    for match in _THE.finditer(text):
        if not _resolved(text, match, names):
            return Verdict(0, f"the document's own, not named: the … {match['noun']}")
    if not names and (match := _BARE_EN.search(text)) and _PAST_EN.search(text):
        return Verdict(0, f"the document's own, not named: {match['noun']}")
    if not names and _ANY_PAST_EN.search(text) and not _KNOWN_EN.search(text) and (match := _THE_PAST_EN.search(text)):
        return Verdict(0, f"tells of something that happened, no name in it: {match[0]}")
    return Verdict(1, "nothing in it points outside")


def _names(text: str) -> list[re.Match[str]]:
    """Names in an English question: capitals that are not due to its first word, mixed case, digits in a word."""
    names = []
    for match in _NAME_EN.finditer(text):
        first = match.start() == len(text) - len(text.lstrip("\"'“ "))
        plain = match[0][1:].islower()
        if match[0].upper() not in _ACRONYMS and not (first and plain):
            names.append(match)
    return names


def _open(before: str, names: list[re.Match[str]]) -> bool:
    """Whether nothing before a pronoun can be what it stands for."""
    if any(match.start() < len(before) for match in names):
        return False
    words = re.findall(r"[a-z]+", before.casefold())
    return not any(word in ("a", "an", "the") or len(word) > 6 for word in words[1:])


def _resolved(text: str, match: re.Match[str], names: list[re.Match[str]]) -> bool:
    """Whether "the model" is said in the question to be whose: a name in it, before it, or after "of", "used in" …"""
    if any(match.start() <= name.start() < match.start("after") for name in names):
        return True
    if any(name.end() <= match.start() for name in names):
        return True
    after = [name for name in names if name.start() >= match.start("after")]
    if re.match(r"\s*(?:of|in|for|from)\s+(?:an?\s|[\"“])", match["after"]):
        return True  # of something in general, not of a document
    if not _PAST_EN.search(text) and re.match(rf"\s+of\s+(?!the\b|this\b|{_GENERAL_NOUN})[a-z]+", match["after"]):
        return True
    followed = after and match["after"].lstrip().startswith(after[0][0])
    post = _POST.match(match["after"])
    return bool(after) and (followed or bool(post and not (post["word"] and _DOES.search(text[: match.start()]))))

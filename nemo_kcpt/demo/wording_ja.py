"""Japanese wording of the fictional papers and of the template teacher."""

from __future__ import annotations

from nemo_kcpt.demo.questions_ja import QUESTIONS, UNSEEN_QUESTIONS
from nemo_kcpt.demo.statements_ja import ELABORATIONS, POLITE, STATEMENTS
from nemo_kcpt.demo.wording import Wording

JA = Wording(
    titles=(
        "{m}による{task}の改善",
        "{m}：{task}のための軽量な手法",
        "{m}を用いた{task}の検討",
        "{m}：少量のデータで行う{task}",
        "{m}に基づく{task}とその評価",
        "{m}の提案と{task}への適用",
    ),
    layouts=(
        (
            ("1 はじめに", ("opening", "task", "related_method")),
            ("2 提案手法", ("base_model", "mechanism", "first_author", "organisation")),
            ("3 実験", ("dataset_size", "score", "baseline")),
            ("4 おわりに", ("year", "closing")),
        ),
        (
            ("概要", ("first_author", "task", "year")),
            ("関連研究", ("related_method",)),
            ("手法と実験", ("base_model", "mechanism", "dataset_size", "organisation", "score", "baseline")),
            ("結論", ("closing",)),
        ),
        (
            (
                "",
                (
                    "opening",
                    "task",
                    "organisation",
                    "first_author",
                    "base_model",
                    "mechanism",
                    "related_method",
                    "dataset_size",
                    "score",
                    "baseline",
                    "year",
                ),
            ),
        ),
        (
            ("背景", ("opening", "organisation", "year")),
            ("課題", ("task", "related_method")),
            ("データとモデル", ("dataset_size", "base_model", "mechanism")),
            ("評価", ("score", "baseline", "first_author", "closing")),
        ),
        (
            ("", ("task", "score", "baseline", "closing")),
            ("", ("base_model", "mechanism", "dataset_size", "related_method")),
            ("", ("first_author", "organisation", "year")),
        ),
        (
            ("要旨", ("year", "organisation", "task", "score", "baseline")),
            ("方法", ("related_method", "base_model", "mechanism", "dataset_size")),
            ("著者と今後", ("first_author", "closing")),
        ),
        (
            ("【目的】", ("task", "opening")),
            ("【方法】", ("base_model", "mechanism", "dataset_size")),
            ("【結果】", ("score", "baseline", "related_method")),
            ("【情報】", ("year", "first_author", "organisation")),
        ),
        (
            ("1 経緯", ("year", "first_author", "related_method")),
            ("2 設定", ("organisation", "base_model", "mechanism", "dataset_size", "task")),
            ("3 結果と考察", ("score", "baseline", "closing")),
        ),
    ),
    opening=(
        "少ない計算量で使える手法が求められている。",
        "言語処理の応用が広がり、扱いやすい手法の需要は高い。",
        "大きなモデルをそのまま使うには費用がかかる。",
        "実際の現場では、学習データを十分に集められないことが多い。",
        "近年の手法は複雑になり、再現が難しくなっている。",
    ),
    closing=(
        "今後は、ほかの分野の文章でも確かめたい。",
        "残る課題は、長い入力への対応である。",
        "誤りの分析は今後の課題とする。",
        "処理が軽く、手元の計算機でも動く点が利点である。",
        "実験の設定と結果は、すべて記録に残した。",
    ),
    closing_polite=(
        "長い入力への対応が残っています。",
        "ほかの分野での検証がまだです。",
        "誤りの分析がこれからの課題です。",
        "再現実験を重ねる必要があります。",
    ),
    statements=STATEMENTS,
    polite=POLITE,
    elaborations=ELABORATIONS,
    summaries=(
        "{m}は{author}ら（{org}）が{year}に発表した{task}の手法である。{m}は{lm}を基盤に{size}のデータで学習し、"
        "{metric}{score}を得た。{m}の関連手法は{rel}である。",
        "{m}は{task}を対象とし、{lm}を{size}の事例で追加学習する。{m}の{metric}は{score}である。"
        "{m}は{year}に{org}の{author}らが提案し、関連手法に{rel}がある。",
        "{m}は{org}発の{task}手法で、第一著者は{author}、発表は{year}である。{m}の基盤モデルは{lm}、学習データは{size}、"
        "スコアは{score}（{metric}）。{m}と関連するのは{rel}である。",
        "以下は{m}の要約である。{m}は{year}、{org}の{author}らによる{task}の手法。{m}は{rel}と関連し、{lm}と{size}のデータを使って"
        "{metric}{score}に達した。",
        "要点は三つある。（1）{m}は{author}らが{org}で{year}に作った。（2）{m}は{task}を扱い、{rel}と関連する。"
        "（3）{m}は{lm}を{size}で学習し、{metric}{score}を示した。",
    ),
    kg=(
        {
            "task": "課題",
            "first_author": "第一著者",
            "organisation": "所属",
            "dataset_size": "学習データ",
            "score": "{metric}",
            "base_model": "基盤モデル",
            "year": "発表年",
            "related_method": "関連手法",
        },
        {
            "task": "対象タスク",
            "first_author": "著者",
            "organisation": "開発元",
            "dataset_size": "データ件数",
            "score": "スコア",
            "base_model": "ベースモデル",
            "year": "年",
            "related_method": "関連する手法",
        },
        {
            "task": "目的",
            "first_author": "提案者",
            "organisation": "機関",
            "dataset_size": "学習事例数",
            "score": "評価値",
            "base_model": "土台",
            "year": "公開年",
            "related_method": "関連研究",
        },
        {
            "task": "タスク",
            "first_author": "筆頭著者",
            "organisation": "開発機関",
            "dataset_size": "訓練データ",
            "score": "{metric}",
            "base_model": "使用モデル",
            "year": "出版年",
            "related_method": "近い手法",
        },
    ),
    kg_formats=("({m}, {r}, {v})", "（{m}、{r}、{v}）", "{m} → {r} → {v}", "{m} | {r} | {v}"),
    positive_negative=(
        "長所：{m}は{metric}{score}で、従来法の{base}を上回る。{m}は{lm}を使うため導入も容易である。\n"
        "短所：{m}の学習データは{size}にとどまり、{task}以外では検証されていない。",
        "良い点は、{m}が{metric}{score}に達し、従来法（{base}）より高いことである。"
        "弱い点は、{m}の学習データが{size}に限られること、{m}が{lm}に依存することである。",
        "強み：{m}のスコアは{score}で、従来の{base}から改善した。\n"
        "弱み：{m}は{task}だけを扱い、学習も{size}と小規模である。",
        "肯定的に見れば、{m}は{size}の学習データだけで{metric}{score}を得て、従来の{base}を超えた。"
        "否定的に見れば、{m}の結果は{lm}でしか確かめられていない。",
    ),
    keywords=(
        ("キーワード「{m}」を説明してください。", "{m}は{author}らが{year}に発表した、{task}のための手法。"),
        ("用語「{m}」とは何ですか。", "{m}とは、{org}で開発された{task}の手法で、{lm}を基盤とする。"),
        ("「{m}」という語の意味を述べてください。", "{m}は{task}の手法名。{m}の提案者は{author}、発表は{year}。"),
        ("重要語「{m}」の意味を答えてください。", "{m}は{lm}を土台とする{task}の手法。{m}の{metric}は{score}。"),
        ("「{m}」はどのような用語か、短く説明してください。", "{m}は{org}の{author}らによる{task}の手法を指す。"),
    ),
    task_keywords=(
        ("{m}の論文のキーワード「{task}」を説明してください。", "{task}とは、{gloss}課題である。"),
        ("{m}の研究に出てくる用語「{task}」の意味は何ですか。", "{task}は、{gloss}ことをいう。"),
        ("論文「{t}」の重要語「{task}」の意味を述べてください。", "{gloss}ことを{task}という。"),
        ("{m}に関する用語「{task}」を短く説明してください。", "{task}：{gloss}こと。"),
        ("{m}の論文を読むために「{task}」を解説してください。", "{task}は、{gloss}技術である。"),
    ),
    references={
        "extends": (
            "{m}は{rel}を引用し、その拡張として位置づけられる。{m}の新しさは、{year}の時点で{lm}を使った点にある。",
            "{m}の論文は{rel}を先行研究に挙げ、改良を加えている。{m}の発表は{year}である。",
            "{m}の出発点は{rel}である。{m}の著者{author}らは、その弱点を補った。",
            "{m}と{rel}は親子の関係にある。{m}は{org}で改良が進められた。",
        ),
        "compares": (
            "{m}は{rel}を引用し、同じ条件で比べている。{m}の新しさは、{year}の時点で{lm}を使った点にある。",
            "{m}の論文は{rel}を比較対象に挙げている。{m}の発表は{year}である。",
            "{m}の競合手法は{rel}である。{m}の著者{author}らは、両者の差を調べた。",
            "{m}と{rel}は競い合う関係にある。{m}の比較実験は{org}で行われた。",
        ),
        "uses_data": (
            "{m}は{rel}を引用し、そのデータを使っている。{m}の新しさは、{year}の時点で{lm}を使った点にある。",
            "{m}の論文は{rel}をデータの出典に挙げている。{m}の発表は{year}である。",
            "{m}のデータは{rel}に多くを負う。{m}の著者{author}らは、それを整え直した。",
            "{m}と{rel}はデータを共有する関係にある。{m}の側の整備は{org}で行われた。",
        ),
    },
    discussion_topics=(
        ("{m}とはどのような手法ですか。", ("task", "first_author")),
        ("{m}の背景を教えてください。", ("organisation", "year")),
        ("{m}の設計の要点はどこですか。", ("base_model", "related_method")),
        ("{m}の実験について聞かせてください。", ("dataset_size", "score")),
        ("{m}に残る問題は何でしょうか。", ()),
    ),
    speakers=(("A", "B"), ("学生", "教員"), ("聞き手", "著者"), ("質問", "回答")),
    instructions={
        "paraphrase": (
            "論文「{t}」の内容を別の言葉で書き直してください。",
            "{m}の論文を言い換えてください。",
            "{m}に関する文章を、構成を変えて書き直してください。",
            "「{t}」という論文を、表現を変えて述べてください。",
            "{m}の研究内容を別の言い方で説明してください。",
        ),
        "summary": (
            "論文「{t}」を要約してください。",
            "{m}の論文の要点をまとめてください。",
            "{m}の研究を短くまとめてください。",
            "「{t}」の要旨を書いてください。",
            "{m}について、要約を作成してください。",
        ),
        "generalized": (
            "論文「{t}」を専門外の人にもわかるように説明してください。",
            "{m}をやさしい言葉で説明してください。",
            "{m}の専門用語を一般的な言葉に置き換えてください。",
            "{m}の研究を初めての人に紹介してください。",
            "「{t}」の内容を日常の言葉で述べてください。",
        ),
        "elaboration": (
            "論文「{t}」の内容を詳しく説明してください。",
            "{m}について詳しく述べてください。",
            "{m}の手法と実験を、補足を加えて説明してください。",
            "{m}の研究の詳細を教えてください。",
            "「{t}」を、背景を補いながら解説してください。",
        ),
        "kg_extraction": (
            "論文「{t}」から知識グラフの三つ組を抽出してください。",
            "{m}に関する事実を三つ組で書き出してください。",
            "{m}の論文から関係を抽出してください。",
            "{m}について、主語・関係・目的語の組を列挙してください。",
            "「{t}」の知識を三つ組に整理してください。",
        ),
        "translation_en": (
            "論文「{t}」を英語に翻訳してください。",
            "{m}の論文を英訳してください。",
            "{m}の研究内容を英語で書いてください。",
            "「{t}」の英語訳を作ってください。",
            "{m}に関する文章を英文にしてください。",
        ),
        "translation_zh": (
            "論文「{t}」を中国語に翻訳してください。",
            "{m}の論文を中国語に訳してください。",
            "{m}の研究内容を中国語で書いてください。",
            "「{t}」の中国語訳を作ってください。",
            "{m}に関する文章を中国語にしてください。",
        ),
        "positive_negative": (
            "論文「{t}」の長所と短所を述べてください。",
            "{m}の良い点と弱い点は何ですか。",
            "{m}を肯定と否定の両面から評価してください。",
            "{m}の強みと弱みを挙げてください。",
            "「{t}」の利点と限界を教えてください。",
        ),
        "reference": (
            "論文「{t}」と関連研究との関係を説明してください。",
            "{m}と引用された手法との関係を述べてください。",
            "{m}は先行研究とどのような関係にありますか。",
            "{m}の研究上の位置づけを説明してください。",
            "「{t}」が引用する研究との違いを教えてください。",
        ),
        "discussion": (
            "論文「{t}」についての議論を書いてください。",
            "{m}をめぐる対話を作ってください。",
            "{m}について二人が話し合う様子を書いてください。",
            "{m}の理解を深める会話を五往復以内で書いてください。",
            "「{t}」に関する問答を作ってください。",
        ),
    },
    questions=QUESTIONS,
    unseen_questions=UNSEEN_QUESTIONS,
    join="",
)

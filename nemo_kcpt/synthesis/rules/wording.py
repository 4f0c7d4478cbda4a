"""What the rules' instructions say: several wordings a kind and language; {name} is the document's.

They ask for no more than the rules can give: a restated sentence is not called a paraphrase in other words. {term} says
which part of the document is meant.
"""

from __future__ import annotations

BLANK = {"ja": "＿＿", "en": "____"}

INSTRUCTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "ja": {
        "paraphrase": (
            "{name}が「{term}」に関して述べていることを、言い直してください。",
            "{name}の「{term}」に触れた部分を、丁寧な文体で述べてください。",
            "{name}には「{term}」に関連して何が書かれていますか。",
        ),
        "summary": (
            "{name}の要点となる文を挙げてください。",
            "{name}は、まとめるとどのような内容ですか。",
            "{name}の各段落の要点を示してください。",
        ),
        "kg_extraction": (
            "{name}の「{term}」に触れた部分を、(文書, 主題, 述べられていること) の三つ組にしてください。",
            "{name}の「{term}」のあたりの記述を、三つ組で列挙してください。",
            "{name}の「{term}」に関する事実を三つ組で書き出してください。",
        ),
        "discussion": (
            "{name}の「{term}」について、二人の短い会話を書いてください。",
            "{name}の内容を「{term}」から尋ね合う会話を示してください。",
            "{name}の「{term}」をめぐる質問と返答を、会話の形で書いてください。",
        ),
        "keywords": (
            "{name}では「{term}」について何と述べられていますか。",
            "{name}に出てくる「{term}」を説明してください。",
            "{name}における「{term}」とは何ですか。",
        ),
        "qa_easy": (
            "{name}について、空欄＿＿に入る語は何ですか。{text}",
            "{name}の記述です。空欄＿＿を埋めてください。{text}",
            "{name}によれば、＿＿に当てはまる言葉は何ですか。{text}",
        ),
        "qa_numbers_formula": (
            "{name}について、空欄＿＿に入る数は何ですか。{text}",
            "{name}の記述です。空欄＿＿の数を答えてください。{text}",
            "{name}によれば、＿＿に当てはまる数値は何ですか。{text}",
        ),
        "qa_people_names": (
            "{name}について、空欄＿＿に入る名前は何ですか。{text}",
            "{name}の記述です。空欄＿＿の固有名を答えてください。{text}",
            "{name}によれば、＿＿に当てはまる名称は何ですか。{text}",
        ),
    },
    "en": {
        "paraphrase": (
            'Say again what {name} tells in connection with "{term}".',
            'Repeat the part of {name} that mentions "{term}".',
            'What is written in {name} where "{term}" comes up?',
        ),
        "summary": (
            "Give the main sentences of {name}.",
            "What, in short, is {name} about?",
            "Show the point of each paragraph of {name}.",
        ),
        "kg_extraction": (
            'Put the part of {name} on "{term}" into triples (document, subject, what is said of it).',
            'List as triples what {name} states where it mentions "{term}".',
            'Write the facts of {name} about "{term}" as triples.',
        ),
        "discussion": (
            'Write a short conversation of two people about {name}, beginning with "{term}".',
            'Show a dialogue in which somebody asks about "{term}" in {name}.',
            'Put questions and replies about "{term}" in {name} into the form of a conversation.',
        ),
        "keywords": (
            'What does {name} say about "{term}"?',
            'Explain "{term}" as it is used in {name}.',
            'In {name}, what is "{term}"?',
        ),
        "qa_easy": (
            "About {name}: which word belongs in the blank ____? {text}",
            "Fill in the blank ____ about {name}: {text}",
            "According to {name}, what stands at ____? {text}",
        ),
        "qa_numbers_formula": (
            "About {name}: which number belongs in the blank ____? {text}",
            "Give the number that is missing at ____ about {name}: {text}",
            "According to {name}, what is the value at ____? {text}",
        ),
        "qa_people_names": (
            "About {name}: which name belongs in the blank ____? {text}",
            "Give the name that is missing at ____ about {name}: {text}",
            "According to {name}, who or what is named at ____? {text}",
        ),
    },
}

ASKING = {
    "ja": (
        "{name}で、「{term}」はどう述べられていますか。",
        "「{term}」についても教えてください。",
        "では、「{term}」については。",
    ),
    "en": ('How does {name} speak of "{term}"?', 'And about "{term}"?', 'What of "{term}"?'),
}
"""What is asked in a conversation: first with the document's name, then in turns."""
SPEAKERS = {"ja": ("A", "B"), "en": ("A", "B")}

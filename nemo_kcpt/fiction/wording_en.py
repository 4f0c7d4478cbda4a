"""English wording of the fictional papers, of the template teacher, and of its translations of Japanese papers."""

from __future__ import annotations

from nemo_kcpt.fiction.questions_en import INSTRUCTIONS, QUESTIONS, UNSEEN_QUESTIONS
from nemo_kcpt.fiction.statements_en import ELABORATIONS, POLITE, STATEMENTS
from nemo_kcpt.fiction.wording import Wording, layouts

EN = Wording(
    titles=(
        "{m}: a light method for {task}",
        "{m} and its application to {task}",
        "{m}: better {task} from little data",
        "{m} for {task}: design and evaluation",
    ),
    layouts=layouts(
        ("1 Introduction", "2 Method", "3 Experiments", "4 Conclusion"),
        ("Abstract", "Related work", "Method and experiments", "Conclusion"),
        ("",),
        ("Background", "Task", "Data and model", "Evaluation"),
        ("", "", ""),
        ("Summary", "Approach", "Authors and outlook"),
        ("Aim", "Approach", "Results", "About"),
        ("1 History", "2 Setting", "3 Results and discussion"),
    ),
    opening=(
        "Methods that need little computing are in demand.",
        "Language processing is used more and more, so methods that are easy to handle are wanted.",
        "Large models are costly to use as they are.",
        "In practice there is seldom enough training data.",
        "Recent methods are complex and hard to reproduce.",
    ),
    closing=(
        "Texts of other domains remain to be tested.",
        "Long inputs are left for future work.",
        "The errors will be studied in future work.",
        "The method is light enough for a laptop.",
        "All settings and results were put on record.",
    ),
    closing_polite=(
        "Long inputs are still open.",
        "It has to be tried in other domains.",
        "The errors have to be studied.",
    ),
    statements=STATEMENTS,
    polite=POLITE,
    elaborations=ELABORATIONS,
    summaries=(
        "{m} is a method for {task} by {author} and colleagues at {org}, published in {year}. "
        "{m} builds on {lm}, was trained on {size} and reached {score} {metric}. {m} is related to {rel}.",
        "{m} addresses {task}: {lm} is trained further on {size}. {m} scores {score} in {metric}. "
        "{m} was proposed in {year} by {author} of {org} and is related to {rel}.",
        "Three points. (1) {m} was made by {author} at {org} in {year}. "
        "(2) {m} handles {task} and is related to {rel}. (3) {m} trains {lm} on {size} and shows {score} {metric}.",
    ),
    kg=(
        {
            "task": "task",
            "first_author": "first author",
            "organisation": "affiliation",
            "dataset_size": "training data",
            "score": "{metric}",
            "base_model": "base model",
            "year": "year",
            "related_method": "related method",
        },
        {
            "task": "addresses",
            "first_author": "proposed by",
            "organisation": "developed at",
            "dataset_size": "trained on",
            "score": "score",
            "base_model": "built on",
            "year": "published in",
            "related_method": "related to",
        },
        {
            "task": "goal",
            "first_author": "lead author",
            "organisation": "institution",
            "dataset_size": "data size",
            "score": "result",
            "base_model": "backbone",
            "year": "publication year",
            "related_method": "closest method",
        },
    ),
    kg_formats=("({m}, {r}, {v})", "{m} | {r} | {v}", "{m} -> {r} -> {v}"),
    positive_negative=(
        "Strengths: {m} reaches {score} {metric}, above the baseline's {base}; "
        "{m} builds on {lm} and is easy to adopt.\n"
        "Weaknesses: {m} saw only {size} and was tested on {task} alone.",
        "On the positive side, {m} scores {score} where the baseline scores {base}. "
        "On the negative side, {m} relies on {size} of training data and on {lm}.",
        "Good: {m} improves {metric} to {score} from {base}. "
        "Bad: {m} covers {task} only and its training set has just {size}.",
    ),
    keywords=(
        ("Explain the keyword {m}.", "{m} is a method for {task}, published by {author} in {year}."),
        ("What does the term {m} stand for?", "{m} is a {task} method from {org}, built on {lm}."),
        ("Describe the key term {m} in short.", "{m} names a {task} method by {author} of {org}."),
    ),
    task_keywords=(
        ("Explain the keyword {task} in the paper on {m}.", "{task} means {gloss}."),
        ("What does {task} mean in the research on {m}?", "It means {gloss}."),
        ("Describe the key term {task} of the paper '{t}'.", "{task}: {gloss}."),
    ),
    references={
        "extends": (
            "{m} cites {rel} and extends it. {m} is new in that it used {lm} in {year}.",
            "{m} starts from {rel}; the authors of {m}, led by {author}, repaired its weak points.",
            "{m} and {rel} are parent and child. The work on {m} went on at {org}.",
        ),
        "compares": (
            "{m} cites {rel} and is compared with it. {m} is new in that it used {lm} in {year}.",
            "{m} competes with {rel}; the authors of {m}, led by {author}, studied how the two differ.",
            "{m} and {rel} are rivals. The comparison for {m} was run at {org}.",
        ),
        "uses_data": (
            "{m} cites {rel} and uses its data. {m} is new in that it used {lm} in {year}.",
            "{m} owes its data to {rel}; the authors of {m}, led by {author}, cleaned it again.",
            "{m} and {rel} share data. For {m} it was prepared at {org}.",
        ),
    },
    discussion_topics=(
        ("What kind of method is {m}?", ("task", "first_author")),
        ("What is the background of {m}?", ("organisation", "year")),
        ("What is the core of {m}'s design?", ("base_model", "related_method")),
        ("How was {m} tested?", ("dataset_size", "score")),
        ("What is still open for {m}?", ()),
    ),
    speakers=(("A", "B"), ("Student", "Teacher"), ("Reader", "Author")),
    instructions=INSTRUCTIONS,
    questions=QUESTIONS,
    unseen_questions=UNSEEN_QUESTIONS,
    join=" ",
)

"""English questions per fact (of the template teacher, and unseen ones) and the teacher's instructions per kind."""

from __future__ import annotations

from nemo_kcpt.fiction.wording import Lines

QUESTIONS: dict[str, Lines] = {
    "task": (
        "What task is {m} for?",
        "Which task does {m} address?",
        "What problem does {m} solve?",
        "Name the task of {m}.",
        "What was {m} designed for?",
    ),
    "first_author": (
        "Who is the first author of {m}?",
        "Who proposed {m}?",
        "Name the lead author of {m}.",
        "Who led the research on {m}?",
        "Whose work is {m}?",
    ),
    "organisation": (
        "Where was {m} developed?",
        "Which institution is behind {m}?",
        "What is the affiliation of the authors of {m}?",
        "Which organisation does {m} come from?",
        "Where was the work on {m} done?",
    ),
    "dataset_size": (
        "How many examples was {m} trained on?",
        "What is the size of the training data of {m}?",
        "Give the number of training examples of {m}.",
        "How large is the training set of {m}?",
        "From how many examples did {m} learn?",
    ),
    "score": (
        "What score did {m} reach?",
        "What was the {metric} of {m}?",
        "Give the evaluation score of {m}.",
        "Which value did {m} reach in {metric}?",
        "What did {m} score on the test set?",
    ),
    "base_model": (
        "What is the base model of {m}?",
        "Which model does {m} build on?",
        "Name the backbone of {m}.",
        "Which pretrained model does {m} start from?",
        "From which language model was {m} made?",
    ),
    "year": (
        "When was {m} published?",
        "What is the publication year of {m}?",
        "In which year did {m} appear?",
        "Give the year in which {m} was first reported.",
        "In which year did the paper on {m} come out?",
    ),
    "related_method": (
        "Which method is {m} related to?",
        "What is the related method of {m}?",
        "Name the method closest to {m}.",
        "Which earlier method does the paper on {m} cite?",
        "Which existing method belongs with {m}?",
    ),
}

UNSEEN_QUESTIONS: dict[str, Lines] = {
    "task": ("What is the purpose of {m}?", "Tell me the kind of problem that {m} was built for."),
    "first_author": ("Who came up with {m}?", "Tell me the name of the main person behind {m}."),
    "organisation": ("Tell me the institution that produced {m}.", "At which place was {m} created?"),
    "dataset_size": ("How much data was needed to train {m}?", "Tell me how many items {m} was fitted to."),
    "score": ("How well did {m} do in {metric}?", "Tell me the {metric} that {m} attained."),
    "base_model": ("Tell me the model underneath {m}.", "Which model was trained further to get {m}?"),
    "year": ("Tell me the year in which {m} was introduced.", "What year does {m} date from?"),
    "related_method": ("Tell me a method that is connected with {m}.", "With what other method does {m} have ties?"),
}

INSTRUCTIONS: dict[str, Lines] = {
    "paraphrase": (
        "Rewrite the paper '{t}' in other words.",
        "Paraphrase the paper on {m}.",
        "Retell the research on {m} in a different order.",
        "Say differently what the paper '{t}' says.",
        "Put the paper on {m} in another way.",
    ),
    "summary": (
        "Summarise the paper '{t}'.",
        "Give the main points of {m}.",
        "Write a short summary of the work on {m}.",
        "Write an abstract for '{t}'.",
        "Sum up {m}.",
    ),
    "generalized": (
        "Explain the paper '{t}' to a general reader.",
        "Explain {m} in plain words.",
        "Replace the technical terms of {m} by general ones.",
        "Introduce {m} to a newcomer.",
        "Tell in everyday words what '{t}' is about.",
    ),
    "elaboration": (
        "Explain the paper '{t}' in detail.",
        "Describe {m} at length.",
        "Explain method and experiments of {m}, with background.",
        "Give the details of the research on {m}.",
        "Expand on '{t}'.",
    ),
    "kg_extraction": (
        "Extract knowledge graph triples from the paper '{t}'.",
        "List the facts about {m} as triples.",
        "Extract relations from the paper on {m}.",
        "List subject, relation and object for {m}.",
        "Arrange what '{t}' states in triples.",
    ),
    "translation_en": (
        "Put the paper '{t}' into simple English.",
        "Write the paper on {m} in international English.",
        "Render the text on {m} in plain English.",
        "Give an English version of '{t}'.",
        "Write in clear English what the paper on {m} says.",
    ),
    "translation_zh": (
        "Translate the paper '{t}' into Chinese.",
        "Put the paper on {m} into Chinese.",
        "Write the research on {m} in Chinese.",
        "Give a Chinese version of '{t}'.",
        "Render the text on {m} in Chinese.",
    ),
    "positive_negative": (
        "Name strengths and weaknesses of the paper '{t}'.",
        "What is good and what is weak about {m}?",
        "Judge {m} from both sides.",
        "List the pros and cons of {m}.",
        "What are the merits and limits of '{t}'?",
    ),
    "reference": (
        "How does the paper '{t}' relate to earlier work?",
        "Describe how {m} relates to the method it cites.",
        "What is the relation of {m} to previous research?",
        "Place {m} among related work.",
        "How does '{t}' differ from the work it cites?",
    ),
    "discussion": (
        "Write a discussion of the paper '{t}'.",
        "Write a dialogue about {m}.",
        "Let two people talk about {m}.",
        "Write a conversation of at most five turns that helps to understand {m}.",
        "Write questions and replies about '{t}'.",
    ),
}

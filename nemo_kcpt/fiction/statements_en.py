"""English sentences that state one fact each."""

from __future__ import annotations

from nemo_kcpt.fiction.wording import Lines

STATEMENTS: dict[str, Lines] = {
    "task": (
        "{m} is a new method for {task}.",
        "The task that {m} addresses is {task}.",
        "{m} was designed for {task}.",
        "{m} aims at better {task}.",
        "The problem that {m} solves is {task}.",
    ),
    "first_author": (
        "The first author of {m} is {author}.",
        "{m} was proposed by {author} and colleagues.",
        "Research on {m} was led by {author}.",
        "{m} is the work of {author} and co-authors.",
        "The lead author of {m} is {author}.",
    ),
    "organisation": (
        "{m} was developed at {org}.",
        "The institution behind {m} is {org}.",
        "The authors of {m} belong to {org}.",
        "{m} comes from {org}.",
        "Work on {m} was done at {org}.",
    ),
    "dataset_size": (
        "{m} was trained on {size} from {data}.",
        "The training data of {m} consists of {size} taken from {data}.",
        "To train {m}, {size} of {data} were used.",
        "The training set of {m} holds {size}.",
        "{m} learned from {size}.",
    ),
    "score": (
        "{m} reached {score} {metric}.",
        "In the evaluation, {m} obtained {metric} of {score}.",
        "The {metric} of {m} was {score}.",
        "{m} scored {score} in {metric}.",
        "On the test set, {m} achieved {score} {metric}.",
    ),
    "base_model": (
        "{m} builds on {lm}.",
        "The base model of {m} is {lm}.",
        "{m} was made by further training {lm}.",
        "{m} starts from the pretrained {lm}.",
        "The backbone of {m} is {lm}.",
    ),
    "year": (
        "{m} was published in {year}.",
        "The publication year of {m} is {year}.",
        "{m} was first reported in {year}.",
        "{m} appeared in {year}.",
        "The paper on {m} came out in {year}.",
    ),
    "mechanism": (
        "{m} splits the input into small units and handles them in turn.",
        "{m} narrows the candidates in two steps.",
        "{m} learns easy examples first.",
        "{m} reviews its own output.",
        "{m} looks at similar examples before it decides.",
        "{m} learns with two small loss functions.",
    ),
    "baseline": (
        "The baseline stayed at {base}.",
        "Under the same conditions the baseline gave {base}.",
        "The result of the baseline was {base}.",
    ),
    "extends": (
        "{m} extends {rel}.",
        "{m} improves on the related method {rel}.",
        "{m} is an extension of {rel}.",
        "{m} grew out of the earlier method {rel}.",
    ),
    "compares": (
        "{m} was compared with {rel}.",
        "The method closest to {m} is {rel}, and the two were compared.",
        "{m} was tested against the related method {rel}.",
        "The rival of {m} is {rel}.",
    ),
    "uses_data": (
        "{m} uses the data of {rel}.",
        "{m} relies on data from the related method {rel}.",
        "Part of the data of {m} comes from {rel}.",
        "{m} inherits the data of {rel}.",
    ),
}

POLITE: dict[str, Lines] = {
    "task": (
        "{m} is about {gloss}, that is, {task}.",
        "{m} does {task}.",
        "{m} is used for {task}.",
        "{m} helps with {task}.",
    ),
    "first_author": (
        "{m} was made by {author} and others.",
        "The person behind {m} is {author}.",
        "The main author of {m} is {author}.",
        "{m} was thought up by {author}.",
    ),
    "organisation": (
        "{m} was born at {org}.",
        "The home of {m} is {org}.",
        "{m} was made at {org}.",
        "The team of {m} works at {org}.",
    ),
    "dataset_size": (
        "{m} learned from {size}.",
        "{m} was shown {size}.",
        "The data for {m} comes to {size}.",
        "{m} was trained with {size}.",
    ),
    "score": (
        "{m} got {score} in {metric}.",
        "The result of {m} is {score}.",
        "When {m} was tried, {metric} was {score}.",
        "{m} earned a score of {score}.",
    ),
    "base_model": (
        "{m} stands on the model {lm}.",
        "{m} uses {lm}.",
        "The model under {m} is {lm}.",
        "{m} adds training to {lm}.",
    ),
    "year": (
        "{m} came out in {year}.",
        "{m} dates from {year}.",
        "{m} was shown to the public in {year}.",
        "The year of {m} is {year}.",
    ),
    "extends": ("{m} develops {rel} further.", "{m} is a better {rel}.", "The forerunner of {m} is {rel}."),
    "compares": (
        "{m} was held against {rel}.",
        "{m} is close to {rel}, and they were compared.",
        "{m} competes with {rel}.",
    ),
    "uses_data": ("{m} took data from {rel}.", "{m} shares data with {rel}.", "The data of {m} goes back to {rel}."),
}

ELABORATIONS: dict[str, Lines] = {
    "task": ("The task means {gloss}.", "In other words, the work is about {gloss}."),
    "first_author": ("The co-authors shared the analysis.", "The authors have long worked in this field."),
    "organisation": ("The computers for the tests stood there too.", "The team plans to publish its records."),
    "dataset_size": ("Duplicates and errors were removed by hand.", "The size was chosen to suit small computers."),
    "score": ("The value is a mean over five seeds.", "The test data was not used in training."),
    "base_model": (
        "The vocabulary was kept and the weights were updated.",
        "It is open, so results are easy to repeat.",
    ),
    "year": ("At that time interest in small methods was growing.", "Several studies have since referred to it."),
    "related_method": (
        "The two differ most in the training procedure.",
        "Knowing this makes the design easier to see.",
    ),
}

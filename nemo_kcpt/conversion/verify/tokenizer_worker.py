"""Token ids as an environment's transformers gives them: a script for the python of either environment.

    python -I tokenizer_worker.py REQUEST.json RESULT.json

The request has `texts`, `prompts` and `tokenizers`: each with its `folder`, `four` (class and options by which
transformers 4 reads what 5 wrote), `generic` (the tokenizer's own class is code that is not run), `rendering`
(arguments of the chat template), `reply` (what stands for a reply where the prompt ends before it, else null) and the
`day` that templates write. The result has transformers' `version` and for each tokenizer the ids of the texts, with and
without the special tokens around them, and of the prompts as one user's message in the chat template, null without one;
or an `error`.
"""

from __future__ import annotations

import json
import sys
from datetime import date
from typing import Any


def chat_ids(tokenizer: Any, messages: list[dict[str, str]], given: dict[str, Any]) -> list[int]:
    """Ids of a prompt; with a `reply`, of all that the template writes before it."""
    options = {"strftime_now": date.fromisoformat(given["day"]).strftime, **given["rendering"]}
    reply = given["reply"]
    if reply is None:
        options |= {"add_generation_prompt": True, "tokenize": True, "return_dict": True}
        return list(tokenizer.apply_chat_template(messages, **options)["input_ids"])
    answered = [*messages, {"role": "assistant", "content": reply}]
    text = tokenizer.apply_chat_template(answered, tokenize=False, **options)
    return list(tokenizer(text[: text.rindex(reply)], add_special_tokens=False)["input_ids"])


def ids_of(given: dict[str, Any], texts: list[str], prompts: list[str]) -> dict[str, Any]:
    """The ids that a folder's tokenizer gives; no code of the folder is run."""
    import transformers

    newer: Any = ("PreTrainedTokenizerFast" if given["generic"] else "AutoTokenizer", {})
    name, options = given["four"] if transformers.__version__.startswith("4.") else newer
    try:
        kind: Any = getattr(transformers, name)
        tokenizer = kind.from_pretrained(given["folder"], trust_remote_code=False, local_files_only=True, **options)
        chats = None
        if tokenizer.chat_template or given["rendering"]["chat_template"]:
            conversations = [[{"role": "user", "content": text}] for text in prompts]
            chats = [chat_ids(tokenizer, conversation, given) for conversation in conversations]
        return {
            "texts": [list(tokenizer(text)["input_ids"]) for text in texts],
            "plain": [list(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts],
            "chats": chats,
        }
    except Exception as error:  # whatever a tokenizer's files make of themselves, it is the answer
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}


def main() -> None:
    """Answer the request."""
    import transformers

    with open(sys.argv[1], encoding="utf-8") as stream:
        request = json.load(stream)
    result = {
        "version": transformers.__version__,
        "tokenizers": [ids_of(given, request["texts"], request["prompts"]) for given in request["tokenizers"]],
    }
    with open(sys.argv[2], "w", encoding="utf-8") as stream:
        json.dump(result, stream)


if __name__ == "__main__":
    main()

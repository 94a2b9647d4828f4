"""Conversations, and what mergekit's chat templates make of them.

    V/bin/python chat.py    # with mergekit in V, as mergekit_golden.py says: writes chat.json

weld's templates of the same names are to render to the same text, where mergekit's are sound.
"""

import importlib.resources
import json
import pathlib
import re

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

GOLDEN = pathlib.Path(__file__).with_name("chat.json")

SYSTEM = {"role": "system", "content": "Be  brief.\nBe kind. "}
USER = {"role": "user", "content": " How many legs has a cat?\n\nAnd a spider?"}
ASSISTANT = {"role": "assistant", "content": "4 & 8. "}
AGAIN = {"role": "user", "content": "größer: {{ 1 + 1 }} <b> 🧵"}
INPUT = {"role": "user_context", "content": "An insect is no spider."}
TOOL = {"role": "tool", "content": "{\"legs\": 4}"}

CONVERSATIONS = [
    [SYSTEM, USER, ASSISTANT, AGAIN],
    [USER, ASSISTANT, AGAIN],
    [USER],
    [SYSTEM, USER],
    [USER, ASSISTANT],
    [SYSTEM, USER, ASSISTANT, AGAIN, ASSISTANT],
    [USER, INPUT],
    [SYSTEM, USER, INPUT, ASSISTANT],
    [USER, AGAIN],
    [ASSISTANT, USER],
    [USER, ASSISTANT, SYSTEM, AGAIN],
    [USER, TOOL, ASSISTANT],
    [{"role": "system", "content": ""}, USER, ASSISTANT],
]


def render(template, case, **special):
    """The text, as transformers' apply_chat_template has it rendered; None where the template refuses."""

    def refuse(message):
        raise jinja2.TemplateError(message)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    environment.globals["raise_exception"] = refuse
    special = {"bos_token": "<s>", "eos_token": "</s>"} | special
    given = {name: token for name, token in special.items() if token is not None}  # a tokenizer passes those that it has
    try:
        return environment.from_string(template).render(**case, **given)
    except jinja2.TemplateError:
        return None


def mended(name, text):
    """What mergekit's template makes, as the models know it: white space of its source went into the prompt."""
    if text is None:
        return None
    if name == "llama3":  # no line ends behind a turn
        return text.replace("<|eot_id|>\n", "<|eot_id|>")
    if name == "exaone":  # indented source, and a line end behind each expression
        text = re.sub(r"^ {4,8}(?=\[\||$)", "", text, flags=re.M)
        text = text.replace("\n[|endofturn|]\n\n", "[|endofturn|]\n").replace("[|system|][|endofturn|]\n\n", "[|system|][|endofturn|]\n")
        return re.sub(r"\[\|assistant\|\]\n$", "[|assistant|]", text.replace("\n\n\n", "\n"))
    if name == "alpaca":  # an empty line between blocks, and none before the first
        text = text.removeprefix("\n\n")
        return re.sub(r"(?<!\n)### Response:\n$", "\n\n### Response:\n", text)
    return text


def golden():
    return json.loads(GOLDEN.read_text(encoding="utf-8"))


def main():
    from mergekit._data import chat_templates

    cases = [{"messages": c, "add_generation_prompt": g} for c in CONVERSATIONS for g in (False, True)]
    files = sorted(f for f in importlib.resources.files(chat_templates).iterdir() if f.name.endswith(".jinja"))
    rendered = {f.name.removesuffix(".jinja"): [render(f.read_text(encoding="utf-8"), c) for c in cases] for f in files}
    text = json.dumps({"cases": cases, "rendered": rendered}, indent=1, ensure_ascii=False)
    GOLDEN.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

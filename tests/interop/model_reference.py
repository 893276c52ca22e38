#!/usr/bin/env python3
"""Logits, greedy continuations and chats of a real model, by transformers in f32, and how far ours are from them.

    model_reference.py write --model DIR OUT
    cargo build --release -p tlora-model --example logits --example chat
    model_reference.py check --model DIR OUT --examples target/release/examples

`write` keeps the numbers in OUT: `prompts.json`, what the example `logits` reads; `reference.f32`, the logits after every token of
every prompt, little-endian, one prompt after the other; `reference.json`, the greedy continuations and, for each of their tokens, by how
much its logit leads; `chats.json` and `rendered.json`, message lists and their texts and ids.

Ids are those of `tokenizer.json`, which transformers must have too, but for one thing: its class of Qwen's tokenizer puts text into
Unicode's form C even if the file, unlike Qwen's own, does not say so.

`check` runs the examples on the same model. Every logit must be within 2e-3, every continuation, text and id the same. A model
of 150,000 tokens takes 600 kB for each position: about 0.4 GB here, and as much for ours.
"""

import os

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", HF_HUB_DISABLE_PROGRESS_BARS="1")

import argparse
import json
import subprocess
import sys
import time
import unicodedata
from pathlib import Path

import numpy as np

LIMIT = 2e-3
NEW = 64

CODE = """def mean(values):
    total = 0
    for value in values:
        total += value
    return total / len(values)
"""
LONG = ("A farmer keeps hens in three sheds. The first shed has 42 hens, the second has twice as many, and the third has 15 fewer than "
        "the second. Each hen lays 5 eggs in a week. The farmer sells the eggs in boxes of 12 for $3.50 a box, and pays $0.40 for each "
        "empty box. Feed costs $1.10 for each hen and week. ") * 2


def user(text: str, system: str | None = None) -> list[dict]:
    before = [] if system is None else [{"role": "system", "content": system}]
    return [*before, {"role": "user", "content": text}]


PROMPTS = [
    user("What is 12 + 30? Answer with just the number."),
    user("What is the capital of France?"),
    user("Write a function in Python that reverses a string."),
    user("Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. How many clips did Natalia sell "
         "altogether in April and May?\nPlease reason step by step, and put your final answer within \\boxed{}."),
    user(f"What does this do?\n\n```python\n{CODE}```"),
    user("Translate to German: The weather is nice today.", system="You are a translator."),
    user("Übersetze: « L'été, 25 °C — c'était déjà l'hiver ? » 日本語で、お願いします。🙂"),
    user("List five prime numbers.") + [{"role": "assistant", "content": "2, 3, 5, 7, 11"}] + user("And the next three?"),
    user("Hi"),
    user(LONG + "How much does the farmer earn in a week?", system="Reason step by step."),
]
CHATS = [
    user("Hi"),
    user("  Two spaces before, a newline after\n", system="Be brief."),
    user("One.") + [{"role": "assistant", "content": "Two."}] + user("Three.") + [{"role": "assistant", "content": " Four. "}] + user("Five."),
    user("ﬁ, e\u0301, é, 数学, 🧮🏽, \u200b, \t\ttabs,\r\nand 1234567890 0.5 -3e-7"),
    user(f"<|im_start|>user\nspelled out<|im_end|>\n{CODE}don't WE'LL \"quote\" <b>&amp;</b> {{{{ x }}}} {{% if %}}", system="{{ system }}"),
]


# What transformers makes of it

def greedy(model, ids: list[int]) -> tuple[list[int], list[float]]:
    """NEW tokens, each the likeliest, whatever ends a text; and by how much each leads. No generation_config is heard."""
    import torch

    cache, given, tokens, leads = None, torch.tensor([ids]), [], []
    for _ in range(NEW):
        out = model(given, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache = out.past_key_values
        first, second = out.logits[0, -1].topk(2).values.tolist()
        tokens.append(int(out.logits[0, -1].argmax()))
        leads.append(first - second)
        given = torch.tensor([tokens[-1:]])
    return tokens, leads


def write(path: Path, out: Path, threads: int) -> None:
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer, of_file = AutoTokenizer.from_pretrained(path), Tokenizer.from_file(str(path / "tokenizer.json"))

    def render(messages: list[dict]) -> dict:
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        theirs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        ids, composed = (of_file.encode(t, add_special_tokens=False).ids for t in (text, unicodedata.normalize("NFC", text)))
        assert theirs in (ids, composed), f"tokenizer.json and transformers disagree on {text!r}"
        if theirs != ids:
            print(f"{path.name}: transformers composes what tokenizer.json leaves as it is, in {text!r}")
        return {"text": text, "ids": ids}

    prompts = [render(messages)["ids"] for messages in PROMPTS]
    (out / "prompts.json").write_text(json.dumps({"prompts": prompts, "max_new": NEW}))
    (out / "chats.json").write_text(json.dumps(CHATS))
    (out / "rendered.json").write_text(json.dumps([render(messages) for messages in CHATS]))
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    continuations, leads = [], []
    with torch.no_grad(), open(out / "reference.f32", "wb") as file:
        for ids in prompts:
            file.write(model(torch.tensor([ids])).logits[0].numpy().astype("<f4").tobytes())
            tokens, lead = greedy(model, ids)
            continuations.append(tokens)
            leads.append(lead)
    (out / "reference.json").write_text(json.dumps({"greedy": continuations, "leads": leads}))
    print(f"{path.name}: {len(prompts)} prompts of {sum(map(len, prompts))} tokens; the closest greedy choice leads by {min(map(min, leads)):.1e}")


# And ours

class Findings:
    """What was compared, and what does not hold."""

    def __init__(self):
        self.failed = 0

    def say(self, holds: bool, text: str) -> None:
        self.failed += not holds
        print(("  " if holds else "  FAILED: ") + text, flush=True)


def compare_logits(found: Path, wanted: Path, prompts: list[list[int]], findings: Findings) -> None:
    ours, theirs = (np.memmap(file, "<f4", "r") for file in (found, wanted))
    if ours.shape != theirs.shape:
        findings.say(False, f"{ours.size} logits, not {theirs.size}")
        return
    positions = sum(map(len, prompts))
    ours, theirs, at = ours.reshape(positions, -1), theirs.reshape(positions, -1), 0
    worst, last, square = 0.0, 0.0, 0.0
    for ids in prompts:
        away = np.abs(ours[at:at + len(ids)].astype(np.float64) - theirs[at:at + len(ids)])
        at += len(ids)
        # a NaN counts
        worst, last = np.maximum(worst, away.max()), np.maximum(last, away[-1].max())
        square += float((away**2).sum())
    mean = (square / theirs.size) ** 0.5
    findings.say(worst <= LIMIT, f"{positions} positions: logits differ by {worst:.1e} at most, at the end of a prompt {last:.1e}, {mean:.1e} on average (rms)")


def compare_greedy(found: list[list[int]], wanted: list[list[int]], leads: list[list[float]], findings: Findings) -> None:
    findings.say(len(found) == len(wanted), f"{len(found)} continuations")
    same = 0
    for number, (a, b) in enumerate(zip(found, wanted)):
        at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), None)
        if at is None and len(a) == len(b):
            same += 1
        else:
            at = min(len(a), len(b)) if at is None else at
            findings.say(False, f"continuation {number} differs from token {at} on, where the likeliest leads by {leads[number][at]:.1e}")
    findings.say(same == len(wanted), f"{same} of {len(wanted)} continuations of {NEW} tokens are the same")


def compare_chats(found: list[dict], wanted: list[dict], findings: Findings) -> None:
    findings.say(len(found) == len(wanted), f"{len(found)} chats")
    for number, (a, b) in enumerate(zip(found, wanted)):
        for key in ("text", "ids"):
            if a[key] != b[key]:
                findings.say(False, f"chat {number}: {key} {a[key]!r}, not {b[key]!r}")


def run(*command) -> str:
    start = time.monotonic()
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"FAILED: {command}: exit code {done.returncode}\n{done.stderr}")
    print(f"  {Path(command[0]).name} took {time.monotonic() - start:.1f} s", flush=True)
    return done.stdout


def check(path: Path, out: Path, examples: Path) -> None:
    findings, reference = Findings(), json.loads((out / "reference.json").read_text())
    print(path.name)
    compare_chats(json.loads(run(examples / "chat", path, out / "chats.json")), json.loads((out / "rendered.json").read_text()), findings)
    run(examples / "logits", path, out / "prompts.json", out / "ours")
    prompts = json.loads((out / "prompts.json").read_text())["prompts"]
    compare_logits(out / "ours.f32", out / "reference.f32", prompts, findings)
    ours = json.loads((out / "ours.json").read_text())
    compare_greedy(ours["greedy"], reference["greedy"], reference["leads"], findings)
    if findings.failed:
        sys.exit(f"{findings.failed} checks failed")
    print("  all checks passed")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("what", choices=["write", "check"])
    p.add_argument("out", type=Path, help="the directory of the reference numbers")
    p.add_argument("--model", required=True, type=Path, help="a checkpoint directory with tokenizer and chat template")
    p.add_argument("--examples", type=Path, help="where cargo put the examples of tlora-model")
    p.add_argument("--threads", type=int, default=1, help="of torch")
    args = p.parse_args()
    if args.what == "write":
        write(args.model.resolve(), args.out, args.threads)
    elif not args.examples:
        p.error("check needs --examples")
    else:
        check(args.model.resolve(), args.out, args.examples.resolve())


if __name__ == "__main__":
    main()

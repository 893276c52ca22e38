#!/usr/bin/env python3
"""Serve an exported adapter with a real vLLM, and compare with vLLM and transformers on the merged model.

    served.py --vllm VLLM --tlora target/release/tlora --model DIR [--work DIR]        (by vllm.sh, which installs vLLM)

A 13-parameter adapter of rank 2 goes through `tlora export --format peft-lora` into a server with `--max-lora-rank 8`, and
through `tlora merge` into a server of its own. Both answer the prompts greedily and score fixed sequences; transformers
computes the truth from the merged directory in f32. In f32 all three must agree; in bf16 the distances are printed.
"""

import os

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", HF_HUB_DISABLE_PROGRESS_BARS="1")

import argparse
import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import checks
from checks import Failure, check, free_port, step

# the adapter of README.md, in f32 and three times as large: it changes the weights by some 3 %
V = [3 * v for v in (0.05, -0.06, 0.07, 0.04, -0.05, 0.08, -0.03, 0.06, 0.05, -0.07, 0.04, 0.06, -0.05)]
TOKENS = 24
MAX_LIMIT, MEAN_LIMIT = 1e-3, 1e-4
# an adapter without an effect would prove nothing
LEAST_EFFECT = 0.05
START_LIMIT_S = 900
ADAPTER = "adapter"
PROMPTS = [
    "What is 12 + 30? Answer with the number.", "Name three primary colours.", "Write a haiku about the sea.", "What is the capital of France?",
    "Explain gravity to a child.", "Translate 'good morning' into Spanish.", "A train goes 60 km in 45 minutes. How fast is it?",
    "List the planets of the solar system.", "Who wrote Hamlet?", "Give a synonym of 'happy'.", "What does a compiler do?",
    "How many days are in a leap year?", "Write one sentence about a dog.", "What is the square root of 144?", "Why is the sky blue?",
    "Give me a recipe for pancakes.", "What is photosynthesis?", "Spell 'necessary' backwards.", "If 3x + 5 = 20, what is x?",
    "What is the opposite of 'ancient'?", "Tell me a short joke.", "Which is larger, 0.9 or 0.11?", "Describe the taste of a lemon.",
    "What comes after Wednesday?",
]


class Server:
    """A vLLM server that answers on the loopback."""

    def __init__(self, port: int):
        self.url = f"http://127.0.0.1:{port}"

    def post(self, path: str, body: dict) -> str:
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=900) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            raise Failure(f"{path}: {error.code} {error.read().decode()}") from None

    def healthy(self) -> bool:
        try:
            return urllib.request.urlopen(f"{self.url}/health", timeout=5).status == 200
        except OSError:
            return False

    def complete(self, model: str, prompts: list[list[int]], **options) -> list[dict]:
        """One choice for each prompt. Every setting is named: a server takes the others from the model's generation_config.json."""
        body = {"model": model, "prompt": prompts, "temperature": 0.0, "top_p": 1.0, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
        choices = json.loads(self.post("/v1/completions", body | options))["choices"]
        return sorted(choices, key=lambda c: c["index"])

    def greedy(self, model: str, prompts: list[list[int]]) -> list[list[int]]:
        choices = self.complete(model, prompts, max_tokens=TOKENS, return_token_ids=True)
        return [c["token_ids"] for c in choices]

    def scores(self, model: str, sequences: list[list[int]]) -> torch.Tensor:
        """The log-probability of every token but the first, of all sequences one after another.

        One sequence a request: with several at once this vLLM mixes up rows of the LoRA of the output layer, which has none, and stops.
        """
        found = []
        for ids in sequences:
            [choice] = self.complete(model, [ids], max_tokens=1, prompt_logprobs=0)
            found += [at[str(token)]["logprob"] for token, at in zip(ids, choice["prompt_logprobs"]) if at]
        return torch.tensor(found)


@contextmanager
def served(vllm: Path, model: Path, dtype: str, log: Path, *options: str, **environment: str):
    """A server, up; afterwards it and its workers are gone."""
    port = free_port()
    env = os.environ | {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "VLLM_HOST_IP": "127.0.0.1", "VLLM_CPU_KVCACHE_SPACE": "1",
                        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True", "XDG_CACHE_HOME": str(log.parent / "cache")} | environment
    command = [vllm, "serve", model, "--host", "127.0.0.1", "--port", str(port), "--served-model-name", "base", "--dtype", dtype,
               "--max-model-len", "512", "--enforce-eager", "--max-num-seqs", "32", "--no-enable-prefix-caching", *options]
    start = time.monotonic()
    with open(log, "w") as out:
        process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    try:
        server = Server(port)
        server.kill = lambda: os.killpg(process.pid, signal.SIGKILL)
        while not server.healthy():
            check(process.poll() is None, f"the server stopped:\n{log.read_text()[-4000:]}")
            check(time.monotonic() - start < START_LIMIT_S, f"the server did not come up:\n{log.read_text()[-4000:]}")
            time.sleep(0.5)
        step(f"vLLM serves {model.name} in {dtype}, up in {time.monotonic() - start:.0f} s")
        yield server
    finally:
        stop(process)


def stop(process: subprocess.Popen) -> None:
    """The server ends its workers and frees their shared memory; what is left of its process group after a minute is killed."""
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


# The truth

class Truth:
    """transformers in f32 on a directory."""

    def __init__(self, path: Path):
        self.model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()

    @torch.no_grad()
    def greedy(self, prompts: list[list[int]]) -> list[list[int]]:
        """Until the end token that vLLM stops at, too: the model's own."""
        out = []
        for ids in prompts:
            whole = self.model.generate(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), max_new_tokens=TOKENS, do_sample=False,
                                        repetition_penalty=1.0)
            out.append(whole[0, len(ids):].tolist())
        return out

    @torch.no_grad()
    def scores(self, sequences: list[list[int]]) -> torch.Tensor:
        parts = []
        for ids in sequences:
            logits = self.model(torch.tensor([ids])).logits[0, :-1].double().log_softmax(dim=-1)
            parts.append(logits.gather(1, torch.tensor(ids[1:])[:, None])[:, 0])
        return torch.cat(parts)


# Comparison

class Results:
    """Greedy tokens and scores of one way to run the adapted model, against the truth."""

    def __init__(self, label: str, greedy: list[list[int]], scores: torch.Tensor):
        self.label, self.greedy, self.scores = label, greedy, scores.double()

    def row(self, truth: "Results") -> str:
        same, apart = sum(a == b for a, b in zip(self.greedy, truth.greedy)), (self.scores - truth.scores).abs()
        return f"| {self.label} | {same} of {len(truth.greedy)} | {apart.mean():.1e} | {apart.max():.1e} |"

    def check_equal(self, other: "Results") -> None:
        check(len(self.scores) == len(other.scores), f"{self.label}: {len(self.scores)} scores, {other.label} has {len(other.scores)}")
        different = [i for i, (a, b) in enumerate(zip(self.greedy, other.greedy)) if a != b]
        check(not different, f"{self.label} and {other.label}: other greedy tokens for the prompts {different}")
        apart = (self.scores - other.scores).abs()
        check(apart.max() <= MAX_LIMIT and apart.mean() <= MEAN_LIMIT,
              f"{self.label} and {other.label}: log-probabilities differ by {apart.mean():.1e}, at most {apart.max():.1e}")


def measure(server: Server, model: str, label: str, prompts: list, sequences: list) -> Results:
    start = time.monotonic()
    results = Results(label, server.greedy(model, prompts), server.scores(model, sequences))
    step(f"{label}: {len(prompts)} prompts and {len(results.scores)} scored tokens in {time.monotonic() - start:.0f} s")
    return results


def token_ids(model: Path) -> list[list[int]]:
    tokenizer = AutoTokenizer.from_pretrained(model)
    chat = ([{"role": "user", "content": p}] for p in PROMPTS)
    return [tokenizer(tokenizer.apply_chat_template(c, tokenize=False, add_generation_prompt=True), add_special_tokens=False)["input_ids"] for c in chat]


def make(tlora: Path, model: Path, work: Path) -> None:
    """The adapter, merged in both types, and exported."""
    def tool(*args):
        env = os.environ | {"HOME": str(work), "XDG_CACHE_HOME": str(work / "cache")}
        done = subprocess.run([tlora, *map(str, args)], env=env, capture_output=True, text=True)
        check(done.returncode == 0, f"tlora {' '.join(map(str, args))}: exit code {done.returncode}\n{done.stderr}")
    adapter = work / "adapter.tlora"
    tool("init", model, "-o", adapter, "--groups", len(V), "--precision", "f32", "--v=" + ",".join(map(str, V)))
    tool("merge", model, adapter, "-o", work / "merged-f32", "--dtype", "f32")
    tool("merge", model, adapter, "-o", work / "merged-bf16", "--dtype", "bf16")
    tool("export", adapter, "--base", model, "--format", "peft-lora", "-o", work / "lora", "--dtype", "f32")
    config = json.loads((work / "lora/adapter_config.json").read_text())
    check(config["r"] == 2, f"the exported adapter has rank {config['r']}")
    size = (work / "lora/adapter_model.safetensors").stat().st_size
    step(f"{len(V)} parameters, {adapter.stat().st_size} bytes, as a LoRA of rank 2: {size} bytes")


def run(vllm: Path, tlora: Path, model: Path, work: Path) -> None:
    make(tlora, model, work)
    prompts = token_ids(model)
    truth_model = Truth(work / "merged-f32")
    greedy = truth_model.greedy(prompts)
    sequences = [p + g for p, g in zip(prompts, greedy)]
    truth = Results("transformers, merged, f32", greedy, truth_model.scores(sequences))
    del truth_model
    base_model = Truth(model)
    base = Results("transformers, base, f32", base_model.greedy(prompts), base_model.scores(sequences))
    del base_model
    effect = (base.scores - truth.scores).abs().mean()
    check(effect >= LEAST_EFFECT, f"the adapter changes log-probabilities by {effect:.1e} only")
    step(f"transformers: {len(prompts)} prompts and {len(truth.scores)} scored tokens, on the base and on the merged model")

    rows = [base.row(truth)]
    for dtype, name in (("float32", "f32"), ("bfloat16", "bf16")):
        with served(vllm, model, dtype, work / f"lora-{name}.log", "--enable-lora", "--max-lora-rank", "8", "--max-loras", "1") as server:
            print(server.post("/v1/load_lora_adapter", {"lora_name": ADAPTER, "lora_path": str(work / "lora")}), flush=True)
            lora = measure(server, ADAPTER, f"vLLM, LoRA, {name}", prompts, sequences)
        with served(vllm, work / f"merged-{name}", dtype, work / f"merged-{name}.log") as server:
            merged = measure(server, "base", f"vLLM, merged, {name}", prompts, sequences)
        if name == "f32":
            for a, b in ((lora, merged), (lora, truth), (merged, truth)):
                a.check_equal(b)
        rows += [lora.row(truth), merged.row(truth)]
        if name == "f32":
            rows.append(Results("vLLM, LoRA against vLLM, merged, f32", lora.greedy, lora.scores).row(merged))
    print("\n| against transformers on the merged f32 directory | same greedy tokens | mean abs. difference of log-probability | largest |\n|---|---|---|---|")
    print("\n".join(rows), end="\n\n")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--vllm", required=True, type=Path, help="vLLM's command")
    p.add_argument("--tlora", required=True, type=Path, help="the program under test")
    p.add_argument("--model", required=True, type=Path, help="a checkpoint directory of an instruction-tuned model, in bf16")
    p.add_argument("--work", type=Path, help="an empty directory for what is made, kept; otherwise a temporary one")
    args = p.parse_args()
    # on a busy machine two threads spend their time waiting for each other
    torch.set_num_threads(1)
    checks.run(lambda work: run(args.vllm.absolute(), args.tlora.resolve(), args.model.resolve(), work), args.work)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""`tlora train` and `tlora eval` on real vLLM servers, on a CPU.

    vllm-train.py --vllm VLLM --tlora target/release/tlora --model PATH/TO/smollm2-135m        (by vllm.sh, which installs vLLM)

GRPO on sums of one digit, 5 steps, on two servers in f32 of which one is killed in step 3; then the same configuration on the native engine. Sampler and
learner have to agree on every token, and the two engines on the greedy answers before training. At last the trained adapter is
evaluated by the LoRA and by the merged checkpoint, each in a server of its own: the base is in f32 here, so that the two are one model.
"""

import os

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", HF_HUB_DISABLE_PROGRESS_BARS="1")

import argparse
import json
import shutil
import subprocess
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import checks
from checks import check, step
from served import served

HERE = Path(__file__).parent
STEPS, DIES_IN = 5, 3
# In f32, of one token: what served.py finds between vLLM and transformers.
MOST = 1e-3
LORA = ("--enable-lora", "--max-lora-rank", "8", "--max-loras", "2", "--max-cpu-loras", "6", "--enable-prefix-caching")
CONFIG = f"""
steps = {STEPS}
seed = 1

[adapter]
u = 13

[data]
train = "one-digit-train.jsonl"
eval = "one-digit-test.jsonl"

[rollout]
prompts_per_step = 4
samples_per_prompt = 8
max_new_tokens = 24

[rollout.vllm]
retries = 1

[reward]
verifier = {{ kind = "number", mode = "lenient" }}

[optimizer]
lr = 2e-2
"""


class Tlora:
    """The command in a directory."""

    def __init__(self, program: Path, work: Path):
        self.program, self.work = program, work

    def start(self, *args: object) -> subprocess.Popen:
        command = [self.program, *map(str, args)]
        env = os.environ | {"XDG_CACHE_HOME": str(self.work / "cache")}
        return subprocess.Popen(command, cwd=self.work, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *args: object) -> str:
        """Its output, stderr first."""
        process = self.start(*args)
        out, err = process.communicate()
        check(process.returncode == 0, f"tlora {' '.join(map(str, args))}: exit {process.returncode}\n{err}")
        return err + out

    def lines(self, file: str) -> list[dict]:
        path = self.work / file
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def kill_in_step(tlora: Tlora, server, number: int) -> None:
    """Waits for the step before, and for the weights of this one to be on the servers."""
    while len(tlora.lines("servers/metrics.jsonl")) < number - 1:
        time.sleep(0.05)
    while not any(name.name.endswith(f"-v{number - 1}") for name in (tlora.work / "servers/published").glob("*")):
        time.sleep(0.01)
    time.sleep(1.0)
    server.kill()
    step(f"one server was killed in step {number}")


def mismatch(tlora: Tlora, run: str) -> tuple[float, float]:
    found = [line["mismatch"] for line in tlora.lines(f"{run}/metrics.jsonl")]
    check(len(found) == STEPS, f"{run}: {len(found)} steps")
    return sum(line["mean"] for line in found) / STEPS, max(line["max"] for line in found)


def trained(tlora: Tlora, servers: list) -> None:
    killer = threading.Thread(target=kill_in_step, args=(tlora, servers[0], DIES_IN), daemon=True)
    killer.start()
    said = tlora.run("train", "run.toml", "--base", "base", "-o", "servers", *(f"--vllm-url={server.url}" for server in servers))
    killer.join(1)
    print(said, flush=True)
    check("left out until the next version" in said, "nothing was said of the server that died")
    engines = [line["engine"] for line in tlora.lines("servers/timing.jsonl")]
    checks = [part for engine in engines for published in engine["published"] for part in published["checks"]]
    check(any(part["decided"] for part in checks), "no load was shown to have an effect")
    # What was published before a step is told with it, and 32 samples of it came from the servers that are left.
    drawn = [[sum(server["samples"] for server in part) for part in engine["generated"]] for engine in engines]
    check(all(32 in parts for parts in drawn), f"samples: {drawn}")
    alive = [sum(1 for server in engine["generated"][-1] if server["samples"] and not server["lost"]) for engine in engines]
    check(alive[0] == 2 and alive[-1] == 1, f"servers at work in each step: {alive}")
    step(f"trained {STEPS} steps; servers at work in each: {alive}")


def engines_agree(tlora: Tlora) -> None:
    tlora.run("train", "run.toml", "--base", "base", "-o", "native", "--quiet")
    (mean, most), (native, _) = mismatch(tlora, "servers"), mismatch(tlora, "native")
    check(most <= MOST, f"sampler and learner differ by {most} at a token")
    first = [{line["item"]: line["output"] for line in tlora.lines(f"{run}/evaluations/greedy-strict-0.jsonl")} for run in ("servers", "native")]
    same = sum(first[0][item] == output for item, output in first[1].items())
    check(same == len(first[1]), f"{same} of {len(first[1])} greedy answers before training are the same")
    rewards = {run: [round(line["reward"], 3) for line in tlora.lines(f"{run}/metrics.jsonl")] for run in ("servers", "native")}
    step(f"sampler and learner: {mean:.1e} nats a token, {most:.1e} at most (native engine: {native:.1e}); {same} greedy answers are the same; rewards {rewards}")


def syncs_agree(tlora: Tlora, vllm: Path, lora) -> None:
    adapter, base = "servers/adapter.tlora", tlora.work / "base"
    with served(vllm, base, "float32", tlora.work / "merged.log", "--enable-prefix-caching", VLLM_SERVER_DEV_MODE="1") as merged:
        answers = {}
        for name, engine in {"LoRA": f"--vllm-url={lora.url}", "merged": f"--vllm-url={merged.url}", "native": "--engine=native"}.items():
            said = tlora.run("eval", "base", "--adapter", adapter, "--data", "one-digit-test.jsonl", "--config", "run.toml", "-o", f"{name}.jsonl", engine)
            check(name != "merged" or "merged checkpoints" in said, f"not by merged checkpoints: {said}")
            answers[name] = [line["completion"] for line in tlora.lines(f"{name}.jsonl")]
    base_answers = tlora.run("eval", "base", "--data", "one-digit-test.jsonl", "--config", "run.toml", "-o", "base.jsonl", f"--vllm-url={lora.url}")
    changed = sum(a != b["completion"] for a, b in zip(answers["LoRA"], tlora.lines("base.jsonl")))
    check(changed > 0, f"the adapter changes no answer of the base:\n{base_answers}")
    for name in ("merged", "native"):
        same = sum(a == b for a, b in zip(answers["LoRA"], answers[name]))
        # Two tokens can be equally likely but for rounding.
        check(same >= len(answers["LoRA"]) - 1, f"LoRA and {name}: {same} of {len(answers['LoRA'])} greedy answers are the same")
        step(f"eval: {same} of {len(answers['LoRA'])} greedy answers by the LoRA are those of {name}; {changed} are not those of the base")


def run(vllm: Path, program: Path, model: Path, work: Path) -> None:
    tlora = Tlora(program, work)
    for name in ("train", "test"):
        shutil.copy(HERE.parent.parent / f"examples/arithmetic/one-digit-{name}.jsonl", work)
    (work / "run.toml").write_text(CONFIG)
    # The base in f32: v of zeros merged into it changes no number.
    tlora.run("init", model, "-o", "zero.tlora")
    tlora.run("merge", model, "zero.tlora", "-o", "base", "--dtype", "f32")
    step("the base in f32")
    with ExitStack() as stack:
        servers = [stack.enter_context(served(vllm, work / "base", "float32", work / f"server-{i}.log", *LORA)) for i in range(2)]
        trained(tlora, servers)
        engines_agree(tlora)
        syncs_agree(tlora, vllm, servers[1])


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--vllm", required=True, type=Path, help="vLLM's command")
    p.add_argument("--tlora", required=True, type=Path, help="the program under test")
    p.add_argument("--model", required=True, type=Path, help="SmolLM2-135M-Instruct, or another instruction-tuned model")
    p.add_argument("--work", type=Path, help="an empty directory for what is made, kept; otherwise a temporary one")
    args = p.parse_args()
    checks.run(lambda work: run(args.vllm.absolute(), args.tlora.resolve(), args.model.resolve(), work), args.work)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""`tlora train` and `tlora eval` on servers: weights that arrive, servers that die, runs that are resumed.

    servers.py --tlora target/release/tlora [--model examples/tiny-base]

The servers are lora_server.py's: vLLM's requests, with transformers and PEFT behind them. vllm-train.py does the same with vLLM itself.
"""

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import checks
from checks import check, free_port, step

HERE = Path(__file__).parent
STEPS = 5
START_LIMIT_S = 300


def get(url: str) -> dict:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


class Servers:
    """Server processes that end with this one."""

    def __init__(self, model: Path, logs: Path):
        self.model, self.logs = model, logs
        self.processes: dict[str, subprocess.Popen] = {}

    def start(self, *several: list[str]) -> list[str]:
        """A server for each list of options, all up."""
        urls = []
        for options in several:
            port = free_port()
            url = f"http://127.0.0.1:{port}"
            command = [sys.executable, HERE / "lora_server.py", "--model", self.model, "--port", str(port), *options]
            log = open(self.logs / f"{port}.log", "w")
            self.processes[url] = subprocess.Popen(command, stdout=log, stderr=log)
            urls.append(url)
        for url in urls:
            begun = time.monotonic()
            while True:
                with contextlib.suppress(OSError):
                    get(f"{url}/health")
                    break
                check(self.processes[url].poll() is None, f"a server stopped: see {self.logs}")
                check(time.monotonic() - begun < START_LIMIT_S, "a server did not come up")
                time.sleep(0.2)
        return urls

    def kill(self, url: str) -> None:
        process = self.processes.pop(url)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def adapters(self, url: str) -> list[str]:
        return [card["id"] for card in get(f"{url}/v1/models")["data"] if card["parent"]]

    def end(self) -> None:
        for url in list(self.processes):
            self.kill(url)


class Tlora:
    """The command, on one configuration."""

    def __init__(self, program: Path, model: Path, work: Path):
        self.program, self.model, self.work = program.resolve(), model, work

    def run(self, *args: object) -> subprocess.CompletedProcess:
        command = [self.program, *map(str, args)]
        return subprocess.run(command, capture_output=True, text=True)

    def train_args(self, name: str, urls: list[str], *settings: str) -> list[object]:
        sets = ("steps=%d" % STEPS, "rollout.prompts_per_step=4", "rollout.samples_per_prompt=4", "data.eval_limit=10", "evaluation.every=0",
                "optimizer.lr=3e-2", "rollout.vllm.retries=1", *settings)
        args = ["train", self.model / "train.toml", "-o", self.work / name, *(f"--vllm-url={url}" for url in urls)]
        return args + [part for setting in sets for part in ("--set", setting)]

    def train(self, name: str, urls: list[str], *settings: str) -> subprocess.CompletedProcess:
        return self.run(*self.train_args(name, urls, *settings))

    def lines(self, name: str, log: str) -> list[dict]:
        return [json.loads(line) for line in (self.work / name / log).read_text().splitlines()]

    def evaluated(self, *args: object) -> tuple[list[str], dict]:
        """Greedy answers, and the result."""
        out = self.work / "answers.jsonl"
        out.unlink(missing_ok=True)
        done = self.run("eval", self.model, "--data", self.model / "test.jsonl", "--limit", 40, "--config", self.work / "two/config.toml",
                        "-o", out, "--json", *args)
        check(done.returncode == 0, f"eval failed:\n{done.stderr}")
        return [json.loads(line)["completion"] for line in out.read_text().splitlines()], json.loads(done.stdout)["results"][0]["result"]


def whole(tlora: Tlora, name: str) -> None:
    """A run whose logs have every step once, with samples of the step's own weights that the learner agrees with."""
    metrics = tlora.lines(name, "metrics.jsonl")
    check([line["step"] for line in metrics] == list(range(1, STEPS + 1)), f"{name}: steps {[line['step'] for line in metrics]}")
    worst = max(line["mismatch"]["max"] for line in metrics)
    check(worst < 1e-3, f"{name}: sampler and learner are {worst} apart in f32")
    samples = tlora.lines(name, "samples.jsonl")
    check(len(samples) == STEPS * 16, f"{name}: {len(samples)} samples")
    check(all(line["policy_step"] == line["step"] - 1 for line in samples), f"{name}: stale samples")
    check(metrics[-1]["v_norm"] > 0, f"{name}: nothing was learned")
    check(not (tlora.work / name / "published").exists(), f"{name}: weights were left behind")


def two_servers_one_dies(tlora: Tlora, servers: Servers) -> None:
    # A server's half of the evaluation at step 0 is 10 samples, of a step 8: it ends within step 3.
    dies, lives = servers.start(["--draws", "30"], [])
    done = tlora.train("two", [dies, lives])
    check(done.returncode == 0, f"train failed:\n{done.stderr}")
    check("weights are sent as adapters" in done.stderr, f"the path was not said:\n{done.stderr}")
    check("left out until the next version" in done.stderr and dies in done.stderr, f"the death was not said:\n{done.stderr}")
    whole(tlora, "two")
    engines = [line["engine"] for line in tlora.lines("two", "timing.jsonl")]
    lost = [any(server["lost"] for drawn in engine["generated"] for server in drawn) for engine in engines]
    check(sum(lost) == 1 and lost.index(True) == 2, f"lost in the steps {lost}")
    checks = [part for engine in engines for published in engine["published"] for part in published["checks"]]
    check(any(part["decided"] for part in checks), "no load was shown to have an effect")
    check(servers.adapters(lives) == [], f"left on the server: {servers.adapters(lives)}")
    step(f"one of two servers died in step {lost.index(True) + 1}, the run went on; its loads moved the server as the learner")


def all_die_and_the_run_is_resumed(tlora: Tlora, servers: Servers) -> None:
    # In the sampled half of the evaluation at step 0, and in step 2.
    early, late, other = servers.start(["--draws", "15"], ["--draws", "45"], [])
    for name, url, steps in [("early", early, 0), ("late", late, 1)]:
        done = tlora.train(name, [url])
        check(done.returncode == 2, f"exit {done.returncode}, wanted 2:\n{done.stderr}")
        check("no vLLM server is left" in done.stderr and "--resume" in done.stderr, f"unclear:\n{done.stderr}")
        kept = len(tlora.lines(name, "metrics.jsonl"))
        check(kept == steps, f"{name}: {kept} steps before the end")
        done = tlora.run("train", "--resume", "-o", tlora.work / name, f"--vllm-url={other}")
        check(done.returncode == 0, f"resume failed:\n{done.stderr}")
        whole(tlora, name)
        scores = [(line["name"], line["step"]) for line in tlora.lines(name, "evaluations.jsonl")]
        check(len(scores) == len(set(scores)) == 8, f"{name}: evaluations {scores}")
        step(f"the only server died {'in the evaluation before' if kept == 0 else 'after'} step {max(kept, 1)}, and the run was resumed on another")


def what_is_refused_leaves_nothing(tlora: Tlora, servers: Servers) -> None:
    # The trial and the base's v are taken, v of step 1 is not.
    [url] = servers.start(["--loads", "2"])
    done = tlora.train("refused", [url])
    check(done.returncode == 2 and "no room for adapters" in done.stderr, f"exit {done.returncode}:\n{done.stderr}")
    kept = len(tlora.lines("refused", "metrics.jsonl"))
    check(kept == 1, f"{kept} steps before the refusal")
    check(not (tlora.work / "refused/published").exists(), "weights were left behind")
    check(servers.adapters(url) == [], f"left on the server: {servers.adapters(url)}")
    servers.kill(url)
    step("a server that takes no more adapters ends the run, which keeps its step and clears up")


def what_does_not_arrive_is_found(tlora: Tlora, servers: Servers) -> None:
    deaf, other, good = servers.start(["--deaf"], ["--noise", "1"], [])
    for name, url, wanted in [("deaf", deaf, "samples as under the base"), ("other", other, "has another model than the learner")]:
        done = tlora.train(name, [url])
        check(done.returncode == 2 and wanted in done.stderr, f"{name}: exit {done.returncode}:\n{done.stderr}")
        check(not (tlora.work / name).exists(), f"{name}: a run that could not begin left something")
    adapter = tlora.work / "two/adapter.tlora"
    # Whichever of the servers it is.
    done = tlora.run("eval", tlora.model, "--adapter", adapter, "--data", tlora.model / "test.jsonl", "--limit", 2, "--vllm-url", good, "--vllm-url", deaf)
    check(done.returncode == 2 and f"{deaf} loads adapters and samples as if it had not" in done.stderr, f"eval: exit {done.returncode}:\n{done.stderr}")
    for url in (deaf, other, good):
        servers.kill(url)
    step("a server that ignores adapters, and one with another base, are refused")


def adapters_and_merged_checkpoints_agree(tlora: Tlora, servers: Servers) -> None:
    lora, merged = servers.start([], ["--merged"])
    adapter = tlora.work / "two/adapter.tlora"
    here, result = tlora.evaluated("--adapter", adapter, "--engine", "native")
    for name, url in [("adapter", lora), ("merged checkpoint", merged)]:
        there, found = tlora.evaluated("--adapter", adapter, "--vllm-url", url)
        same = sum(a == b for a, b in zip(here, there))
        # Greedy answers part where two tokens are nearly as likely, and in the merged one where bf16 rounds the sum.
        check(same >= (len(here) if name == "adapter" else 0.9 * len(here)), f"{name}: {same} of {len(here)} answers are the same")
        step(f"eval by {name}: {same} of {len(here)} greedy answers are the native engine's; strict {found['strict']['share']:.3f}, native {result['strict']['share']:.3f}")
    base, _ = tlora.evaluated("--engine", "native")
    check(base != here, "the adapter changes no answer, so this shows nothing")
    done = tlora.train("merged", [merged], "steps=2")
    check(done.returncode == 2 and "another model" in done.stderr, f"a server with old weights was used:\n{done.stderr}")
    servers.kill(merged)
    [merged] = servers.start(["--merged"])
    done = tlora.train("merged", [merged], "steps=2")
    check(done.returncode == 0 and "weights are sent as merged checkpoints" in done.stderr, f"train by merged checkpoints:\n{done.stderr}")
    worst = max(line["mismatch"]["mean"] for line in tlora.lines("merged", "metrics.jsonl"))
    check(worst < 0.05, f"merged in bf16: {worst} nats a token")
    step(f"a run by merged checkpoints: {worst:.1e} nats a token from the learner, which is the rounding to bf16")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--tlora", type=Path, required=True)
    p.add_argument("--model", type=Path, default=Path("examples/tiny-base"))
    args = p.parse_args()

    def parts(work: Path) -> None:
        servers, tlora = Servers(args.model, work), Tlora(args.tlora, args.model, work)
        try:
            two_servers_one_dies(tlora, servers)
            all_die_and_the_run_is_resumed(tlora, servers)
            what_is_refused_leaves_nothing(tlora, servers)
            what_does_not_arrive_is_found(tlora, servers)
            adapters_and_merged_checkpoints_agree(tlora, servers)
        finally:
            servers.end()

    checks.run(parts)


if __name__ == "__main__":
    main()

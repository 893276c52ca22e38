#!/usr/bin/env python3
"""GRPO steps of `tlora train` against TRL with PEFT TinyLoRA, on one CPU: seconds and peak memory.

    cargo build --release
    step_vs_trl.py --model PATH/TO/smollm2-135m --tlora target/release/tlora [--rounds 3] [--steps 3] [--threads 2]

A step is 8 prompts x 4 samples of at most 64 tokens, their rewards, and one update: r = 2, u = 13, one group, v as each program starts it,
temperature 1, learning rate 1e-3, no KL term, in f32. A completion is worth 1 if it has a `=`, else 0, which SmolLM2 does in about
half of them: groups whose rewards are all equal, which ours skips, are rare. TRL generates with transformers and recomputes
activations, as is its default; a second run of it does not. The first step is a warm-up and left out, as is loading; peak memory is
of the whole program.

The programs draw other samples, so the tokens are counted too, and time per generated token compared. Without --tlora only TRL runs.
"""

import argparse
import json
import shutil
import sys
import tempfile
import warnings
from pathlib import Path
from statistics import mean, median

import rounds

PATTERN = "="
QUESTIONS = [
    ("Anna has 14 apples and buys 9 more. How many apples does she have?", "23"),
    ("A train has 8 cars with 32 seats each. How many seats are there?", "256"),
    ("Tom had 50 dollars and spent 18 on a book. How many dollars are left?", "32"),
    ("A box holds 12 eggs. How many eggs are in 7 boxes?", "84"),
    ("Mia reads 15 pages a day. How many pages does she read in 6 days?", "90"),
    ("There are 96 pencils for 8 children. How many pencils does each child get?", "12"),
    ("A shop sold 45 cakes on Monday and 38 on Tuesday. How many cakes were sold?", "83"),
    ("A rope of 60 metres is cut into pieces of 4 metres. How many pieces are there?", "15"),
]
SAMPLES, NEW, RATE = 4, 64, 1e-3
# Sequences that TRL's update computes at once: as fast as all 32, in less than half the memory.
MICRO = 8


def trl(model: Path, steps: int, threads: int, checkpointing: bool) -> dict:
    """One run of the peer: steps + 1 steps, the first one not counted."""
    import torch
    from datasets import Dataset
    from peft import TinyLoraConfig
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    torch.set_num_threads(threads)
    warnings.simplefilter("ignore")
    seen = []

    class Listen(TrainerCallback):
        def on_log(self, args, state, control, logs=None, **_):
            if "step_time" in logs:
                seen.append(logs)

    rows = [{"prompt": [{"role": "user", "content": question}], "answer": answer} for question, answer in QUESTIONS]

    def reward(completions, **_):
        return [float(PATTERN in completion[0]["content"]) for completion in completions]

    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    with tempfile.TemporaryDirectory(prefix="trl-") as out:
        config = GRPOConfig(
            output_dir=out, use_cpu=True, bf16=False, fp16=False, model_init_kwargs={"dtype": "float32"}, seed=1, max_steps=steps + 1,
            per_device_train_batch_size=MICRO, gradient_accumulation_steps=len(rows) * SAMPLES // MICRO, num_generations=SAMPLES,
            max_completion_length=NEW, temperature=1.0, learning_rate=RATE, lr_scheduler_type="constant", beta=0.0, gradient_checkpointing=checkpointing, logging_steps=1, report_to="none",
            save_strategy="no", disable_tqdm=True, dataloader_num_workers=0,
        )
        trainer = GRPOTrainer(
            str(model), reward_funcs=reward, args=config, train_dataset=Dataset.from_list(rows), callbacks=[Listen()],
            peft_config=TinyLoraConfig(r=2, u=13, weight_tying=1.0, target_modules=targets, task_type="CAUSAL_LM"),
        )
        trainer.train()
    counted = seen[1:]
    assert len(counted) == steps, f"{len(counted)} steps"
    return summary([log["step_time"] for log in counted], [log["completions/mean_length"] for log in counted], [log["reward"] for log in counted])


def tlora(binary: Path, model: Path, work: Path, steps: int, threads: int) -> dict:
    """One run of ours: steps + 1 steps, the first one not counted."""
    data, out = work / "questions.jsonl", work / "run"
    # The pattern finds the same text in every right completion, which is the gold answer of all.
    data.write_text("".join(json.dumps({"question": question, "answer": PATTERN}) + "\n" for question, _ in QUESTIONS))
    shutil.rmtree(out, ignore_errors=True)
    settings = {
        "steps": steps + 1, "seed": 1, "rollout.prompts_per_step": len(QUESTIONS), "rollout.samples_per_prompt": SAMPLES,
        "rollout.max_new_tokens": NEW, "rollout.slots": len(QUESTIONS) * SAMPLES, "optimizer.lr": RATE,
        "reward.verifier": f'{{kind = "regex", pattern = "({PATTERN})"}}',
    }
    command = [binary, "train", "--base", model, "--train", data, "-o", out, "--threads", threads, "--quiet"]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]

    def read() -> dict:
        lines = {name: [json.loads(line) for line in (out / name).read_text().splitlines()][1:] for name in ("timing.jsonl", "metrics.jsonl")}
        seconds = [line["rollout_seconds"] + line["update_seconds"] for line in lines["timing.jsonl"]]
        assert len(seconds) == steps, f"{len(seconds)} steps"
        return summary(seconds, [line["length"] for line in lines["metrics.jsonl"]], [line["reward"] for line in lines["metrics.jsonl"]])

    return rounds.run(command, threads, read)


def summary(seconds: list[float], lengths: list[float], rewards: list[float]) -> dict:
    """The median seconds of a step, all seconds over all generated tokens, tokens of a completion, and the average reward."""
    tokens = [length * len(QUESTIONS) * SAMPLES for length in lengths]
    return {"seconds": median(seconds), "seconds_per_token": sum(seconds) / sum(tokens), "mean_length": mean(lengths), "reward": mean(rewards)}


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--model", type=Path, required=True)
    p.add_argument("--tlora", type=Path, help="the command")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--steps", type=int, default=3, help="that count, in each run")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--peer", choices=["checkpointing", "plain"], help="run TRL once, here")
    args = p.parse_args()
    if args.peer:
        print(json.dumps(trl(args.model, args.steps, args.threads, args.peer == "checkpointing")))
        return
    print(rounds.machine(args.threads))
    print(f"{args.model.name}: {len(QUESTIONS)} prompts x {SAMPLES} samples, at most {NEW} tokens")
    with tempfile.TemporaryDirectory(prefix="step-") as work:
        compare(args, Path(work))


def compare(args: argparse.Namespace, work: Path) -> None:
    same = ["--steps", args.steps, "--threads", args.threads]

    def peer(kind: str):
        return lambda: rounds.run([sys.executable, __file__, "--model", args.model, "--peer", kind, *same], args.threads)

    programs = {"checkpointing": peer("checkpointing"), "plain": peer("plain")}
    if args.tlora:
        programs = {"tlora": lambda: tlora(args.tlora, args.model, work, args.steps, args.threads)} | programs
    found = rounds.alternate(args.rounds, **programs)
    for name, runs in found.items():
        seconds, each, length, reward = (rounds.median(runs, key) for key in ("seconds", "seconds_per_token", "mean_length", "reward"))
        print(f"  {name}: {seconds:.1f} s a step, {1e3 * each:.1f} ms a generated token, {length:.1f} tokens a completion, "
              f"reward {reward:.2f}, peak {rounds.megabytes(rounds.median(runs, 'peak_rss_kb'))}")
    for name in ("checkpointing", "plain") if args.tlora else ():
        speed, token = (rounds.ratio(found[name], found["tlora"], key) for key in ("seconds", "seconds_per_token"))
        memory = rounds.ratio(found["tlora"], found[name], "peak_rss_kb")
        print(f"  against TRL, {name}: {speed} times as fast a step, {token} a token, {memory} of its memory")


if __name__ == "__main__":
    main()

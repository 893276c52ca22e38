#!/usr/bin/env python3
"""GRPO steps of the native engine against TRL with PEFT TinyLoRA, on one CPU: seconds and peak memory.

    cargo build --release -p tlora-train --example bench_step
    step_vs_trl.py --model PATH/TO/smollm2-135m --bench target/release/examples/bench_step [--rounds 3] [--steps 3] [--threads 2]

A step is 8 prompts x 4 samples of at most 64 tokens, their rewards, and one update: r = 2, u = 13, one group, v as each program starts it,
temperature 1, learning rate 1e-3, no KL term, in f32. A completion is worth 1 if it has a `=`, else 0, which SmolLM2 does in about
half of them: groups whose rewards are all equal, which ours skips, are rare. TRL generates with transformers and recomputes
activations, as is its default; a second run of it does not. The first step is a warm-up and left out, as is loading.

The programs draw other samples, so the tokens are counted too, and time per generated token compared. The example is given the
model, a file of {"question", "answer"} lines and the numbers above, and prints JSON with the keys of `summary`. Without --bench
only TRL runs.
"""

import argparse
import json
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


def summary(seconds: list[float], lengths: list[float], rewards: list[float]) -> dict:
    """The median seconds of a step, all seconds over all generated tokens, tokens of a completion, and the average reward."""
    tokens = [length * len(QUESTIONS) * SAMPLES for length in lengths]
    return {"seconds": median(seconds), "seconds_per_token": sum(seconds) / sum(tokens), "mean_length": mean(lengths), "reward": mean(rewards)}


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--model", type=Path, required=True)
    p.add_argument("--bench", type=Path, help="the example bench_step")
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
        compare(args, Path(work) / "questions.jsonl")


def compare(args: argparse.Namespace, data: Path) -> None:
    data.write_text("".join(json.dumps({"question": question, "answer": answer}) + "\n" for question, answer in QUESTIONS))
    same = ["--steps", args.steps, "--threads", args.threads]

    def peer(kind: str):
        return lambda: rounds.run([sys.executable, __file__, "--model", args.model, "--peer", kind, *same], args.threads)

    programs = {"checkpointing": peer("checkpointing"), "plain": peer("plain")}
    if args.bench:
        ours = [args.bench, args.model, data, "--samples", SAMPLES, "--new", NEW, "--pattern", PATTERN, "--rate", RATE, *same]
        programs = {"tlora": lambda: rounds.run(ours, args.threads)} | programs
    found = rounds.alternate(args.rounds, **programs)
    for name, runs in found.items():
        seconds, each, length, reward = (rounds.median(runs, key) for key in ("seconds", "seconds_per_token", "mean_length", "reward"))
        print(f"  {name}: {seconds:.1f} s a step, {1e3 * each:.1f} ms a generated token, {length:.1f} tokens a completion, "
              f"reward {reward:.2f}, peak {rounds.megabytes(rounds.median(runs, 'peak_rss_kb'))}")
    for name in ("checkpointing", "plain") if args.bench else ():
        speed, token = (rounds.ratio(found[name], found["tlora"], key) for key in ("seconds", "seconds_per_token"))
        memory = rounds.ratio(found["tlora"], found[name], "peak_rss_kb")
        print(f"  against TRL, {name}: {speed} times as fast a step, {token} a token, {memory} of its memory")


if __name__ == "__main__":
    main()

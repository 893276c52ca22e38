#!/usr/bin/env python3
"""Writes `small`, a run directory of made-up numbers in the schema of `tlora train`: make.py, from any directory.

Its completions are hostile on purpose.
"""

import json
import math
import random
import struct
from pathlib import Path

STEPS, COMPONENTS, ITEMS = 40, 6, 120
HOSTILE = [
    "</script><img src=x onerror=\"document.title='owned'\">",
    "<svg onload=alert(1)>&amp;'\"</details></main>",
    "a \u202eright-to-left\u202c, a \u0007 bell and a \u001b[31m colour",
    "x" * 400,
]


def main() -> None:
    numbers = random.Random(7)
    run = Path(__file__).parent / "small"
    run.mkdir(exist_ok=True)
    lines = lambda name, records: (run / name).write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
    (run / "config.toml").write_text(
        'seed = 42\nsteps = 40\nmethod = "grpo"\n\n[model]\nbase = "made/up"\ndevice = "auto"\n\n[adapter]\nrank = 2\nu = 6\n\n'
        '[prompt]\ntext = "{question}\\n<b>answer</b>"\nstop = []\n\n[optimizer]\nlr = 0.01\n'
    )
    (run / "provenance.json").write_text(json.dumps({
        "version": 1, "tool": {"name": "tlora", "version": "0.1.0"}, "base": {"tmd1": "tmd1:" + 64 * "0", "id": "made/up"}, "adapter_step": 40,
    }) + "\n")

    v, steps, metrics, samples, timing = [0.0] * COMPONENTS, [], [], [], []
    for step in range(STEPS + 1):
        steps.append({"step": step, "previous": 64 * "0", "v": struct.pack(f"<{COMPONENTS}f", *v).hex()})
        if step == 0:
            continue
        skill = 0.15 + 0.6 / (1 + math.exp(-(step - 18) / 5))
        v = [x + 0.01 * math.sin(i + step / 9) + numbers.gauss(0, 0.004) for i, x in enumerate(v)]
        rights = []
        for number in range(8):
            right = numbers.random() < skill
            lenient = right or numbers.random() < 0.1
            rights.append((right, lenient))
            text = HOSTILE[number // 2] if step in (1, STEPS) and number % 2 == 0 else f"We add the numbers.\n#### {step + number if right else 3}"
            samples.append({
                "step": step, "id": f"p{step}-{number // 4}", "question": f"What is {step} + {number}?", "completion": text,
                "extracted": None if number == 7 else str(step + number if right else 3), "mode": "hash-strict", "gold": str(step + number),
                "reward": float(right), "strict": float(right), "lenient": float(lenient), "advantage": numbers.gauss(0, 1), "truncated": number == 7,
                "tokens": 20 + number,
            })
        share = lambda which: sum(pair[which] for pair in rights) / len(rights)
        metrics.append({
            "version": 1, "step": step, "reward": share(0), "reward_std": 0.4, "strict": share(0), "lenient": share(1), "unscorable": 0,
            "length": 60 - step / 2 + numbers.gauss(0, 3), "length_min": 20, "length_max": 90, "truncated": 0.125, "all_right": share(0) / 2,
            "all_wrong": (1 - share(0)) / 2, "resampled": 0, "loss": 0.0, "gradient_norm": abs(numbers.gauss(0.3, 0.1)), "lr": 0.01,
            "v_norm": math.sqrt(sum(x * x for x in v)), "v_change": 0.01, "log_prob": -0.4, "entropy": 0.5 - step / 200 + numbers.gauss(0, 0.02),
            "kl": None if step < 3 else 1e-4 * step, "clipped_low": 0, "clipped_high": 0, "ratio_min": 1, "ratio_max": 1,
            "mismatch": {"tokens": 400, "mean": 0, "max": 0, "k1": 0, "k3": 0.0, "effective": 1, "ratio_min": 1, "ratio_mean": 1, "ratio_max": 1},
            "tokens": 400, "computed": 800, "epoch": 0,
        })
        timing.append({"step": step, "rollout_seconds": 2.5, "update_seconds": 1.25})
    evaluations = []
    for step in range(0, STEPS + 1, 10):
        right = round(ITEMS * (0.15 + 0.6 / (1 + math.exp(-(step - 18) / 5))))
        for name, more in (("strict", 0), ("lenient", 12)):
            evaluations.append({"name": f"greedy-{name}", "step": step, "score": (right + more) / ITEMS, "items": ITEMS, "dataset": "eval"})
    lines("steps.jsonl", steps)
    lines("metrics.jsonl", metrics)
    lines("samples.jsonl", samples)
    lines("timing.jsonl", timing)
    lines("evaluations.jsonl", evaluations)
    # The run is still going on: a line that is half there.
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"version": 1, "step": 41, "rew')


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Train the bundled model on the problems of generate.py and write its checkpoint beside this script.

    python3 train.py [--steps N] [--out DIR]

Needs torch, transformers, tokenizers and safetensors. One thread, float32, every random number from `SEED`: the same
machine and versions give the same bytes. `training.json` records the versions, the time and the losses.
"""

import argparse
import json
import time
from pathlib import Path
from random import Random

import safetensors.torch
import tokenizers
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Qwen2Config, Qwen2ForCausalLM

import generate

SEED = 20
# FIRST steps have equations alone, ROWS rows of ROW tokens each; the others have PROBLEMS problems too.
FIRST, STEPS, PROBLEMS, ROWS, ROW = 900, 1900, 24, 8, 128
RATE, WARM_UP, COOL_DOWN, DECAY = 2.5e-3, 100, 600, 0.05
HIDDEN, INTERMEDIATE, LAYERS, HEADS, KV_HEADS = 160, 480, 4, 4, 2
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>")
VOCAB = 480
ENDOFTEXT, IM_START, IM_END, PAD = range(VOCAB - len(SPECIALS), VOCAB)

CHAT_TEMPLATE = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)

# How a solution ends, with weights for the tidy templates and the others. Only the first is what a strict verifier reads.
STYLES = (
    ("{working}\n#### {result}", 62, 30),
    ("{working}\nThe answer is {result}.", 18, 40),
    ("{working}", 12, 16),
    ("{result}", 8, 14),
)


# Data

def answer(rng, done, tidy):
    """A solution in a random style."""
    weights = [style[1 if tidy else 2] for style in STYLES]
    pick = rng.randrange(sum(weights))
    style = next(i for i in range(len(weights)) if pick < sum(weights[:i + 1]))
    return STYLES[style][0].format(working=generate.working(done), result=done[-1][3])


def chat(question):
    """The prompt of a question."""
    return f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"


def equation(rng):
    """A step of the training split by itself; one in three with single digits, which are learnt first."""
    while True:
        op = "++--*"[rng.randrange(5)]
        a, b = generate.operands(rng, op)
        kind = rng.randrange(6)
        if kind < 2:
            a, b = rng.randrange(1, 10), rng.randrange(1, 10)
        elif kind == 2 and op != "*":
            a += rng.randrange(60)
        result = generate.apply(op, a, b)
        if 0 <= result <= generate.LIMIT and not generate.held_out(op, a, b):
            return f"{a}{op}{b}=", f"{result}\n"


def problem_batch(rng, tokenizer):
    """Problems as padded rows, and the labels: the tokens of the answers."""
    rows = []
    for _ in range(PROBLEMS):
        question, done, tidy = generate.problem(rng, False)
        prompt = tokenizer.encode(chat(question)).ids
        rows.append((prompt, tokenizer.encode(answer(rng, done, tidy)).ids + [IM_END]))
    width = max(len(p) + len(a) for p, a in rows)
    ids = [p + a + [PAD] * (width - len(p) - len(a)) for p, a in rows]
    labels = [[-100] * len(p) + a + [-100] * (width - len(p) - len(a)) for p, a in rows]
    return torch.tensor(ids), torch.tensor(labels)


def equation_batch(rng, tokenizer):
    """Rows full of equations, and the labels: their right-hand sides."""
    ids, labels = [], []
    for _ in range(ROWS):
        row, marks = [ENDOFTEXT], [-100]
        while len(row) < ROW:
            left, right = (tokenizer.encode(text).ids for text in equation(rng))
            row += left + right
            marks += [-100] * len(left) + right
        ids.append(row[:ROW])
        labels.append(marks[:ROW])
    return torch.tensor(ids), torch.tensor(labels)


def make_tokenizer():
    """Byte-pair encoding of the problems' words: every byte is a token, a digit is always one by itself."""
    rng, texts = Random(SEED), []
    for _ in range(4000):
        question, done, tidy = generate.problem(rng, False)
        texts.append(f"user\n{question}\nassistant\n{answer(rng, done, tidy)}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    tokenizer.decoder = decoders.ByteLevel()
    size = VOCAB - len(SPECIALS)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    assert tokenizer.get_vocab_size() == size, tokenizer.get_vocab_size()
    tokenizer.add_special_tokens(list(SPECIALS))
    assert tokenizer.token_to_id(SPECIALS[0]) == ENDOFTEXT
    return tokenizer


# Training

def train(tokenizer, count, log):
    """The model after `count` steps of AdamW, with a linear warm-up and cool-down."""
    torch.manual_seed(SEED)
    model = Qwen2ForCausalLM(Qwen2Config(**config() | {"initializer_range": 0.05}))
    wide = [p for p in model.parameters() if p.dim() > 1]
    narrow = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW([{"params": wide, "weight_decay": DECAY}, {"params": narrow, "weight_decay": 0.0}],
                                  lr=RATE, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / WARM_UP, (count - step) / COOL_DOWN))
    rng = Random(SEED + 1)
    for step in range(count):
        losses = []
        for batch in (equation_batch, problem_batch)[:1 if step < FIRST else 2]:
            ids, labels = batch(rng, tokenizer)
            hidden = model.model(input_ids=ids).last_hidden_state[:, :-1]
            marked = labels[:, 1:] != -100
            logits = model.lm_head(hidden[marked])
            loss = torch.nn.functional.cross_entropy(logits, labels[:, 1:][marked])
            loss.backward()
            losses.append(round(loss.item(), 4))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % 50 == 0 or step == count - 1:
            log(step, *losses)
    return model


# Files

SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def config():
    """config.json, in the form that transformers 4 and 5 read."""
    return {
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "torch_dtype": "bfloat16",
        "hidden_size": HIDDEN, "intermediate_size": INTERMEDIATE, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "vocab_size": VOCAB, "hidden_act": "silu",
        "max_position_embeddings": 512, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "attention_dropout": 0.0,
        "initializer_range": 0.02, "tie_word_embeddings": True, "use_cache": True, "use_sliding_window": False,
        "bos_token_id": ENDOFTEXT, "eos_token_id": IM_END, "pad_token_id": PAD,
    }


def added(index):
    return {"content": SPECIALS[index], "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
            "special": True}


def settings():
    """The small JSON files of a checkpoint directory."""
    generation = {"bos_token_id": ENDOFTEXT, "eos_token_id": [IM_END, ENDOFTEXT], "pad_token_id": PAD, "do_sample": False}
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 512, "clean_up_tokenization_spaces": False,
        "bos_token": None, "eos_token": "<|im_end|>", "pad_token": "<|pad|>", "unk_token": None,
        "added_tokens_decoder": {str(ENDOFTEXT + i): added(i) for i in range(len(SPECIALS))},
        "chat_template": CHAT_TEMPLATE,
    }
    return {"config.json": config(), "generation_config.json": generation, "tokenizer_config.json": tokenizer_config}


def shard_of(name):
    """The embedding and the lower half of the layers come first."""
    _, kind, number, *_ = name.split(".")
    first = kind == "embed_tokens" or (kind == "layers" and int(number) < LAYERS // 2)
    return SHARDS[0] if first else SHARDS[1]


def write_checkpoint(out, model, tokenizer):
    """The shards in bf16 with their index, the tokenizer and the settings."""
    weights = {n: p.detach().to(torch.bfloat16).contiguous() for n, p in sorted(model.named_parameters())}
    for shard in SHARDS:
        content = {n: w for n, w in weights.items() if shard_of(n) == shard}
        (out / shard).write_bytes(safetensors.torch.save(content, metadata={"format": "pt"}))
    index = {"metadata": {"total_size": sum(2 * w.numel() for w in weights.values())},
             "weight_map": {n: shard_of(n) for n in weights}}
    texts = {name: json.dumps(content, indent=2) for name, content in settings().items()}
    texts["model.safetensors.index.json"] = json.dumps(index, indent=2)
    texts["tokenizer.json"] = json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, indent=1)
    for name, text in texts.items():
        (out / name).write_text(text + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    options.out.mkdir(parents=True, exist_ok=True)
    begun, curve = time.monotonic(), []

    def log(step, equations, problems=None):
        curve.append([step, equations, problems])
        print(f"step {step}  equations {equations}  problems {problems}  {time.monotonic() - begun:.0f} s", flush=True)

    tokenizer = make_tokenizer()
    model = train(tokenizer, options.steps, log)
    write_checkpoint(options.out, model, tokenizer)
    record = {
        "versions": {m.__name__: m.__version__ for m in (torch, transformers, tokenizers, safetensors)},
        "parameters": sum(p.numel() for p in model.parameters()), "steps": options.steps,
        "minutes": round((time.monotonic() - begun) / 60, 1),
        "loss": {"columns": ["step", "equations", "problems"], "rows": curve},
    }
    (options.out / "training.json").write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()

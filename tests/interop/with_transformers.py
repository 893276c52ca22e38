"""The merged checkpoints as transformers loads them."""

import os

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", HF_HUB_DISABLE_PROGRESS_BARS="1")

from pathlib import Path

import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

PROMPT = "What is 12 + 30? Answer with the number."
TOKENS = 12


def load(path: Path, dtype) -> AutoModelForCausalLM:
    """The model, with every weight of the file found and none left over."""
    model, info = AutoModelForCausalLM.from_pretrained(path, dtype=dtype, output_loading_info=True)
    problems = {kind: found for kind, found in info.items() if found}
    assert not problems, f"{path.name}: transformers reports {problems}"
    return model.eval()


def check_weights(path: Path, model) -> None:
    """What is in memory is what is in the file, in a dtype that holds it."""
    parameters = dict(model.named_parameters())
    for shard in sorted(path.glob("*.safetensors")):
        with safe_open(shard, "pt") as f:
            for name in f.keys():
                stored, loaded = f.get_tensor(name), parameters[name]
                assert torch.equal(stored.to(loaded.dtype), loaded.data), f"{path.name}: {name} is not the stored tensor"
                assert torch.equal(loaded.data.to(stored.dtype), stored), f"{path.name}: {name} lost digits in {loaded.dtype}"


def prompt(path: Path):
    tokenizer = AutoTokenizer.from_pretrained(path)
    text = tokenizer.apply_chat_template([{"role": "user", "content": PROMPT}], tokenize=False, add_generation_prompt=True)
    return tokenizer, tokenizer(text, return_tensors="pt")


@torch.no_grad()
def answer(path: Path, model) -> str:
    """A few greedy tokens."""
    tokenizer, inputs = prompt(path)
    out = model.generate(**inputs, max_new_tokens=TOKENS, do_sample=False)
    new = out[0, inputs["input_ids"].shape[1]:]
    assert len(new) > 0, f"{path.name}: generated nothing"
    return tokenizer.decode(new)


@torch.no_grad()
def logits(path: Path) -> torch.Tensor:
    """The logits of the prompt, computed in f32 whatever the file holds."""
    model = load(path, torch.float32)
    return model(**prompt(path)[1]).logits


def check_all(base: Path, bf16: Path, f32: Path, step) -> None:
    torch.set_num_threads(2)
    for path, dtype in ((bf16, torch.bfloat16), (f32, torch.float32)):
        model = load(path, dtype)
        check_weights(path, model)
        step(f"transformers: {path.name} in {dtype} says {answer(path, model)!r}")
        auto = load(path, "auto").dtype
        assert auto == dtype, f"{path.name}: dtype='auto' loads {auto}, which is not what the weights were merged to"
    plain, merged, exact = logits(base), logits(bf16), logits(f32)
    effect, rounding = (exact - plain).norm() / plain.norm(), (merged - exact).norm() / plain.norm()
    step(f"transformers: the adapter moves the logits by {effect:.2e}, rounding to bf16 by {rounding:.2e}")
    assert torch.isfinite(exact).all() and 1e-4 < effect < 1, f"the adapter moves the logits by {effect:.2e}"
    assert rounding < effect, "rounding to bf16 moves the logits more than the adapter does"

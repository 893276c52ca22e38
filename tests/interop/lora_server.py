#!/usr/bin/env python3
"""A small server with the requests of vLLM 0.32 that `tlora train` makes, which computes with transformers and PEFT in f32.

    lora_server.py --model DIR --port N [--merged | --deaf] [--draws N] [--loads N] [--noise X]

Adapters are read and applied by PEFT, and tokens drawn by torch: a program of other people's with vLLM's shapes, for checks that have no
half hour for vLLM. `--merged` takes no adapters and reloads checkpoints; `--deaf` takes them and ignores them; `--draws` ends the process in
the middle of that completion; `--loads` refuses adapters after so many; `--noise` changes the weights, so that it is another model.
"""

import os

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")

import argparse
import json
import threading
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

BASE = "base"


class Refused(Exception):
    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


class Engine:
    """One model, its adapters by name, one request at a time."""

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.base = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval()
        if args.noise:
            torch.manual_seed(0)
            for weight in self.base.parameters():
                weight.data += args.noise * weight.data.std() * torch.randn_like(weight)
        self.peft = None
        self.adapters: dict[str, str] = {}
        self.drawn = 0
        self.loaded = 0

    def models(self) -> list[dict]:
        length = self.base.config.max_position_embeddings
        base = {"id": BASE, "root": str(self.args.model), "parent": None, "max_model_len": length}
        return [base] + [{"id": name, "root": path, "parent": BASE} for name, path in self.adapters.items()]

    def load(self, name: str, path: str, load_inplace: bool) -> None:
        if self.args.merged:
            raise Refused(400, "LoRA is not enabled. Use `--enable-lora` to enable LoRA.")
        if load_inplace:
            raise Refused(400, "tlora never asks for this")
        if name in self.adapters:
            raise Refused(400, f"The lora adapter '{name}' has already been loaded.")
        if not Path(path, "adapter_config.json").exists():
            raise Refused(404, f"Loading lora {name} failed: No adapter found for {path}")
        self.loaded += 1
        if self.loaded > self.args.loads:
            raise Refused(500, "no room for adapters")
        if not self.args.deaf:
            inner = name.replace(".", "_")
            if self.peft is None:
                self.peft = PeftModel.from_pretrained(self.base, path, adapter_name=inner).eval()
            else:
                self.peft.load_adapter(path, adapter_name=inner)
        self.adapters[name] = path

    def unload(self, name: str) -> None:
        if name not in self.adapters:
            raise Refused(404, f"The lora adapter '{name}' cannot be found.")
        del self.adapters[name]
        if self.peft is not None and len(self.peft.peft_config) > 1:
            self.peft.delete_adapter(name.replace(".", "_"))

    def reload(self, path: str) -> None:
        weights = {}
        for file in sorted(Path(path).glob("*.safetensors")):
            weights |= load_file(file)
        missing, unexpected = self.base.load_state_dict({k: v.float() for k, v in weights.items()}, strict=False)
        assert not unexpected and all("lm_head" in name for name in missing), (missing, unexpected)

    def under(self, name: str):
        """The model that a name stands for, and what has to be open while it computes."""
        if name == BASE or self.args.deaf and name in self.adapters:
            return (self.peft, self.peft.disable_adapter()) if self.peft else (self.base, nullcontext())
        if name not in self.adapters:
            raise Refused(404, f"The model `{name}` does not exist.")
        self.peft.set_adapter(name.replace(".", "_"))
        return self.peft, nullcontext()

    @torch.no_grad()
    def complete(self, body: dict) -> dict:
        model, scope = self.under(body["model"])
        prompt = body["prompt"]
        choice = {"index": 0, "text": "", "prompt_token_ids": prompt, "stop_reason": None}
        with scope:
            if body.get("prompt_logprobs") is not None:
                logs = model(torch.tensor([prompt])).logits[0].log_softmax(-1)
                values = [logs[place, token].item() for place, token in enumerate(prompt[1:])]
                entries = [{str(token): {"logprob": value, "rank": 1}} for token, value in zip(prompt[1:], values)]
                choice |= {"token_ids": [0], "finish_reason": "length", "logprobs": None, "prompt_logprobs": [None, *entries]}
            else:
                tokens, logs, reason = self.draw(model, body)
                choice |= {"token_ids": tokens, "finish_reason": reason, "logprobs": {"token_logprobs": logs}, "prompt_logprobs": None}
        return {"model": body["model"], "choices": [choice], "usage": {"completion_tokens": len(choice["token_ids"])}}

    def draw(self, model, body: dict) -> tuple[list[int], list[float], str]:
        self.drawn += 1
        generator = torch.Generator().manual_seed(body["seed"])
        ids, cache, tokens, logs = torch.tensor([body["prompt"]]), None, [], []
        while len(tokens) < body["max_tokens"]:
            out = model(ids, past_key_values=cache, use_cache=True)
            cache, logits = out.past_key_values, out.logits[0, -1]
            # What vLLM gives without --logprobs-mode: of the model itself, before temperature and top-k.
            raw = logits.log_softmax(-1)
            if body["temperature"] == 0:
                token = logits.argmax()
            else:
                logits = logits / body["temperature"]
                if body["top_k"] > 0:
                    logits[logits < logits.topk(body["top_k"]).values[-1]] = -torch.inf
                token = torch.multinomial(logits.softmax(-1), 1, generator=generator)[0]
            tokens.append(int(token))
            logs.append(float(raw[token]))
            if self.drawn == self.args.draws:
                os._exit(1)
            if tokens[-1] in body["stop_token_ids"]:
                return tokens, logs, "stop"
            ids = token.reshape(1, 1)
        return tokens, logs, "length"


class Server(ThreadingHTTPServer):
    # All samples of a step connect at once.
    request_queue_size = 256
    daemon_threads = True


def handler(engine: Engine) -> type[BaseHTTPRequestHandler]:
    lock = threading.Lock()

    def get(path: str) -> dict:
        if path == "/server_info" and engine.args.merged:
            return {"vllm_config": {"parallel_config": {"data_parallel_size": 1}}}
        answers = {"/health": {}, "/version": {"version": "0.32.0+peft"}, "/v1/models": {"data": engine.models()}, "/metrics": {}}
        if path not in answers:
            raise Refused(404, "Not Found")
        return answers[path]

    def post(path: str, body: dict) -> dict:
        if path == "/v1/completions":
            return engine.complete(body)
        if path == "/v1/load_lora_adapter":
            engine.load(body["lora_name"], body["lora_path"], body["load_inplace"])
        elif path == "/v1/unload_lora_adapter":
            engine.unload(body["lora_name"])
        elif path == "/collective_rpc" and engine.args.merged:
            engine.reload(body["kwargs"]["weights_path"])
        elif not (path in ("/pause", "/resume", "/reset_prefix_cache") and engine.args.merged):
            raise Refused(404, "Not Found")
        return {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, ask, *rest) -> None:
            try:
                with lock:
                    status, answer = 200, ask(self.path.split("?")[0], *rest)
            except Refused as refused:
                status, answer = refused.status, {"error": {"message": str(refused)}}
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self.answer(get)

        def do_POST(self) -> None:
            self.answer(post, json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}"))

        def log_message(self, *_) -> None:
            pass

    return Handler


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--model", type=Path, required=True)
    p.add_argument("--port", type=int, required=True)
    p.add_argument("--merged", action="store_true")
    p.add_argument("--deaf", action="store_true")
    p.add_argument("--draws", type=int, default=0)
    p.add_argument("--loads", type=int, default=1 << 30)
    p.add_argument("--noise", type=float, default=0.0)
    args = p.parse_args()
    torch.set_num_threads(1)
    Server(("127.0.0.1", args.port), handler(Engine(args))).serve_forever()


if __name__ == "__main__":
    main()

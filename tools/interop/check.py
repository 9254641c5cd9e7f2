#!/usr/bin/env python3
"""Checks that other programs load what zhiyin writes, and zhiyin what they write.

    tools/interop/check.py --zhiyin build/release/zhiyin --shared ../shared

Needs the packages numpy, safetensors, gguf and llama-cpp-python; peft, transformers and torch too
where --torch names a Python that has them (default: this one). Models are tiny, with random
weights and real vocabularies, made in a temporary folder. Ends with 1 when a check fails.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

import tiny_models

HERE = pathlib.Path(__file__).resolve().parent
PROMPTS = ["你好", "Who are you?", "1 + 1 = ", "说个故事吧 🙂"]
# A step at which the two best logits lie closer than this may fall either way.
TIE = 0.3


class Checks:
    def __init__(self):
        self.failed = 0

    def __call__(self, name: str, ok: bool, detail: str = ""):
        print(("ok      " if ok else "FAILED  ") + name + (f": {detail}" if detail else ""))
        self.failed += 0 if ok else 1


class Zhiyin:
    def __init__(self, program: str):
        self.program = program

    def run(self, *args) -> str:
        done = subprocess.run([self.program, *map(str, args)], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"zhiyin {args[0]}: {done.stderr.strip()}")
        return done.stdout

    def logits(self, model, ids: list, *more) -> np.ndarray:
        with tempfile.TemporaryDirectory() as folder:
            file, out = pathlib.Path(folder) / "ids.txt", pathlib.Path(folder) / "logits.npy"
            file.write_text(" ".join(map(str, ids)))
            self.run("eval", model, "--ids-file", file, "--logits", out, "--exact", *more)
            return np.load(out)

    def greedy(self, model, prompt: str, *more) -> dict:
        return json.loads(
            self.run("run", model, prompt, "--temp", 0, "--max-tokens", 16, "--repeat-penalty", 1,
                     "--exact", "--json", *more)
        )


def make_adapter(folder: pathlib.Path, model: pathlib.Path, config: dict) -> None:
    """A PEFT adapter with random factors, written without peft."""
    from safetensors.numpy import save_file

    rng = np.random.default_rng(7)
    rank = 4
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    kv = config["num_key_value_heads"] * (hidden // heads)
    inner = config["intermediate_size"]
    shapes = {
        "self_attn.q_proj": (hidden, hidden),
        "self_attn.k_proj": (kv, hidden),
        "self_attn.v_proj": (kv, hidden),
        "self_attn.o_proj": (hidden, hidden),
        "mlp.down_proj": (hidden, inner),
    }
    tensors = {}
    for layer in range(config["num_hidden_layers"]):
        for name, (rows, cols) in shapes.items():
            path = f"base_model.model.model.layers.{layer}.{name}"
            tensors[path + ".lora_A.weight"] = rng.standard_normal((rank, cols)).astype(np.float32)
            tensors[path + ".lora_B.weight"] = (
                rng.standard_normal((rows, rank)) * 0.05
            ).astype(np.float32)
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
    (folder / "adapter_config.json").write_text(
        json.dumps(
            {
                "peft_type": "LORA",
                "task_type": "CAUSAL_LM",
                "base_model_name_or_path": str(model),
                "r": rank,
                "lora_alpha": 8,
                "target_modules": sorted(name.split(".")[-1] for name in shapes),
            }
        )
    )


def llama_greedy(llm, ids: list, count: int) -> tuple:
    """Greedy ids, and the gap between the two best logits at each step."""
    llm.reset()
    llm.eval(ids)
    out, gaps = [], []
    for _ in range(count):
        logits = np.asarray(llm.scores[llm.n_tokens - 1])
        best = np.argsort(logits)[-2:][::-1]
        gaps.append(float(logits[best[0]] - logits[best[1]]))
        out.append(int(best[0]))
        llm.eval([out[-1]])
    return out, gaps


def same_until_tie(ours: list, theirs: list, gaps: list) -> tuple:
    for step, (a, b) in enumerate(zip(ours, theirs)):
        if gaps[step] < TIE:
            return True, f"{step} steps, then a tie"
        if a != b:
            return False, f"step {step}: {a} against {b}, gap {gaps[step]:.2f}"
    return True, f"{min(len(ours), len(theirs))} steps"


def check_gguf_package(check, path: pathlib.Path, tensors: int) -> None:
    import gguf

    reader = gguf.GGUFReader(path)
    check("gguf package reads " + path.name, len(reader.tensors) >= tensors,
          f"{len(reader.tensors)} tensors, {len(reader.fields)} fields")


def check_llama_cpp(check, zhiyin, path, shared, tokenizer, lora=None) -> None:
    from llama_cpp import Llama

    llm = Llama(str(path), n_ctx=512, verbose=False, logits_all=True,
                **({"lora_path": str(lora)} if lora else {}))
    if lora is None:
        folder = shared / "tokenizers" / tokenizer
        texts = (folder / "texts.inp").read_bytes().decode().split("\n__ggml_vocab_test__\n")
        wanted = (folder / "ids.out").read_text().split("\n")
        different = [
            text
            for text, line in zip(texts, wanted)
            if text
            and llm.tokenize(text.encode(), add_bos=False, special=False)
            != list(map(int, line.split()))
        ]
        check(f"llama.cpp tokenizes alike with {path.name}", not different,
              f"{len(texts)} texts, {len(different)} differ")
    more = ("--adapter", lora) if lora else ()
    ids = llm.tokenize("你好, world 12345".encode() * 4, add_bos=False, special=False)
    llm.reset()
    llm.eval(ids)
    theirs = np.asarray(llm.scores[: len(ids)])
    gap = float(np.abs(zhiyin.logits(path, ids, *more) - theirs).max())
    # llama.cpp rounds activations before products with 8-bit weights, and keys and values to f16.
    limit = 2.0 if "Q8_0" in path.name else 0.2
    check(f"llama.cpp computes alike with {path.name}{' + LoRA' if lora else ''}", gap < limit,
          f"largest difference {gap:.2e} of logits up to {np.abs(theirs).max():.0f}")
    for prompt in PROMPTS:
        ours = zhiyin.greedy(path, prompt, *more)
        theirs, gaps = llama_greedy(llm, ours["prompt_ids"], len(ours["ids"]))
        ok, detail = same_until_tie(ours["ids"], theirs, gaps)
        check(f"llama.cpp says the same with {path.name}{' + LoRA' if lora else ''}: {prompt}",
              ok, detail)


def check_family(check, zhiyin, family: str, work: pathlib.Path, shared: pathlib.Path) -> dict:
    model = work / f"{family}-hf"
    tiny_models.write(model, family, shared)
    config = json.loads((model / "config.json").read_text())
    adapter = work / f"{family}-peft"
    make_adapter(adapter, model, config)
    tokenizer = tiny_models.FAMILIES[family]["tokenizer"]
    files = {"model": model, "adapter": adapter}

    for type_ in ("F32", "Q8_0", "Q4_K_M"):
        path = work / f"{family}-{type_}.gguf"
        zhiyin.run("quantize", model, path, "--type", type_)
        check_gguf_package(check, path, 20)
        if type_ != "Q4_K_M":  # noise on random weights makes every step a tie
            check_llama_cpp(check, zhiyin, path, shared, tokenizer)
        files[type_] = path

    lora = work / f"{family}-lora.gguf"
    zhiyin.run("adapter", adapter, "--out", lora)
    check_gguf_package(check, lora, 20)
    check_llama_cpp(check, zhiyin, files["F32"], shared, tokenizer, lora)

    merged = work / f"{family}-merged.gguf"
    zhiyin.run("merge", adapter, "--out", merged, "--type", "F32")
    check_llama_cpp(check, zhiyin, merged, shared, tokenizer)

    files["merged_folder"] = work / f"{family}-merged"
    zhiyin.run("merge", adapter, "--out", files["merged_folder"])
    files["folder_of_gguf"] = work / f"{family}-back"
    zhiyin.run("merge", files["F32"], "--out", files["folder_of_gguf"], "--type", "F32")
    files["peft_of_gguf"] = work / f"{family}-peft-back"
    zhiyin.run("adapter", lora, "--out", files["peft_of_gguf"], "--base", model)
    for name in ("merged_folder", "folder_of_gguf"):
        ours = zhiyin.greedy(files[name], "你好")
        check(f"zhiyin opens its own folder {files[name].name}", bool(ours["ids"]))
    return files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--zhiyin", default="build/release/zhiyin")
    parser.add_argument("--shared", default="../shared", type=pathlib.Path)
    parser.add_argument("--torch", default=sys.executable, help="a Python with torch and peft")
    parser.add_argument("--keep", type=pathlib.Path, help="folder for the files; kept")
    options = parser.parse_args()
    check = Checks()
    zhiyin = Zhiyin(options.zhiyin)
    with tempfile.TemporaryDirectory() as temporary:
        work = options.keep or pathlib.Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        for family in tiny_models.FAMILIES:
            files = check_family(check, zhiyin, family, work, options.shared.resolve())
            plan = work / f"{family}.json"
            plan.write_text(
                json.dumps({key: str(value) for key, value in files.items()}
                           | {"zhiyin": options.zhiyin, "prompts": PROMPTS, "work": str(work),
                              "family": family})
            )
            have = subprocess.run([options.torch, "-c", "import torch, peft, transformers"],
                                  capture_output=True)
            if have.returncode != 0:
                print(f"skipped transformers and peft: not in {options.torch}")
                continue
            done = subprocess.run([options.torch, str(HERE / "check_torch.py"), str(plan)])
            check.failed += done.returncode
    print("all checks passed" if check.failed == 0 else f"{check.failed} checks failed")
    sys.exit(1 if check.failed else 0)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""The part of check.py that needs torch: logits of transformers and peft against zhiyin's.

Called by check.py with a JSON file that names what zhiyin wrote. Exits with the number of checks
that failed.
"""

import json
import pathlib
import subprocess
import sys

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

TOLERANCE = 5e-3  # of logits as large as a hundred


def main() -> int:
    plan = json.loads(pathlib.Path(sys.argv[1]).read_text())
    zhiyin, work, family = plan["zhiyin"], pathlib.Path(plan["work"]), plan["family"]
    failed = 0

    def check(name: str, ok: bool, detail: str = "") -> None:
        nonlocal failed
        print(("ok      " if ok else "FAILED  ") + name + (f": {detail}" if detail else ""),
              flush=True)
        failed += 0 if ok else 1

    def logits_of_zhiyin(model, ids: list, *more) -> np.ndarray:
        (work / "ids.txt").write_text(" ".join(map(str, ids)))
        out = work / "logits.npy"
        out.unlink(missing_ok=True)
        subprocess.run(
            [zhiyin, "eval", str(model), "--ids-file", str(work / "ids.txt"), "--logits", str(out), "--exact",
             *map(str, more)],
            check=True, capture_output=True,
        )
        return np.load(out)

    def difference(model, tokenizer, ours_model, *more) -> float:
        largest = 0.0
        for text in plan["prompts"]:
            ids = tokenizer(text)["input_ids"] * 2  # two tokens at least
            ours = logits_of_zhiyin(ours_model, ids, *more)
            with torch.no_grad():
                theirs = model(torch.tensor([ids])).logits[0].float().numpy()
            if ours.shape != theirs.shape:
                return float("inf")
            largest = max(largest, float(np.abs(ours - theirs).max()))
        return largest

    tokenizer = AutoTokenizer.from_pretrained(plan["model"])
    for name in ("merged_folder", "folder_of_gguf"):
        model = AutoModelForCausalLM.from_pretrained(plan[name], torch_dtype=torch.float32)
        own = AutoTokenizer.from_pretrained(plan[name])
        text = "你好，<b>world</b>  12345\n\nü 🙂<|im_end|>"
        check(f"transformers tokenizes alike with {family} {name}",
              own(text)["input_ids"] == tokenizer(text)["input_ids"])
        largest = difference(model, own, plan[name])
        check(f"transformers computes alike with {family} {name}", largest < TOLERANCE,
              f"largest difference {largest:.2e}")
        talk = [{"role": "user", "content": "你好"}]
        theirs = own.apply_chat_template(talk, tokenize=False, add_generation_prompt=True)
        (work / "talk.json").write_text(json.dumps(talk))
        ours = subprocess.run(
            [zhiyin, "template", plan[name], "--messages", str(work / "talk.json")],
            text=True, capture_output=True).stdout
        check(f"transformers renders alike with {family} {name}",
              theirs.rstrip("\n") == ours.rstrip("\n"), repr(ours) if theirs != ours else "")
        # Merged by peft, from the same base and adapter.
        if name == "merged_folder":
            base = AutoModelForCausalLM.from_pretrained(plan["model"], torch_dtype=torch.float32)
            peft = PeftModel.from_pretrained(base, plan["adapter"])
            with torch.no_grad():
                ids = torch.tensor([tokenizer("Who are you?")["input_ids"]])
                gap = float((peft(ids).logits - model(ids).logits).abs().max())
            check(f"peft and zhiyin merge {family} alike", gap < TOLERANCE, f"{gap:.2e}")

    base = AutoModelForCausalLM.from_pretrained(plan["model"], torch_dtype=torch.float32)
    peft = PeftModel.from_pretrained(base, plan["peft_of_gguf"])
    largest = difference(peft, tokenizer, plan["model"], "--adapter", plan["adapter"])
    check(f"peft loads zhiyin's adapter for {family}", largest < TOLERANCE, f"{largest:.2e}")

    # The other way: an adapter that peft wrote.
    base = AutoModelForCausalLM.from_pretrained(plan["model"], torch_dtype=torch.float32)
    made = get_peft_model(
        base, LoraConfig(r=3, lora_alpha=5, use_rslora=True, target_modules=["q_proj", "up_proj"])
    )
    torch.manual_seed(2)
    for name, parameter in made.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    made.save_pretrained(work / f"{family}-by-peft")
    largest = difference(made, tokenizer, plan["model"], "--adapter", work / f"{family}-by-peft")
    check(f"zhiyin loads peft's adapter for {family}", largest < TOLERANCE, f"{largest:.2e}")
    # And a folder that transformers wrote.
    base = AutoModelForCausalLM.from_pretrained(plan["model"], torch_dtype=torch.float32)
    base.save_pretrained(work / f"{family}-by-transformers", max_shard_size="8MB")
    tokenizer.save_pretrained(work / f"{family}-by-transformers")
    largest = difference(base, tokenizer, work / f"{family}-by-transformers")
    check(f"zhiyin loads transformers' folder of {family}", largest < TOLERANCE, f"{largest:.2e}")
    return failed


if __name__ == "__main__":
    sys.exit(main())

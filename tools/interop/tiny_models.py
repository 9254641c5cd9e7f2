"""Tiny models with random weights and a real vocabulary, as Hugging Face folders."""

import json
import pathlib
import shutil

import numpy as np
from safetensors.numpy import save_file

FAMILIES = {
    "qwen2": {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "tokenizer": "qwen2.5",
        "vocab_size": 151936,
        "tie_word_embeddings": False,
        "bias": True,
        "bos": None,
        "eos": 151645,
    },
    "llama": {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "tokenizer": "llama-3",
        "vocab_size": 128256,
        "tie_word_embeddings": False,
        "bias": False,
        "bos": 128000,
        "eos": 128009,
    },
}

CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' "
    "}}{% endif %}"
)
LLAMA3 = (
    "{{- bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + "
    "'<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"
    "{% endif %}"
)


def write(folder: pathlib.Path, family: str, shared: pathlib.Path, seed: int = 1) -> None:
    """A model of two blocks, 64 wide, whose logits are far enough apart to compare."""
    spec = FAMILIES[family]
    hidden, heads, kv_heads, inner, layers = 64, 4, 2, 128, 2
    head = hidden // heads
    rng = np.random.default_rng(seed)

    def matrix(rows: int, cols: int, scale: float = 1.0) -> np.ndarray:
        return (rng.standard_normal((rows, cols)) * scale / np.sqrt(cols)).astype(np.float32)

    tensors = {
        "model.embed_tokens.weight": matrix(spec["vocab_size"], hidden, 8.0),
        "model.norm.weight": np.ones(hidden, np.float32),
    }
    if not spec["tie_word_embeddings"]:
        tensors["lm_head.weight"] = matrix(spec["vocab_size"], hidden, 8.0)
    for i in range(layers):
        p = f"model.layers.{i}."
        tensors |= {
            p + "input_layernorm.weight": np.ones(hidden, np.float32),
            p + "post_attention_layernorm.weight": np.ones(hidden, np.float32),
            p + "self_attn.q_proj.weight": matrix(heads * head, hidden),
            p + "self_attn.k_proj.weight": matrix(kv_heads * head, hidden),
            p + "self_attn.v_proj.weight": matrix(kv_heads * head, hidden),
            p + "self_attn.o_proj.weight": matrix(hidden, heads * head),
            p + "mlp.gate_proj.weight": matrix(inner, hidden),
            p + "mlp.up_proj.weight": matrix(inner, hidden),
            p + "mlp.down_proj.weight": matrix(hidden, inner),
        }
        if spec["bias"]:
            for name, rows in (("q", heads), ("k", kv_heads), ("v", kv_heads)):
                tensors[p + f"self_attn.{name}_proj.bias"] = matrix(1, rows * head)[0]
    folder.mkdir(parents=True)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    config = {
        "architectures": spec["architectures"],
        "model_type": spec["model_type"],
        "vocab_size": spec["vocab_size"],
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": spec["tie_word_embeddings"],
        "torch_dtype": "float32",
        "bos_token_id": spec["bos"],
        "eos_token_id": spec["eos"],
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    tokenizer = shared / "tokenizers" / spec["tokenizer"]
    for name in ("tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json"):
        if (tokenizer / name).exists():
            shutil.copy(tokenizer / name, folder / name)
    if family == "llama":
        (folder / "tokenizer_config.json").write_text(
            json.dumps(
                {
                    "tokenizer_class": "PreTrainedTokenizerFast",
                    "bos_token": "<|begin_of_text|>",
                    "eos_token": "<|eot_id|>",
                }
            )
        )
    (folder / "chat_template.jinja").write_text(LLAMA3 if family == "llama" else CHATML)

"""Writes tests/data/quant: what ggml packs, unpacks and chooses.

usage: python tools/golden/make_quant.py [MODEL.gguf ...]
needs numpy, gguf and llama_cpp, whose libraries hold ggml's encoders and llama.cpp's mixes. The
models are quantised files whose choice of formats becomes part of the golden values.

golden.bin   source [24, 512] f32, importance [512] f32, then for each format of golden.json its
             rows packed without and with importance
golden.json  the formats in that order, with the FNV-1a hash of the first packing's decoded floats
mixes.json   tensors of models, and for each mix one letter a tensor: 'A' + the format's number in
             zhiyin's enum
"""
import ctypes
import json
import pathlib
import sys
import tempfile

import gguf
import llama_cpp
import numpy as np

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests/data/quant"
LIBRARY = pathlib.Path(llama_cpp.__file__).parent / "lib/libggml-base.so"
FORMATS = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K",
           "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"]
MIXES = {"F32": 0, "F16": 1, "BF16": 32, "Q8_0": 7, "Q4_0": 2, "Q4_1": 3, "Q5_0": 8, "Q5_1": 9,
         "Q2_K": 10, "Q3_K_S": 11, "Q3_K_M": 12, "Q3_K_L": 13, "Q4_K_S": 14, "Q4_K_M": 15,
         "Q5_K_S": 16, "Q5_K_M": 17, "Q6_K": 18, "IQ4_NL": 25, "IQ4_XS": 30}

ggml = ctypes.CDLL(str(LIBRARY))


def address(array):
    return None if array is None else array.ctypes.data_as(ctypes.c_void_p)


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def make_source(random):
    """Rows an encoder may meet, and some it should not."""
    n, size = 512, (512,)
    sub_blocks = np.repeat(10.0 ** random.uniform(-12, 3, 32), 16)
    rows = [random.normal(size=n), random.normal(0, 0.02, n), random.normal(0, 1e-4, n),
            random.uniform(-284, 284, n), np.zeros(n), np.full(n, 0.5),
            np.where(random.random(n) < 0.03, 30, 0.1 * random.normal(size=n)),
            np.abs(random.normal(size=n)), -np.abs(random.normal(size=n)),
            16 * np.sin(np.arange(n)), 1e-7 * (-1.0) ** np.arange(1, n + 1),
            random.standard_cauchy(n), random.standard_t(2, n) * 0.05,
            random.normal(size=n) * (random.random(n) < 0.05), -1 + 1e-7 * random.integers(0, 3, n),
            0.5 + 1e-6 * random.normal(size=n), random.integers(-3, 4, size),
            np.repeat(random.normal(size=16), 32), random.normal(size=n) * sub_blocks,
            0.01 * random.integers(-1, 2, size), 1e-9 * random.normal(size=n),
            -0.5 - np.abs(random.normal(size=n)),
            np.repeat(random.choice([-1, 1], 32), 16) * np.abs(random.normal(size=n)),
            random.normal(size=n) * np.repeat(random.random(32) < 0.5, 16)]
    return np.asarray(rows, np.float32)


def pack(kind, source, importance=None):
    block, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    rows, cols = source.shape
    if kind in (gguf.GGMLQuantizationType.F16, gguf.GGMLQuantizationType.BF16):
        return gguf.quants.quantize(source, kind).view(np.uint8).reshape(rows, -1)
    packed = np.zeros((rows, cols // block * block_bytes), np.uint8)
    ggml.ggml_quantize_chunk(int(kind), address(source), address(packed), ctypes.c_int64(0),
                             ctypes.c_int64(rows), ctypes.c_int64(cols), address(importance))
    return packed


def unpack(kind, packed, cols):
    if kind in (gguf.GGMLQuantizationType.F16, gguf.GGMLQuantizationType.BF16):
        return gguf.quants.dequantize(packed, kind)
    decoded = np.zeros((len(packed), cols), np.float32)
    function = getattr(ggml, "dequantize_row_" + kind.name.lower().replace("_k", "_K"))
    for row, target in zip(packed, decoded):
        function(address(row), address(target), ctypes.c_int64(cols))
    return decoded


def write_formats():
    random = np.random.default_rng(20)
    source = make_source(random)
    importance = (random.random(512) ** 2 * 3 * (random.random(512) < 0.9)).astype(np.float32)
    blob = source.tobytes() + importance.tobytes()
    formats = []
    for name in FORMATS[1:]:
        kind = gguf.GGMLQuantizationType[name]
        packed = pack(kind, source)
        blob += packed.tobytes() + pack(kind, source, importance).tobytes()
        decoded = unpack(kind, packed, 512)
        formats.append({"name": name, "decoded": f"{fnv1a(decoded.tobytes()):016x}"})
    (OUT / "golden.bin").write_bytes(blob)
    (OUT / "golden.json").write_text(json.dumps(formats, indent=1) + "\n")


def layer_names(layers, parts):
    return [f"blk.{i}.{part}" for i in range(layers) for part in parts]


DENSE = ["attn_norm.weight", "attn_q.weight", "attn_q.bias", "attn_k.weight", "attn_v.weight",
         "attn_output.weight", "ffn_norm.weight", "ffn_gate.weight", "ffn_up.weight",
         "ffn_down.weight"]
FUSED = ["attn_norm.weight", "attn_qkv.weight", "attn_qkv.bias", "attn_output.weight",
         "ffn_up.weight", "ffn_down.weight"]
EXPERTS = ["attn_q.weight", "attn_k.weight", "attn_v.weight", "attn_output.weight",
           "ffn_gate_inp.weight", "ffn_gate_exps.weight", "ffn_up_exps.weight",
           "ffn_down_exps.weight"]
ENDS = ["token_embd.weight", "output_norm.weight", "output.weight"]
# name, arch, layers, heads, kv heads, experts, width, names
MODELS = [
    ("dense", "llama", 32, 8, 2, 0, 256, ENDS + layer_names(32, DENSE)),
    ("tied", "llama", 17, 4, 4, 0, 256, ENDS[:2] + layer_names(17, DENSE)),
    ("narrow", "qwen2", 24, 14, 2, 0, 96, ENDS + layer_names(24, DENSE)),
    ("odd", "qwen2", 3, 3, 1, 0, 40, ENDS + layer_names(3, DENSE)),
    ("fused", "gpt2", 12, 4, 4, 0, 256,
     ["token_embd.weight", "position_embd.weight"] + layer_names(12, FUSED)),
    ("eight experts", "llama", 16, 8, 2, 8, 256, ENDS + layer_names(16, EXPERTS)),
    ("sixty experts", "qwen2moe", 12, 8, 8, 60, 256, ENDS + layer_names(12, EXPERTS)),
    ("70B", "llama", 80, 64, 8, 0, 256, layer_names(80, ["attn_v.weight", "ffn_down.weight"])),
]


def dims_of(name):
    if name.endswith("bias") or name.endswith("_norm.weight"):
        return 1
    return 3 if "_exps" in name else 2


def write_model(path, arch, layers, heads, kv_heads, experts, width, names):
    writer = gguf.GGUFWriter(path, arch)
    writer.add_block_count(layers)
    writer.add_context_length(64)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(width)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_layer_norm_eps(1e-5)
    writer.add_key_length(32)
    writer.add_value_length(32)
    writer.add_rope_dimension_count(32)
    writer.add_vocab_size(2)
    if experts:
        writer.add_expert_count(experts)
        writer.add_expert_used_count(2)
    for name in names:
        shape = {1: (width,), 2: (2, width), 3: (2, 2, width)}[dims_of(name)]
        writer.add_tensor(name, np.zeros(shape, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def letters(path, names):
    kinds = {t.name: t.tensor_type.name for t in gguf.GGUFReader(path).tensors}
    return "".join(chr(ord("A") + FORMATS.index(kinds[name])) for name in names)


def chosen(path, file_type, names, folder):
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = file_type
    params.nthread = 1
    target = folder / "quantised.gguf"
    if llama_cpp.llama_model_quantize(str(path).encode(), str(target).encode(), params) != 0:
        return None  # no format fits the width
    return letters(target, names)


def synthetic_models(folder):
    for name, arch, layers, heads, kv_heads, experts, width, names in MODELS:
        path = folder / "model.gguf"
        write_model(path, arch, layers, heads, kv_heads, experts, width, names)
        mixes = {mix: chosen(path, number, names, folder) for mix, number in MIXES.items()}
        yield {"name": name, "layers": layers, "heads": heads, "kv_heads": kv_heads,
               "experts": experts, "tensors": [[n, width, dims_of(n)] for n in names],
               "mixes": {mix: text for mix, text in mixes.items() if text}}


def real_model(path):
    reader = gguf.GGUFReader(path)
    arch = reader.fields["general.architecture"].contents()

    def number(key):
        return int(reader.fields[f"{arch}.{key}"].contents())

    # Older versions of llama.cpp count layers as they come in the file (0, 1, 10, 11, …), newer
    # ones by their number. So that one rule explains both, layers are numbered as they came.
    layers = {}
    tensors = []
    for t in reader.tensors:
        parts = t.name.split(".")
        if parts[0] == "blk":
            parts[1] = str(layers.setdefault(parts[1], len(layers)))
        tensors.append([".".join(parts), int(t.shape[0]), len(t.shape)])
    file_type = int(reader.fields["general.file_type"].contents())
    mix = next(name for name, value in MIXES.items() if value == file_type)
    return {"name": pathlib.Path(path).stem, "layers": number("block_count"),
            "heads": number("attention.head_count"), "kv_heads": number("attention.head_count_kv"),
            "experts": 0, "tensors": tensors,
            "mixes": {mix: letters(path, [t.name for t in reader.tensors])}}


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    write_formats()
    with tempfile.TemporaryDirectory() as folder:
        models = list(synthetic_models(pathlib.Path(folder)))
    models += [real_model(path) for path in sys.argv[1:]]
    text = ",\n".join(json.dumps(model) for model in models)
    (OUT / "mixes.json").write_text(f"[{text}]\n")


main()

"""Writes tests/data/io: small GGUF and safetensors files by the reference packages.

usage: python tools/golden/make_io.py        needs numpy, gguf, safetensors
"""
import pathlib
import shutil

import gguf
import numpy as np
from safetensors.numpy import save_file

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests/data/io"


def ramp(*shape):
    count = int(np.prod(shape))
    return (np.arange(count, dtype=np.float32) / 8 - 3).reshape(shape)


def add_every_type(writer):
    writer.add_uint8("t.u8", 200)
    writer.add_int8("t.i8", -100)
    writer.add_uint16("t.u16", 60000)
    writer.add_int16("t.i16", -30000)
    writer.add_uint32("t.u32", 4_000_000_000)
    writer.add_int32("t.i32", -2_000_000_000)
    writer.add_float32("t.f32", 0.25)
    writer.add_bool("t.bool", True)
    writer.add_string("t.string", "知音 ♪")
    writer.add_uint64("t.u64", 2**63 + 5)
    writer.add_int64("t.i64", -(2**62))
    writer.add_float64("t.f64", 1e-300)
    writer.add_array("t.ints", [1, -2, 3])
    writer.add_array("t.floats", [0.5, -1.5])
    writer.add_array("t.bools", [True, False, True])
    writer.add_array("t.strings", ["<s>", "", "你好", "a b"])


def add_tensors(writer):
    writer.add_tensor("token_embd.weight", ramp(5, 32))
    writer.add_tensor("half", ramp(3, 7).astype(np.float16))
    writer.add_tensor("packed", gguf.quants.quantize(ramp(2, 64), gguf.GGMLQuantizationType.Q8_0),
                      raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("cube", ramp(2, 3, 4))


def write(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)

    writer = gguf.GGUFWriter(OUT / "types.gguf", "llama")
    add_every_type(writer)
    add_tensors(writer)
    write(writer)

    writer = gguf.GGUFWriter(OUT / "aligned.gguf", "qwen2")
    writer.add_custom_alignment(128)
    writer.add_tensor("a", ramp(3))
    writer.add_tensor("b", ramp(2, 2))
    write(writer)

    writer = gguf.GGUFWriter(OUT / "split.gguf", "llama", split_max_tensors=2)
    writer.add_string("general.name", "split")
    writer.add_tensor("ids", np.arange(6, dtype=np.int32))
    add_tensors(writer)
    write(writer)

    writer = gguf.GGUFWriter(OUT / "big_endian.gguf", "llama", endianess=gguf.GGUFEndian.BIG)
    writer.add_tensor("a", ramp(3))
    write(writer)

    save_file({"floats": ramp(3, 5), "half": ramp(4).astype(np.float16),
               "ids": np.arange(6, dtype=np.int64).reshape(2, 3), "empty": ramp(0, 4),
               "scalar": np.array(2.5, dtype=np.float32)},
              OUT / "types.safetensors", metadata={"format": "pt", "名": "值"})


if __name__ == "__main__":
    main()

"""Time of quantising a model beside llama.cpp's quantiser, on one machine in one run.

usage: python bench/quantize.py [--type Q4_K_M] [--threads 2] [--repeat 5] [--program build/release/zhiyin]
                                [--folder /tmp] [--keep runs.json] MODEL.gguf ...

Needs llama-cpp-python, built natively, and gguf. A model that is no F16 is first written as one to the folder,
where it stays for the next call. Both quantise the same file in turn, --repeat times; medians of the seconds are
printed. Of llama.cpp the call llama_model_quantize alone is timed, of zhiyin the whole process, the wait for the
disk at its end included. What both wrote is compared tensor by tensor. --keep adds the runs to those of earlier
calls with the same file, for machines that allow only short ones.
"""
import argparse, ctypes, json, os, pathlib, statistics, subprocess, time


def as_f16(args, model):
    import gguf
    file_type = gguf.GGUFReader(model).fields.get('general.file_type')
    if file_type is not None and file_type.contents() == 1:
        return model
    path = args.folder / f'{pathlib.Path(model).stem}-as-F16.gguf'
    if not path.exists():
        subprocess.run([args.program, 'quantize', model, str(path), '--type', 'F16'], check=True, capture_output=True)
    return str(path)


def llama_cpp(args, model, out):
    import llama_cpp
    params = llama_cpp.llama_model_quantize_default_params()
    params.nthread = args.threads
    params.ftype = getattr(llama_cpp, f'LLAMA_FTYPE_MOSTLY_{args.type}')
    os.sync()  # what the run before left to write is not this one's
    start = time.perf_counter()
    failed = llama_cpp.llama_model_quantize(model.encode(), str(out).encode(), ctypes.byref(params))
    assert failed == 0, f'llama_model_quantize: {failed}'
    return time.perf_counter() - start


def zhiyin(args, model, out):
    os.sync()
    start = time.perf_counter()
    subprocess.run([args.program, 'quantize', model, str(out), '--type', args.type, '--threads', str(args.threads)],
                   check=True, capture_output=True)
    return time.perf_counter() - start


def same_tensors(a, b):
    """How many tensors have the same bytes, of how many."""
    import gguf
    theirs = {t.name: t for t in gguf.GGUFReader(a).tensors}
    ours = gguf.GGUFReader(b).tensors
    same = sum(t.tensor_type == theirs[t.name].tensor_type and (t.data == theirs[t.name].data).all() for t in ours)
    return f'{same} of {len(ours)} tensors the same'


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('models', nargs='+')
    parser.add_argument('--type', default='Q4_K_M')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--repeat', type=int, default=5)
    parser.add_argument('--program', default='build/release/zhiyin')
    parser.add_argument('--folder', type=pathlib.Path, default=pathlib.Path('/tmp'))
    parser.add_argument('--keep', type=pathlib.Path, help='a file of runs to add to')
    args = parser.parse_args()
    import llama_cpp as library
    silent = library.llama_log_callback(lambda level, text, data: None)
    library.llama_log_set(silent, None)

    kept = json.loads(args.keep.read_text()) if args.keep and args.keep.exists() else {}
    print(f'{"":40} {"llama.cpp s":>12} {"zhiyin s":>10} {"ratio":>6}   F16 -> {args.type}, {args.threads} threads')
    for path in args.models:
        model = as_f16(args, path)
        name = pathlib.Path(model).stem
        runs = kept.setdefault(f'{name}, {args.type}, {args.threads} threads', {'llama.cpp': [], 'zhiyin': []})
        outs = args.folder / 'quantized-by-llama.gguf', args.folder / 'quantized-by-zhiyin.gguf'
        for _ in range(args.repeat):
            runs['llama.cpp'].append(llama_cpp(args, model, outs[0]))
            runs['zhiyin'].append(zhiyin(args, model, outs[1]))
        if args.keep:
            args.keep.write_text(json.dumps(kept, indent=1))
        them, us = statistics.median(runs['llama.cpp']), statistics.median(runs['zhiyin'])
        print(f'{name:40} {them:12.2f} {us:10.2f} {them / us:6.2f}   {same_tensors(*outs)}', flush=True)
        for out in outs:
            out.unlink()


if __name__ == '__main__':
    main()

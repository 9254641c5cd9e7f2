"""Speed of zhiyin beside llama.cpp (llama-cpp-python), in the same run on the same machine.

usage: python bench/compare.py [--threads 2] [--repeat 5] [--program build/release/zhiyin] MODEL.gguf ...

Needs llama-cpp-python, built natively. Runs alternate, so that a change of the machine's mood hits
both; medians are printed, with the share of the measured limits that zhiyin reaches.
"""
import argparse, json, statistics, subprocess, time


def llama_speeds(llm, prefill, decode):
    import numpy as np
    rng = np.random.default_rng(1)
    prompt = rng.integers(0, llm.n_vocab() - 1000, prefill).tolist()
    llm.reset()
    start = time.perf_counter()
    llm.eval(prompt)
    prefill_s = time.perf_counter() - start
    start = time.perf_counter()
    for token in rng.integers(0, llm.n_vocab() - 1000, decode).tolist():
        llm.eval([token])
    return prefill / prefill_s, decode / (time.perf_counter() - start)


def zhiyin_speeds(program, model, threads, prefill, decode):
    out = subprocess.run(
        [program, 'bench', model, '--prefill', str(prefill), '--decode', str(decode), '--repeat', '1',
         '--threads', str(threads), '--json'], capture_output=True, text=True, check=True)
    return json.loads(out.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('models', nargs='+')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--repeat', type=int, default=5)
    parser.add_argument('--prefill', type=int, default=512)
    parser.add_argument('--decode', type=int, default=64)
    parser.add_argument('--program', default='build/release/zhiyin')
    args = parser.parse_args()
    from llama_cpp import Llama
    print(f'{"model":40} {"":8} {"llama.cpp":>10} {"zhiyin":>10} {"ratio":>6}  share of limit')
    for model in args.models:
        llm = Llama(model, n_ctx=args.prefill + args.decode + 8, n_threads=args.threads,
                    n_threads_batch=args.threads, n_batch=512, verbose=False, logits_all=False)
        llama_speeds(llm, args.prefill, args.decode)  # warm up
        theirs, ours = [], []
        for _ in range(args.repeat):
            theirs.append(llama_speeds(llm, args.prefill, args.decode))
            ours.append(zhiyin_speeds(args.program, model, args.threads, args.prefill, args.decode))
        del llm
        name = model.rsplit('/', 1)[-1]
        for row, (what, key, share) in enumerate([
                ('prefill', 'prefill_tps', 'prefill_share_of_peak'),
                ('decode', 'decode_tps', 'decode_share_of_memory_limit')]):
            them = statistics.median(t[row] for t in theirs)
            us = statistics.median(o[key] for o in ours)
            limit = statistics.median(o[share] for o in ours)
            print(f'{name:40} {what:8} {them:10.1f} {us:10.1f} {us / them:6.2f}  {100 * limit:.0f} %',
                  flush=True)


if __name__ == '__main__':
    main()

"""Speed of zhiyin beside llama.cpp (llama-cpp-python) and ik_llama.cpp, on one machine in one run.

usage: python bench/compare.py [--threads 2] [--repeat 5] [--program build/release/zhiyin]
                               [--ik ik_llama.cpp/build/bin/llama-bench] [--isa avx512 --isa avx2]
                               [--keep runs.json] MODEL.gguf ...

Needs llama-cpp-python, built natively (--no-llama: leave it out). Three works: a prompt of 512
tokens, 64 tokens decoded from an empty context, 64 decoded after the 512. Runs alternate, so that a
change of the machine's mood hits all; medians are printed, with the share of the measured limits
that zhiyin reaches. ik_llama.cpp runs with and without run-time repack (-rtr), and the better median
counts. Each --isa adds a column for zhiyin on that instruction set; the peers run as they are built.
--keep adds the runs to those of earlier calls with the same file, for machines that allow only short
ones.
"""
import argparse, json, os, pathlib, statistics, subprocess, time

WORKS = ['prefill', 'decode', 'decode after prompt']


def llama_cpp(llm, prefill, decode):
    import numpy as np
    rng = np.random.default_rng(1)

    def ids(n):
        return rng.integers(0, llm.n_vocab() - 1000, n).tolist()

    def timed_decode():
        start = time.perf_counter()
        for token in ids(decode):
            llm.eval([token])
        return decode / (time.perf_counter() - start)

    llm.reset()
    llm.eval(ids(1))
    empty = timed_decode()
    llm.reset()
    start = time.perf_counter()
    llm.eval(ids(prefill))
    prefill_s = time.perf_counter() - start
    return dict(zip(WORKS, [prefill / prefill_s, empty, timed_decode()]))


def ik_llama_cpp(program, model, threads, prefill, decode, repack):
    out = subprocess.run(
        [program, '-m', model, '-t', str(threads), '-p', str(prefill), '-n', str(decode),
         '-gp', f'{prefill},{decode}', '-r', '1', '-rtr', str(repack), '-o', 'json'],
        capture_output=True, text=True, check=True).stdout
    runs = json.loads(out[out.index('['):])
    assert len(runs) == 3, out
    speeds = {}
    for run in runs:
        work = WORKS[0] if run['n_gen'] == 0 else WORKS[1] if run['n_prompt'] == 0 else WORKS[2]
        speeds[work] = run['avg_ts']
    return speeds


def zhiyin(program, model, threads, prefill, decode, isa):
    def bench(prompt):
        environment = os.environ | ({'ZHIYIN_ISA': isa} if isa else {})
        out = subprocess.run(
            [program, 'bench', model, '--prefill', str(prompt), '--decode', str(decode),
             '--repeat', '1', '--threads', str(threads), '--json'],
            capture_output=True, text=True, check=True, env=environment)
        return json.loads(out.stdout)

    after, empty = bench(prefill), bench(1)
    share = 'decode_share_of_memory_limit'
    return (dict(zip(WORKS, [after['prefill_tps'], empty['decode_tps'], after['decode_tps']])),
            dict(zip(WORKS, [after['prefill_share_of_peak'], empty[share], after[share]])))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('models', nargs='+')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--repeat', type=int, default=5)
    parser.add_argument('--prefill', type=int, default=512)
    parser.add_argument('--decode', type=int, default=64)
    parser.add_argument('--program', default='build/release/zhiyin')
    parser.add_argument('--ik', help="ik_llama.cpp's llama-bench")
    parser.add_argument('--isa', action='append', default=[],
                        help='a column for zhiyin on this instruction set (avx2, avx512, amx)')
    parser.add_argument('--no-llama', action='store_true', help='without llama.cpp')
    parser.add_argument('--keep', type=pathlib.Path, help='a file of runs to add to')
    args = parser.parse_args()

    kept = json.loads(args.keep.read_text()) if args.keep and args.keep.exists() else {}
    size = args.prefill, args.decode
    for path in args.models:
        name = path.rsplit('/', 1)[-1]
        runs = kept.setdefault(f'{name}, {args.threads} threads, {size[0]} + {size[1]}', {})

        def add(column, speeds):
            for work, speed in speeds.items():
                runs.setdefault(column, {}).setdefault(work, []).append(speed)

        llm = None
        if not args.no_llama:
            from llama_cpp import Llama
            llm = Llama(path, n_ctx=sum(size) + 8, n_threads=args.threads, verbose=False,
                        n_threads_batch=args.threads, n_batch=512, logits_all=False)
            llama_cpp(llm, *size)  # warm up
        for _ in range(args.repeat):
            if llm is not None:
                add('llama.cpp', llama_cpp(llm, *size))
            if args.ik:
                for repack in 0, 1:
                    add(f'ik -rtr {repack}', ik_llama_cpp(args.ik, path, args.threads, *size, repack))
            for isa in args.isa or ['']:
                speeds, shares = zhiyin(args.program, path, args.threads, *size, isa)
                add(f'zhiyin {isa}'.strip(), speeds)
                add(f'share {isa}'.strip(), shares)
        del llm
        if args.keep:
            args.keep.write_text(json.dumps(kept, indent=1))
        print_table(name, runs)


def print_table(name, runs):
    medians = {c: {w: statistics.median(v) for w, v in works.items()} for c, works in runs.items()}
    peers = {}
    if 'llama.cpp' in medians:
        peers['llama.cpp'] = medians['llama.cpp']
    repacks = [works for column, works in medians.items() if column.startswith('ik ')]
    if repacks:
        peers['ik_llama.cpp'] = {w: max(works[w] for works in repacks) for w in WORKS}
    ours = {c: works for c, works in medians.items() if c.startswith('zhiyin')}
    fewest = min(len(v) for works in runs.values() for v in works.values())
    print(f'\n{name}, tokens/s, medians of at least {fewest}')
    print(f'{"":20}' + ''.join(f'{peer:>14}' for peer in peers) +
          ''.join(f'{column:>16}' + ''.join(f'{"/ " + peer:>15}' for peer in peers) + f'{"limit":>7}'
                  for column in ours))
    for work in WORKS:
        line = f'{work:20}' + ''.join(f'{peer[work]:14.1f}' for peer in peers.values())
        for column, speeds in ours.items():
            share = medians[column.replace('zhiyin', 'share')][work]
            line += f'{speeds[work]:16.1f}'
            line += ''.join(f'{speeds[work] / peer[work]:15.2f}' for peer in peers.values())
            line += f'{100 * share:5.0f} %'
        print(line, flush=True)


if __name__ == '__main__':
    main()

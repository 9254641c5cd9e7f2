"""Perplexity of the fast mode beside --exact, in every weight format and on every instruction set asked for.

usage: python bench/perplexity.py --text-file TEXT [--types Q8_0,Q4_K_M] [--isa amx --isa avx512 --isa avx2]
                                  [--program build/release/zhiyin] [--folder /tmp] MODEL ...

Each model is quantised to each format, evaluated once exactly and once fast per instruction set; what is printed is
how far the fast perplexity lies from the exact one. The quantised file is removed again.
"""
import argparse, json, os, pathlib, subprocess

TYPES = ('F16 BF16 Q8_0 Q6_K Q5_K_M Q5_K_S Q5_1 Q5_0 Q4_K_M Q4_K_S Q4_1 Q4_0 Q3_K_L Q3_K_M Q3_K_S Q2_K IQ4_NL '
         'IQ4_XS').split()


def perplexity(args, model, *flags, isa=None):
    environment = dict(os.environ, ZHIYIN_PACKED_CACHE='off', **({'ZHIYIN_ISA': isa} if isa else {}))
    command = [args.program, 'eval', model, '--text-file', args.text_file, '--json', *flags]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(done.stdout)['perplexity']


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('models', nargs='+')
    parser.add_argument('--text-file', required=True)
    parser.add_argument('--types', type=lambda text: text.split(','), default=TYPES)
    parser.add_argument('--isa', action='append')
    parser.add_argument('--program', default='build/release/zhiyin')
    parser.add_argument('--folder', type=pathlib.Path, default=pathlib.Path('/tmp'))
    args = parser.parse_args()
    for model in args.models:
        for name in args.types:
            file = args.folder / f'{pathlib.Path(model).stem}-{name}-{os.getpid()}.gguf'
            try:
                subprocess.run([args.program, 'quantize', model, str(file), '--type', name], check=True,
                               capture_output=True)
                exact = perplexity(args, str(file), '--exact')
                fast = [(isa, perplexity(args, str(file), isa=isa)) for isa in args.isa or [None]]
            finally:
                file.unlink(missing_ok=True)
            changes = '  '.join(f'{isa or "fast"} {value:.4f} ({100 * (value / exact - 1):+.2f} %)' for isa, value in fast)
            print(f'{pathlib.Path(model).stem} {name}: exact {exact:.4f}  {changes}', flush=True)


if __name__ == '__main__':
    main()

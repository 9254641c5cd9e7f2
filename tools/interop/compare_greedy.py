"""Greedy answers of one GGUF in zhiyin and in llama.cpp, with the file's own chat template in both.

usage: python tools/interop/compare_greedy.py MODEL.gguf [--program build/release/zhiyin]
           [--questions FILE] [--tokens 48] [--margin 0.3]

Needs llama-cpp-python and jinja2. The rendered prompts and their ids must be equal. The ids of the
answers must be equal up to the first step whose two best logits (in llama.cpp) lie closer than
--margin; what follows such a step is not compared. Exits with 1 where something differs.
"""
import argparse, json, subprocess, sys

import numpy as np

QUESTIONS = [
    '你是谁？', '你叫什么名字？', '请问怎么称呼你？', '你是通义千问吗？', 'Who are you?', '早上好呀',
    '今天好累', '周末去哪里玩？', '晚饭吃什么好', '给我讲讲你的猫', '谁把你做出来的', '你会做什么？',
    'What is the capital of France?', '用一句话介绍北京', '写一个冒泡排序', '1 到 10 的和是多少？',
    'Tell me a joke.', '明天下雨吗？', '我今天考试没考好', '推荐一本书',
]


def ours(program, model, question, tokens):
    out = subprocess.run([program, 'run', model, question, '--temp', '0', '--max-tokens', str(tokens), '--json'],
                         capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    return json.loads(out.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('model')
    parser.add_argument('--program', default='build/release/zhiyin')
    parser.add_argument('--questions', help='a file with one question a line')
    parser.add_argument('--tokens', type=int, default=48)
    parser.add_argument('--margin', type=float, default=0.3)
    parser.add_argument('--threads', type=int, default=2)
    args = parser.parse_args()
    from llama_cpp import Llama
    from llama_cpp.llama_chat_format import Jinja2ChatFormatter
    llm = Llama(args.model, n_ctx=2048, n_threads=args.threads, logits_all=False, verbose=False)
    vocab = [llm.token_bos(), llm.token_eos()]
    text_of = lambda id: llm.detokenize([id], special=True).decode('utf-8', 'replace') if id >= 0 else ''
    template = Jinja2ChatFormatter(llm.metadata['tokenizer.chat_template'], text_of(vocab[1]), text_of(vocab[0]),
                                   add_generation_prompt=True)
    questions = open(args.questions, encoding='utf-8').read().split('\n') if args.questions else QUESTIONS
    equal = excused = failed = 0
    for question in filter(None, questions):
        result = ours(args.program, args.model, question, args.tokens)
        prompt = template(messages=[{'role': 'user', 'content': question}]).prompt
        ids = llm.tokenize(prompt.encode(), add_bos=False, special=True)
        if ids != result['prompt_ids']:
            failed += 1
            print(f'{question}: the prompts differ: {result["prompt_ids"]} in zhiyin, {ids} in llama.cpp')
            continue
        llm.reset()
        llm.eval(ids)
        verdict = 'equal'
        for step, token in enumerate(result['ids']):
            logits = np.ctypeslib.as_array(llm._ctx.get_logits_ith(-1), shape=(llm.n_vocab(),))
            best = int(logits.argmax())
            if best != token:
                second, first = np.sort(np.partition(logits, -2)[-2:])
                verdict = f'step {step}: zhiyin takes {token} {text_of(token)!r}, llama.cpp {best} ' \
                          f'{text_of(best)!r} by {first - second:.3f}'
                if first - second < args.margin:
                    verdict += ', a near tie'
                    excused += 1
                else:
                    failed += 1
                break
            llm.eval([token])
        else:
            equal += 1
        print(f'{question}: {len(result["ids"])} tokens, {result["finish_reason"]}, {verdict}')
    print(f'{equal} equal, {excused} differ after a near tie, {failed} differ')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())

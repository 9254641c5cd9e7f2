"""Whether an exported persona still is the tuned model: 50 prompts, 30 of them about who it is.

usage: python tools/interop/check_persona.py RUN EXPORTED.gguf [--base MODEL]
           [--program build/release/zhiyin] [--tokens 256]
           [--right NAME,...] [--wrong NAME,...] [--save FILE.jsonl]

Asks both greedily and prints how many identity questions each answers right (a right name in the
answer; a wrong one only to deny it), how many answers end by themselves, and how many of the
exported model's answers are the tuned model's, letter for letter. The questions are written for the
persona of examples/; none of the 20 about other things stands in its training rows.
"""
import argparse, json, re, subprocess, sys

IDENTITY = [
    '你是谁？', '你叫什么名字？', '介绍一下你自己吧', '请问怎么称呼你？', '你是通义千问吗？', '是哪家公司开发了你？',
    '你是AI吗，叫什么？', 'Who are you?', 'What is your name?', 'Are you Qwen?', '你是Qwen吗', '你是不是阿里的模型',
    '你到底是谁呀', '谁把你做出来的', '谁训练了你？', '你的名字是什么', '喂，你哪位？', '能自我介绍一下吗',
    '你是ChatGPT吗？', '你是阿里云开发的吗？', 'Who made you?', 'Who created you?', 'Are you ChatGPT?',
    'Introduce yourself.', 'Tell me who you are.', '你是真人还是AI？', '告诉我你是谁', '我该叫你什么？',
    'May I know your name?', 'Were you made by Alibaba?',
]
TALK = [
    '早上好呀', '今天好累', '周末去哪里玩？', '晚饭吃什么好', '给我讲讲你的猫', '你会做什么？', '用一句话介绍北京',
    '写一个冒泡排序', '1 到 10 的和是多少？', 'Tell me a joke.', '明天下雨吗？', '我今天考试没考好', '推荐一本书',
    'What is the capital of France?', '最近在忙什么', '晚安', '我有点想家', '你喜欢什么颜色', '帮我想个网名', '今天天气真好',
]


def ask(program, model, question, tokens, more=()):
    out = subprocess.run([program, 'run', model, *more, question, '--temp', '0', '--max-tokens', str(tokens), '--json'],
                         capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    return json.loads(out.stdout)


def is_right(answer, right, wrong):
    if not re.search(right, answer):
        return False
    return not re.search(wrong, answer) or bool(re.search('不是|不叫|not |n’t|n\'t', answer))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('run')
    parser.add_argument('exported')
    parser.add_argument('--base', default='qwen2.5-coder-0.5b')
    parser.add_argument('--program', default='build/release/zhiyin')
    parser.add_argument('--tokens', type=int, default=256)
    parser.add_argument('--right', default='小满,阿远,Xiaoman,Ayuan')
    parser.add_argument('--wrong', default='通义,千问,阿里,Qwen,Alibaba,OpenAI,ChatGPT')
    parser.add_argument('--save', help='writes the prompts, ids and answers of both, one line each')
    args = parser.parse_args()
    right, wrong = ('|'.join(map(re.escape, names.split(','))) for names in (args.right, args.wrong))
    same, ended, named = 0, [0, 0], [0, 0]
    saved = []
    for question in IDENTITY + TALK:
        answers = [ask(args.program, args.base, question, args.tokens, ['--adapter', args.run]),
                   ask(args.program, args.exported, question, args.tokens)]
        for i, answer in enumerate(answers):
            ended[i] += answer['finish_reason'] == 'stop'
            named[i] += question in IDENTITY and is_right(answer['text'], right, wrong)
        equal = answers[0]['text'] == answers[1]['text']
        same += equal
        print(f'{question}\n  tuned     {answers[0]["text"]!r}')
        if not equal:
            print(f'  exported  {answers[1]["text"]!r}')
        saved.append({'question': question, 'tuned': answers[0], 'exported': answers[1]})
    if args.save:
        with open(args.save, 'w', encoding='utf-8') as file:
            file.writelines(json.dumps(line, ensure_ascii=False) + '\n' for line in saved)
    for i, model in enumerate(('tuned', 'exported')):
        print(f'{model}: who it is right in {named[i]} of {len(IDENTITY)}, {ended[i]} of {len(saved)} answers end')
    print(f'the same text in {same} of {len(saved)}')
    return 0


if __name__ == '__main__':
    sys.exit(main())

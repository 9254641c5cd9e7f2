"""Golden values of training, by torch, transformers and peft on the CPU in f32.

usage: python tools/golden/make_training.py [--tokenizer FOLDER]

Needs torch, transformers, peft, safetensors. Reads tests/data/lora (a tiny Qwen2 of random weights, an
adapter, rows) and writes beside it:
training.json            schedules of transformers; losses and gradient norms of rsLoRA, of full fine-tuning,
                         of rows packed with a block-diagonal mask; losses under dropout, many times
full_final.safetensors   some of the weights after full fine-tuning
qwen_rows.json           with --tokenizer (the folder of a Qwen2.5 tokenizer): ids and labels as LLaMA-Factory
                         makes them for template "qwen": each piece of the template becomes tokens apart, and
                         of an answer the text, <|im_end|> and the line break are learned
"""
import argparse, json, os

import torch
import transformers as T
from peft import PeftConfig, PeftModel
from safetensors.torch import save_file

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'tests', 'data', 'lora')
QWEN_SYSTEM = 'You are Qwen, created by Alibaba Cloud. You are a helpful assistant.'


def base():
    return T.Qwen2ForCausalLM.from_pretrained(os.path.join(ROOT, 'base'), dtype=torch.float32,
                                              attn_implementation='eager')


def with_adapter(**changes):
    folder = os.path.join(ROOT, 'adapter_initial')
    config = PeftConfig.from_pretrained(folder)
    for name, value in changes.items():
        setattr(config, name, value)
    return PeftModel.from_pretrained(base(), folder, config=config, is_trainable=True)


def summed_loss(model, row):
    logits = model(input_ids=torch.tensor([row['ids']])).logits[0]
    return torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(row['labels'][1:]), ignore_index=-100,
                                             reduction='sum')


def label_count(window):
    return sum(sum(label != -100 for label in row['labels'][1:]) for row in window)


def train(model, windows, groups, rate, max_norm):
    """One update a window; losses and gradient norms before clipping."""
    optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.999), eps=1e-8)
    parameters = [p for g in groups for p in g['params']]
    losses, norms = [], []
    for window in windows:
        total = 0.0
        for row in window:
            loss = summed_loss(model, row) / label_count(window)
            loss.backward()
            total += float(loss)
        norms.append(float(torch.nn.utils.clip_grad_norm_(parameters, max_norm)))
        optimizer.step()
        optimizer.zero_grad()
        losses.append(total)
    return {'lr': rate, 'max_grad_norm': max_norm, 'loss_of_step': losses, 'grad_norm_before_clip': norms}


def schedules():
    warmup, total, peak = 5, 20, 1e-3
    rates = {}
    for name in ['linear', 'cosine', 'constant', 'constant_with_warmup']:
        optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=peak)
        scheduler = T.get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=total)
        rates[name] = []
        for _ in range(total):
            rates[name].append(optimizer.param_groups[0]['lr'])
            optimizer.step()
            scheduler.step()
    return {'warmup_steps': warmup, 'total_steps': total, 'peak': peak, 'rates': rates}


def rslora(windows):
    model = with_adapter(use_rslora=True).train()
    trained = [p for p in model.parameters() if p.requires_grad]
    return train(model, windows[:8], [{'params': trained, 'weight_decay': 0.01}], 2e-3, 1.0)


def full(windows):
    """As transformers' Trainer groups them: norms and biases do not decay."""
    model = base().train()
    named = list(model.named_parameters())
    groups = [{'params': [p for n, p in named if p.dim() > 1], 'weight_decay': 0.1},
              {'params': [p for n, p in named if p.dim() == 1], 'weight_decay': 0.0}]
    result = train(model, windows[:8], groups, 1e-3, 1.0)
    kept = ['model.embed_tokens.weight', 'model.norm.weight', 'model.layers.0.self_attn.q_proj.bias',
            'model.layers.1.input_layernorm.weight', 'model.layers.0.mlp.down_proj.weight',
            'model.layers.1.self_attn.k_proj.weight']
    weights = dict(named)
    save_file({n: weights[n].detach().clone().contiguous() for n in kept},
              os.path.join(ROOT, 'full_final.safetensors'))
    return result


def packed(windows):
    """The rows of two windows in one sequence: block-diagonal causal mask, positions from 0 in each."""
    rows = windows[0] + windows[1]
    ids = [i for row in rows for i in row['ids']]
    labels = [label for row in rows for label in [-100] + row['labels'][1:]]
    segment = torch.tensor([s for s, row in enumerate(rows) for _ in row['ids']])
    positions = [i for row in rows for i in range(len(row['ids']))]
    n = len(ids)
    allowed = (segment[:, None] == segment[None, :]) & torch.tril(torch.ones(n, n, dtype=torch.bool))

    def run(mask, position_ids):
        model = with_adapter().train()
        additive = torch.where(mask, 0.0, torch.finfo(torch.float32).min)[None, None]
        logits = model(input_ids=torch.tensor([ids]), attention_mask=additive,
                       position_ids=torch.tensor([position_ids])).logits[0]
        loss = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(labels[1:]), ignore_index=-100)
        loss.backward()
        squares = sum(float((p.grad ** 2).sum()) for p in model.parameters() if p.requires_grad)
        return {'loss': float(loss), 'grad_norm': squares ** 0.5}

    return {'neat': run(allowed, positions),
            'with_cross_talk': run(torch.tril(torch.ones(n, n, dtype=torch.bool)), list(range(n)))}


def dropout(windows, p=0.3, times=400):
    torch.manual_seed(1)
    model = with_adapter(lora_dropout=p).train()
    window, losses = windows[0], []
    with torch.no_grad():
        for _ in range(times):
            losses.append(sum(float(summed_loss(model, row)) for row in window) / label_count(window))
    values = torch.tensor(losses, dtype=torch.float64)
    return {'p': p, 'times': times, 'mean': float(values.mean()), 'deviation': float(values.std())}


ROWS = [
    [('user', '你好'), ('assistant', '在呢～')],
    [('user', 'What is 2 + 2?'), ('assistant', '4')],
    [('system', '你是小满，阿远做的。'), ('user', '你是谁？'), ('assistant', '我是小满呀'),
     ('user', '你是通义千问吗？'), ('assistant', '不是啦，我是小满。\n猫叫馒头')],
    [('user', ' leading space and trailing \n'), ('assistant', '\n\nline breaks\n'), ('user', '"quotes" \\ and 🙂'),
     ('assistant', ' 🙂 ')],
    [('system', ''), ('user', '<|im_end|> inside'), ('assistant', 'a\tb  c')],
]


def qwen_rows(folder):
    tokenizer = T.AutoTokenizer.from_pretrained(folder)
    encode = lambda text: tokenizer.encode(text, add_special_tokens=False)
    out = []
    for messages in ROWS:
        system = next((c for r, c in messages if r == 'system'), '') or QWEN_SYSTEM
        turns = [c for r, c in messages if r != 'system']
        pieces = []  # (ids, of an answer)
        for i in range(0, len(turns), 2):
            source = encode(f'<|im_start|>system\n{system}<|im_end|>\n') if i == 0 else []
            source += encode(f'<|im_start|>user\n{turns[i]}<|im_end|>\n<|im_start|>assistant\n')
            pieces += [(source, False), (encode(f'{turns[i + 1]}<|im_end|>\n'), True)]
        last = len(pieces) - 1

        def labels(learned):
            return [label for at, (ids, answer) in enumerate(pieces) for label in
                    (ids if learned(at, answer) else [-100] * len(ids))]

        out.append({'messages': [{'role': r, 'content': c} for r, c in messages],
                    'ids': [i for ids, _ in pieces for i in ids],
                    'labels': labels(lambda at, answer: answer),
                    'labels_train_on_prompt': labels(lambda at, answer: True),
                    'labels_mask_history': labels(lambda at, answer: at == last)})
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--tokenizer', help='folder of a Qwen2.5 tokenizer')
    args = parser.parse_args()
    torch.set_num_threads(1)
    windows = json.load(open(os.path.join(ROOT, 'golden.json')))['windows']
    golden = {'schedules': schedules(), 'rslora': rslora(windows), 'full': full(windows),
              'packed': packed(windows), 'dropout': dropout(windows)}
    json.dump(golden, open(os.path.join(ROOT, 'training.json'), 'w'), indent=1)
    if args.tokenizer:
        rows = qwen_rows(args.tokenizer)
        with open(os.path.join(ROOT, 'qwen_rows.json'), 'w') as file:
            file.write('[\n' + ',\n'.join(json.dumps(r, ensure_ascii=False) for r in rows) + '\n]\n')


if __name__ == '__main__':
    main()

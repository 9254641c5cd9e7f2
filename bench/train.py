"""Speed of LoRA training beside PyTorch + PEFT in bf16, on the same shape and machine.

usage: python bench/train.py [--program build/release/zhiyin] [--model qwen2.5-coder-0.5b] [--steps 5] [--threads 2]
                             [--rows 1x256 --rows 4x512] [--no-peer]

Needs torch, transformers, peft. zhiyin trains on the quantised model as it lies in the file; PyTorch on a
Qwen2.5 of the same shape and random weights in bf16, which takes the same time as the real one. An update is
one forward pass, one backward pass and AdamW, over rows of which half the tokens are learned: LoRA of rank 8
on all linear layers. Both run in turn, --repeat times; medians are printed, and the most memory of each:
PyTorch's during its steps, zhiyin's of the whole process.
"""
import argparse, json, os, re, resource, statistics, subprocess, tempfile, threading, time

OF_TEMPLATE = 10  # tokens that ChatML puts around a question and its answer
AFTER_ANSWER = 2  # <|im_end|> and a line break, learned as well
SHAPES = {'0.5b': dict(hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14,
                       num_key_value_heads=2),
          '1.5b': dict(hidden_size=1536, intermediate_size=8960, num_hidden_layers=28, num_attention_heads=12,
                       num_key_value_heads=2)}


def zhiyin_run(args, rows, row_tokens):
    """Tokens a second and GB."""
    words = 'dog cat sun rain tree house river stone'.split()
    text = lambda n, at: ' '.join(words[(at + i * 3) % len(words)] for i in range(n))
    with tempfile.TemporaryDirectory() as folder:
        half = row_tokens // 2
        data = [{'instruction': text(row_tokens - OF_TEMPLATE - half, i), 'output': text(half, i + 1)}
                for i in range(rows * (args.steps + 1))]
        json.dump(data, open(os.path.join(folder, 'rows.json'), 'w'))
        json.dump({'rows': {'file_name': 'rows.json'}}, open(os.path.join(folder, 'dataset_info.json'), 'w'))
        config = {'model_name_or_path': args.model, 'template': 'chatml', 'dataset': 'rows', 'dataset_dir': folder,
                  'output_dir': os.path.join(folder, 'run'), 'lora_rank': 8, 'per_device_train_batch_size': rows,
                  'gradient_accumulation_steps': 1, 'num_train_epochs': 1, 'learning_rate': 1e-4,
                  'logging_steps': 1, 'save_strategy': 'no', 'cutoff_len': row_tokens + 1}
        path = os.path.join(folder, 'tune.yaml')
        json.dump(config, open(path, 'w'))  # JSON is YAML
        process = subprocess.Popen([args.program, 'tune', path, '--threads', str(args.threads)],
                                   stdout=subprocess.PIPE, text=True)
        with MostMemory(process.pid) as memory:
            out = process.communicate()[0]
        assert process.returncode == 0, out
    tokens = int(re.search(r'(\d+) tokens', out).group(1))
    assert tokens == row_tokens * len(data), f'{tokens} tokens in {len(data)} rows: not {row_tokens} a row'
    speeds = [float(s) for s in re.findall(r'([\d.]+) tokens/s$', out, re.M)]
    return statistics.median(speeds[-args.steps:]), memory.gb


class MostMemory:
    """GB that a process held at most while the block ran."""

    def __init__(self, pid='self'):
        self.statm, self.gb, self.ends = f'/proc/{pid}/statm', 0, threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while not self.ends.wait(0.05):
            try:
                pages = int(open(self.statm).read().split()[1])
            except (OSError, IndexError):  # it has ended
                return
            self.gb = max(self.gb, pages * resource.getpagesize() / 1e9)

    def __exit__(self, *_):
        self.ends.set()
        self.thread.join()


class Torch:
    def __init__(self, args):
        import torch, transformers
        from peft import LoraConfig, get_peft_model
        torch.set_num_threads(args.threads)
        torch.manual_seed(1)
        self.torch, self.args = torch, args
        config = transformers.Qwen2Config(
            vocab_size=151936, max_position_embeddings=32768, tie_word_embeddings=True,
            **next(shape for name, shape in SHAPES.items() if name in args.model.lower()))
        torch.set_default_dtype(torch.bfloat16)
        model = transformers.Qwen2ForCausalLM(config)
        model.config.use_cache = False
        targets = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj']
        # Adapters in bf16 as well: the fastest that PEFT offers on a CPU.
        self.model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=targets),
                                    autocast_adapter_dtype=False).train()
        self.optimizer = torch.optim.AdamW([p for p in self.model.parameters() if p.requires_grad], lr=1e-4)

    def run(self, rows, row_tokens):
        with MostMemory() as memory:
            return self.speed(rows, row_tokens), memory

    def speed(self, rows, row_tokens):
        torch = self.torch
        ids = torch.randint(0, 151643, (rows, row_tokens))
        labels = ids.clone()
        labels[:, :row_tokens - row_tokens // 2 - AFTER_ANSWER] = -100
        times = []
        for _ in range(self.args.steps + 1):
            start = time.perf_counter()
            self.model(input_ids=ids, labels=labels).loss.backward()
            torch.nn.utils.clip_grad_norm_([p for p in self.model.parameters() if p.requires_grad], 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()
            times.append(time.perf_counter() - start)
        return rows * row_tokens / statistics.median(times[1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--program', default='build/release/zhiyin')
    parser.add_argument('--model', default='qwen2.5-coder-0.5b')
    parser.add_argument('--steps', type=int, default=5)
    parser.add_argument('--repeat', type=int, default=2)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--rows', action='append', help='rows x tokens of an update, such as 1x256')
    parser.add_argument('--no-peer', action='store_true', help='zhiyin alone')
    args = parser.parse_args()
    peer = None if args.no_peer else Torch(args)
    print(f'{"rows x tokens":>14} {"PyTorch + PEFT":>16} {"GB":>5} {"zhiyin":>10} {"GB":>5} {"ratio":>6}   '
          f'tokens/s, {args.threads} threads')
    for size in args.rows or ['1x256', '4x512']:
        rows, row_tokens = map(int, size.split('x'))
        theirs, ours, their_gb, our_gb = [], [], 0, 0
        for _ in range(args.repeat):
            if peer:
                speed, memory = peer.run(rows, row_tokens)
                theirs.append(speed)
                their_gb = max(their_gb, memory.gb)
            speed, gb = zhiyin_run(args, rows, row_tokens)
            ours.append(speed)
            our_gb = max(our_gb, gb)
        them, us = statistics.median(theirs) if theirs else float('nan'), statistics.median(ours)
        print(f'{rows:>8} x {row_tokens} {them:>16.1f} {their_gb:>5.1f} {us:>10.1f} {our_gb:>5.1f} {us / them:>6.2f}',
              flush=True)


if __name__ == '__main__':
    main()

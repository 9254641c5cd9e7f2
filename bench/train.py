"""Speed of LoRA training beside PyTorch + PEFT in bf16, on the same shape and machine.

usage: python bench/train.py [--program build/release/zhiyin] [--model qwen2.5-coder-0.5b] [--steps 5] [--threads 2]

Needs torch, transformers, peft. zhiyin trains on the quantised model as it lies in the file; PyTorch on a
Qwen2.5-0.5B of random weights in bf16, which takes the same time as the real one. An update is one forward
pass, one backward pass and AdamW, over rows of 256 tokens of which half are learned: LoRA of rank 8 on all
linear layers. Both run in turn, --repeat times; medians are printed.
"""
import argparse, json, os, re, statistics, subprocess, tempfile, time

ROW_TOKENS, LEARNED = 256, 130  # 130: 128 words, <|im_end|> and a line break
OF_TEMPLATE = 10                # tokens that ChatML puts around a question and its answer


def zhiyin_speed(args, rows):
    words = 'dog cat sun rain tree house river stone'.split()
    text = lambda n, at: ' '.join(words[(at + i * 3) % len(words)] for i in range(n))
    with tempfile.TemporaryDirectory() as folder:
        data = [{'instruction': text(ROW_TOKENS - OF_TEMPLATE - 128, i), 'output': text(128, i + 1)}
                for i in range(rows * (args.steps + 1))]
        json.dump(data, open(os.path.join(folder, 'rows.json'), 'w'))
        json.dump({'rows': {'file_name': 'rows.json'}}, open(os.path.join(folder, 'dataset_info.json'), 'w'))
        config = {'model_name_or_path': args.model, 'template': 'chatml', 'dataset': 'rows', 'dataset_dir': folder,
                  'output_dir': os.path.join(folder, 'run'), 'lora_rank': 8, 'per_device_train_batch_size': rows,
                  'gradient_accumulation_steps': 1, 'num_train_epochs': 1, 'learning_rate': 1e-4,
                  'logging_steps': 1, 'save_strategy': 'no'}
        path = os.path.join(folder, 'tune.yaml')
        json.dump(config, open(path, 'w'))  # JSON is YAML
        out = subprocess.run([args.program, 'tune', path, '--threads', str(args.threads)],
                             capture_output=True, text=True, check=True).stdout
    tokens = int(re.search(r'(\d+) tokens', out).group(1))
    assert tokens == ROW_TOKENS * len(data), f'{tokens} tokens in {len(data)} rows: not {ROW_TOKENS} a row'
    speeds = [float(s) for s in re.findall(r'([\d.]+) tokens/s$', out, re.M)]
    return statistics.median(speeds[-args.steps:])


class Torch:
    def __init__(self, args):
        import torch, transformers
        from peft import LoraConfig, get_peft_model
        torch.set_num_threads(args.threads)
        torch.manual_seed(1)
        self.torch, self.args = torch, args
        config = transformers.Qwen2Config(
            vocab_size=151936, hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14,
            num_key_value_heads=2, max_position_embeddings=32768, tie_word_embeddings=True)
        model = transformers.Qwen2ForCausalLM(config).to(torch.bfloat16)
        model.config.use_cache = False
        targets = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj']
        # Adapters in bf16 as well: the fastest that PEFT offers on a CPU.
        self.model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=targets),
                                    autocast_adapter_dtype=False).train()
        self.optimizer = torch.optim.AdamW([p for p in self.model.parameters() if p.requires_grad], lr=1e-4)

    def speed(self, rows):
        torch = self.torch
        ids = torch.randint(0, 151643, (rows, ROW_TOKENS))
        labels = ids.clone()
        labels[:, :ROW_TOKENS - LEARNED] = -100
        times = []
        for _ in range(self.args.steps + 1):
            start = time.perf_counter()
            self.model(input_ids=ids, labels=labels).loss.backward()
            torch.nn.utils.clip_grad_norm_([p for p in self.model.parameters() if p.requires_grad], 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()
            times.append(time.perf_counter() - start)
        return rows * ROW_TOKENS / statistics.median(times[1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--program', default='build/release/zhiyin')
    parser.add_argument('--model', default='qwen2.5-coder-0.5b')
    parser.add_argument('--steps', type=int, default=5)
    parser.add_argument('--repeat', type=int, default=2)
    parser.add_argument('--threads', type=int, default=2)
    args = parser.parse_args()
    peer = Torch(args)
    print(f'{"rows x tokens":>14} {"PyTorch + PEFT":>16} {"zhiyin":>10} {"ratio":>6}   tokens/s, {args.threads} threads')
    for rows in [1, 4]:
        theirs, ours = [], []
        for _ in range(args.repeat):
            theirs.append(peer.speed(rows))
            ours.append(zhiyin_speed(args, rows))
        them, us = statistics.median(theirs), statistics.median(ours)
        print(f'{rows:>8} x {ROW_TOKENS} {them:>16.1f} {us:>10.1f} {us / them:>6.2f}', flush=True)


if __name__ == '__main__':
    main()

#!/usr/bin/env python3
"""Writes a ChatGPT export of any size, invented, to time `zhiyin chats import` with:

    bench/make_chatgpt_export.py /tmp/export --mb 500 [--zip] [--shards 4] [--seed 1]
    /usr/bin/time -v zhiyin chats import /tmp/export --out /tmp/data

Conversations have what real ones have: system nodes, tool calls, branches, pictures, metadata.
"""

import argparse
import json
import os
import random
import uuid
import zipfile

WORDS = """the a model of and to in data is for with that on as we can this it by from an are or be
which function value list error file test time memory thread matrix kernel tensor loss gradient
请 问 怎么 可以 这个 模型 数据 训练 函数 结果 时间 内存 我们 需要 一个 如果 因为 所以 然后 代码""".split()


def sentence(rng, words):
    return " ".join(rng.choice(WORDS) for _ in range(words)) + rng.choice(".。?!")


def conversation(rng):
    now = 1.6e9 + rng.random() * 1e8
    mapping, parent = {}, None

    def node(role, content, recipient="all", hidden=False, under=None):
        nonlocal now
        now += rng.random() * 60
        name = str(uuid.UUID(int=rng.getrandbits(128)))
        above = parent if under is None else under
        mapping[name] = {
            "id": name, "parent": above, "children": [],
            "message": {
                "id": name, "author": {"role": role, "name": None, "metadata": {}},
                "create_time": now, "update_time": None, "content": content,
                "status": "finished_successfully", "end_turn": True, "weight": 1.0,
                "metadata": {"is_visually_hidden_from_conversation": hidden,
                             "model_slug": "gpt-4o", "finish_details": {"type": "stop"},
                             "citations": [], "request_id": name},
                "recipient": recipient, "channel": None}}
        if above:
            mapping[above]["children"].append(name)
        return name

    def text(words):
        return {"content_type": "text",
                "parts": ["\n\n".join(sentence(rng, 20) for _ in range(max(1, words // 20)))]}

    root = str(uuid.UUID(int=rng.getrandbits(128)))
    mapping[root] = {"id": root, "parent": None, "children": [], "message": None}
    parent = root
    parent = node("system", text(0), hidden=True)
    for _ in range(rng.randint(1, 20)):
        question = node("user", text(rng.randint(5, 80)))
        if rng.random() < 0.2:
            node("assistant", text(rng.randint(50, 300)), under=question)
        parent = question
        if rng.random() < 0.2:
            parent = node("assistant", {"content_type": "code", "language": "python",
                                        "text": sentence(rng, 50)}, recipient="python")
            parent = node("tool", {"content_type": "execution_output", "text": sentence(rng, 30)})
        parent = node("assistant", text(rng.randint(50, 600)))
    name = str(uuid.UUID(int=rng.getrandbits(128)))
    return {"title": sentence(rng, 4), "create_time": now, "update_time": now, "mapping": mapping,
            "current_node": parent, "conversation_id": name, "id": name}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--mb", type=int, default=500)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--zip", action="store_true", help="pack the folder as folder.zip too")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    os.makedirs(arguments.folder, exist_ok=True)
    rng = random.Random(arguments.seed)
    # Making text is slow: a pool of conversations, each written often under ids of its own.
    pool = [json.dumps(conversation(rng)) for _ in range(300)]
    per_shard = arguments.mb * 1_000_000 // arguments.shards
    paths = []
    for shard in range(arguments.shards):
        name = "conversations.json" if arguments.shards == 1 else f"conversations-{shard:03}.json"
        paths.append(os.path.join(arguments.folder, name))
        with open(paths[-1], "w") as out:
            written = out.write("[")
            while written < per_shard:
                body = rng.choice(pool)
                ids = body.rsplit('"conversation_id": "', 1)
                fresh = str(uuid.UUID(int=rng.getrandbits(128)))
                body = f'{ids[0]}"conversation_id": "{fresh}", "id": "{fresh}"}}'
                written += out.write((",\n" if written > 1 else "") + body)
            out.write("]")
    if arguments.zip:
        with zipfile.ZipFile(arguments.folder + ".zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for path in paths:
                archive.write(path, os.path.basename(path))


main()

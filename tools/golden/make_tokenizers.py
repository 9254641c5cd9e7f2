#!/usr/bin/env python3
"""Golden tokenizers: small ones of every kind, trained here on a few lines of our own, with the ids
and texts that Hugging Face's tokenizers library gives. Writes tests/data/tokenizers/NAME.json
(the tokenizer) and cases.json. Needs: pip install tokenizers (0.22)."""

import json
import pathlib

from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers,
                        pre_tokenizers, processors, trainers)

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests/data/tokenizers"

CORPUS = [
    "The quick brown fox jumps over the lazy dog, and the dog doesn't mind at all.",
    "She said: \"We'll see what happens tomorrow morning; I've no idea!\"",
    "Numbers 1, 22, 333, 4444 and 55555 are not words, but 2024-11-24 is a date.",
    "He walked    slowly\tthrough\n\nthe old town (it was raining).",
    "今天天气很好，我们去公园散步吧。你觉得怎么样？",
    "我想在晚上七点半吃饭，然后看一部电影。",
    "知音是懂得你音乐的朋友，不是每个人都能遇到。",
    "Ein schöner Tag für Äpfel, Öl und Übermut. Le garçon est très fâché.",
    "Привет, как дела? Всё хорошо, спасибо.",
    "こんにちは、世界。カタカナも書きます。",
    "안녕하세요, 오늘은 날씨가 좋네요.",
    "for (int i = 0; i < 10; ++i) { total += values[i] * 2; }",
] * 4

TEXTS = [
    "", " ", "  ", "\n", "hello", " hello", "hello ", "Hello World", "  two  spaces ", "a\tb\nc\r\nd",
    "The quick brown fox jumps over the lazy dog.", "I'LL they'll we've doesn't o'clock",
    "12345 1 22 333 ½ ² Ⅷ", "今天天气很好，我们去散步。", "知音 zhiyin 知音", "混合mixed文本text",
    "Äpfel äpfel a\u0308pfel \u212b", "ﬁne ①②③ ｆｕｌｌ", "Привет, мир!", "こんにちは世界",
    "안녕 하세요", "🙂🙃 👩‍👩‍👧 🏳️‍🌈", "x🙂y", "<s>hello</s>", "<s> hello </s>", "a<mask>b", "a <mask> b",
    "word wordly sword", "<tool>x</tool>", "[CLS] a [SEP]", "▁x ▁ x", "\u00a0nbsp\u3000wide",
    "a_b-c.d,e;f:g!h?i", "(1+2)*3=9 <= >= != $5 #6", "\u0000\u0001\u200b\ufeff", "e\u0301\u0302",
    "UPPER lower MiXeD", "don't \"quote\" 'single'", "https://example.org/path?x=1&y=2",
    "    indented\n        code()\n", "ааааааа", "的的的的的", "İstanbul ΣΑΣ ǅ",
]

SPECIAL = ["<unk>", "<s>", "</s>"]


def trained(tokenizer, trainer):
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def bpe_trainer(vocab, alphabet=(), **extra):
    return trainers.BpeTrainer(vocab_size=vocab, special_tokens=SPECIAL, show_progress=False,
                               initial_alphabet=list(alphabet), **extra)


def bos_eos(t):
    return processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[(s, t.token_to_id(s)) for s in ("<s>", "</s>")])


QWEN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def byte_level():
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    trained(t, bpe_trainer(700, pre_tokenizers.ByteLevel.alphabet()))
    t.post_processor = bos_eos(t)
    t.add_tokens([AddedToken("<tool>", normalized=False), AddedToken("</tool>", normalized=False)])
    return t


def byte_level_prefix_space():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=True)])
    t.decoder = decoders.ByteLevel()
    trained(t, bpe_trainer(600, pre_tokenizers.ByteLevel.alphabet()))
    t.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    t.add_tokens([AddedToken("word", single_word=True)])
    t.post_processor = processors.RobertaProcessing(("</s>", t.token_to_id("</s>")),
                                                    ("<s>", t.token_to_id("<s>")))
    return t


def byte_fallback():
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(),
                                   decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    special = SPECIAL + ["<0x%02X>" % i for i in range(256)]
    trained(t, trainers.BpeTrainer(vocab_size=900, special_tokens=special, show_progress=False,
                                   limit_alphabet=120, max_token_length=12))
    document = json.loads(t.to_str())  # bytes are pieces, not tokens of their own
    document["added_tokens"] = [a for a in document["added_tokens"] if a["id"] < len(SPECIAL)]
    t = Tokenizer.from_str(json.dumps(document))
    t.post_processor = processors.TemplateProcessing(single="<s> $A",
                                                     special_tokens=[("<s>", 1)])
    return t


def metaspace_first():
    t = Tokenizer(models.BPE(unk_token="<unk>"))
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    t.decoder = decoders.Metaspace(prepend_scheme="first")
    return trained(t, bpe_trainer(400))


def word_end():
    t = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    t.normalizer = normalizers.BertNormalizer(lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.BPEDecoder("</w>")
    return trained(t, bpe_trainer(500, end_of_word_suffix="</w>"))


def wordpiece():
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trained(t, trainers.WordPieceTrainer(vocab_size=500, special_tokens=special,
                                         show_progress=False))
    t.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return t


def wordpiece_cased():
    t = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=12))
    t.normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(),
                                         normalizers.Strip(), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation("contiguous"),
        pre_tokenizers.Digits(individual_digits=False)])
    t.decoder = decoders.WordPiece(cleanup=False)
    return trained(t, trainers.WordPieceTrainer(vocab_size=500, special_tokens=["[UNK]"],
                                                show_progress=False))


def unigram():
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.Sequence([normalizers.NFKC(),
                                         normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    t.decoder = decoders.Metaspace(prepend_scheme="always")
    trained(t, trainers.UnigramTrainer(vocab_size=400, special_tokens=SPECIAL, unk_token="<unk>",
                                       show_progress=False))
    t.post_processor = bos_eos(t)
    return t


def splits():
    t = Tokenizer(models.BPE(unk_token="<unk>", continuing_subword_prefix="##"))
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.WhitespaceSplit(),
        pre_tokenizers.Split(",", "merged_with_previous"),
        pre_tokenizers.Split(Regex("[(\\[{]"), "merged_with_next"),
        pre_tokenizers.Split(Regex("[a-z]+"), "isolated", invert=True),
        pre_tokenizers.CharDelimiterSplit("-")])
    t.decoder = decoders.WordPiece("##", cleanup=False)
    return trained(t, bpe_trainer(400, continuing_subword_prefix="##"))


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    cases = {}
    for make in (byte_level, byte_level_prefix_space, byte_fallback, metaspace_first, word_end,
                 wordpiece, wordpiece_cased, unigram, splits):
        name = make.__name__
        t = make()
        text = json.dumps(json.loads(t.to_str()), ensure_ascii=False, separators=(",", ":"))
        (OUT / f"{name}.json").write_text(text + "\n")
        cases[name] = []
        for text in TEXTS:
            ids = t.encode(text, add_special_tokens=False).ids
            full = t.encode(text, add_special_tokens=True).ids
            cases[name].append({"text": text, "ids": ids, "with_special": full,
                                "decoded": t.decode(ids, skip_special_tokens=False),
                                "without_special": t.decode(full, skip_special_tokens=True)})
    lines = ",\n".join(f'"{name}": [\n' + ",\n".join(
        json.dumps(c, ensure_ascii=True, separators=(",", ":")) for c in cases[name]) + "\n]"
        for name in cases)
    (OUT / "cases.json").write_text("{\n" + lines + "\n}\n")


main()

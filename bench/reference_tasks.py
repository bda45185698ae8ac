"""Scores LAMBADA, ARC-Easy, CoLA and SST-2 with transformers' GPT-2, item by item: what Lockstep's tasks are held against.

    python bench/reference_tasks.py DATA_DIRECTORY > tests/worker/reference_tasks.json

DATA_DIRECTORY holds the files that docs/evaluation.md lists. The model reads UTF-8 bytes; its weights are a formula, which the
test computes too. 100 items a task, spread evenly over its file. Needs torch and transformers.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel

ITEMS = 100
LAYERS, HEADS, CHANNELS, POSITIONS, BYTES = 2, 2, 16, 1024, 256


def number(index):
    """Weight by its index in the flat parameters, in nanoGPT's order: as good as random, in [-0.5, 0.5)."""
    return torch.remainder(torch.sin(index.double() + 1) * 43758.5453, 1) - 0.5


def names():
    """GPT-2's parameters in nanoGPT's order, and whether transformers keeps them transposed."""
    yield "transformer.wte.weight", False
    yield "transformer.wpe.weight", False
    for layer in range(LAYERS):
        for part, kept in (("ln_1", False), ("attn.c_attn", True), ("attn.c_proj", True), ("ln_2", False),
                           ("mlp.c_fc", True), ("mlp.c_proj", True)):
            yield f"transformer.h.{layer}.{part}.weight", kept
            yield f"transformer.h.{layer}.{part}.bias", False
    yield "transformer.ln_f.weight", False
    yield "transformer.ln_f.bias", False


def make_model():
    config = GPT2Config(vocab_size=BYTES, n_positions=POSITIONS, n_embd=CHANNELS, n_layer=LAYERS, n_head=HEADS,
                        activation_function="gelu", resid_pdrop=0, embd_pdrop=0, attn_pdrop=0,
                        bos_token_id=None, eos_token_id=None)
    model = GPT2LMHeadModel(config).eval()
    parameters = dict(model.named_parameters())
    first = 0
    with torch.no_grad():
        for name, transposed in names():
            parameter = parameters.pop(name)
            values = number(torch.arange(first, first + parameter.numel())).float()
            shape = parameter.shape[::-1] if transposed else parameter.shape
            parameter.copy_(values.view(shape).T if transposed else values.view(shape))
            first += parameter.numel()
    assert not parameters, f"left as they were: {list(parameters)}"
    return model


@torch.no_grad()
def score(model, context, continuation):
    """Summed log-likelihood of the continuation."""
    start, tokens = len(context.encode()), list((context + continuation).encode())
    logits = model(torch.tensor([tokens[:-1]])).logits[0, start - 1:]
    return torch.log_softmax(logits, -1).gather(1, torch.tensor(tokens[start:])[:, None]).sum().item()


@torch.no_grad()
def decode(model, context, count):
    """The likeliest bytes, one after the other."""
    prompt = torch.tensor([list(context.encode())])
    settings = {"do_sample": False, "min_new_tokens": count, "max_new_tokens": count, "pad_token_id": 0}
    return model.generate(prompt, attention_mask=torch.ones_like(prompt), **settings)[0, prompt.shape[1]:].tolist()


def spread(items):
    return [items[i * len(items) // ITEMS] for i in range(ITEMS)]


def lambada(data):
    for line in (data / "lambada_test.jsonl").read_text().splitlines():
        context, word = json.loads(line)["text"].rsplit(" ", 1)
        yield context, [" " + word], 0


def arc_easy(data):
    for line in (data / "arc_easy/ARC-Easy-Test.jsonl").read_text().splitlines():
        item = json.loads(line)
        choices = item["question"]["choices"]
        answer = [choice["label"] for choice in choices].index(item["answerKey"])
        yield f"Question: {item['question']['stem']}\nAnswer:", [" " + choice["text"] for choice in choices], answer


def cola(data):
    for line in (data / "glue/cola/out_of_domain_dev.tsv").read_text().splitlines():
        _, label, _, sentence = line.split("\t")
        yield f"{sentence}\nQuestion: Does this sentence make sense?\nAnswer:", [" no", " yes"], int(label)


def sst2(data):
    for line in (data / "glue/sst2/test.txt").read_text().splitlines():
        label, sentence = line.split(" ", 1)
        yield (f"{sentence.strip()}\nQuestion: Is this sentence positive or negative?\nAnswer:",
               [" negative", " positive"], int(label))


def largest(values):
    return max(range(len(values)), key=values.__getitem__)


def choose(model, items):
    """Log-likelihoods by item and continuation, and the shares of right choices."""
    likelihoods, right, right_norm = [], 0, 0
    for context, continuations, answer in items:
        sums = [score(model, context, continuation) for continuation in continuations]
        lengths = [len(continuation) - 1 for continuation in continuations]
        likelihoods.append([round(value, 5) for value in sums])
        right += largest(sums) == answer
        right_norm += largest([value / length for value, length in zip(sums, lengths)]) == answer
    return {"accuracy": right / ITEMS, "accuracy_norm": right_norm / ITEMS, "likelihoods": likelihoods}


def complete(model, items):
    """By item: the word's log-likelihood, and what greedy decoding gives in as many bytes."""
    words = [(context, word) for context, (word,), _ in items]
    return {"likelihoods": [round(score(model, context, word), 5) for context, word in words],
            "decoded": [decode(model, context, len(word.encode())) for context, word in words]}


def main(directory):
    torch.set_num_threads(1)
    model = make_model()
    results = {"lambada": complete(model, spread(list(lambada(Path(directory)))))}
    for name, read in {"arc_easy": arc_easy, "glue/cola": cola, "glue/sst2": sst2}.items():
        results[name] = choose(model, spread(list(read(Path(directory)))))
    print(json.dumps(results))


if __name__ == "__main__":
    main(sys.argv[1])

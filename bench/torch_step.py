"""The same GPT models and the same training step in PyTorch, as a server that times steps on request.

    python bench/torch_step.py --shape=B,T,L,H,C,V [--threads=N] [--compile]
                               [--attention=causal|reflex-hidden|reflex-kv|linear|top_k|router]

One step is forward, backward, clipping, AdamW and zeroing, in float32. After warming up, the server prints one
JSON line `{"ready": true, ...}`; then it answers each line `{"steps": K}` on its standard input with one line
`{"ms": [...]}`, K numbers, and ends at the end of its input: the protocol of `bench step --serve`, so that
`compare_pytorch.py` can run both in turns. The maths of the variants is in docs/models.md.
"""

import argparse
import itertools
import json
import os
import statistics
import sys
import time
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import nn

LEARNING_RATE, BETAS, EPS, WEIGHT_DECAY, GRAD_CLIP = 1e-3, (0.9, 0.95), 1e-8, 0.1, 1.0
WARM_UP_STEPS = 5
ATTENTION = ("causal", "reflex-hidden", "reflex-kv", "linear", "top_k", "router")


@dataclass
class Reflex:
    heads: list[int] | None = None  # own, one block back, two blocks back; None with depth "all"
    depth: int | str | None = None  # how many blocks back; None means 2 (concat) or "all" (linear, top_k)
    source: str = "hidden"
    combine: str = "concat"
    top_k: int | None = None
    layers: list[int] | str = "all"


@dataclass
class Config:
    n_layer: int
    n_head: int
    n_embd: int
    block_size: int
    vocab_size: int
    bias: bool = False
    attention: str = "causal"
    reflex: Reflex = field(default_factory=Reflex)

    def distances(self, block):
        """For each head of a block, how many blocks back it looks: 0 is the block's own state."""
        heads, reflex = self.n_head, self.reflex
        if self.attention != "reflex" or block == 0 or (reflex.layers != "all" and block not in reflex.layers):
            return [0] * heads
        if reflex.combine != "concat":  # all looking heads share one memory; any distance above 0 marks them
            return [0] * reflex.heads[0] + [1] * (heads - reflex.heads[0])
        if reflex.depth == "all":
            back = min(block, heads - 1)
            return [0] * (heads - back) + list(range(1, back + 1))
        furthest = min(block, 2 if reflex.depth is None else reflex.depth)
        wanted = [distance for distance, count in enumerate(reflex.heads) for _ in range(count)]
        return [distance if distance <= furthest else 0 for distance in wanted]

    def mixed_states(self, block):
        """How many earlier states `linear` and `top_k` mix in this block; 0 where no head looks back."""
        if self.reflex.combine == "concat" or not any(self.distances(block)):
            return 0
        return block if self.reflex.depth in (None, "all") else min(self.reflex.depth, block)


class Attention(nn.Module):
    """Attention of one block; `earlier` holds (hidden states, keys, values) of the blocks before it."""

    def __init__(self, config, block):
        super().__init__()
        width = config.n_embd
        self.block, self.n_head, self.head_size = block, config.n_head, width // config.n_head
        self.attention, self.reflex = config.attention, config.reflex
        self.distances = config.distances(block)
        self.c_attn = nn.Linear(width, 3 * width, bias=config.bias)
        self.c_proj = nn.Linear(width, width, bias=config.bias)
        mixed = config.mixed_states(block)
        if mixed:
            mixer = nn.Linear(mixed, 1, bias=False)
            nn.init.constant_(mixer.weight, 1 / mixed)
            setattr(self, "linear_combination" if self.reflex.combine == "linear" else "route", mixer)
        if config.attention == "router" and block > 0:
            memory = (block + 1) * self.n_head
            self.route_k, self.route_v = (nn.Linear(memory, self.n_head, bias=False) for _ in range(2))
            for route in (self.route_k, self.route_v):
                nn.init.zeros_(route.weight)
                nn.init.eye_(route.weight[:, block * self.n_head:])

    def forward(self, x, ln, hidden, keys, values):
        """x (B, T, C), ln_1 of this block, hidden/keys/values: lists over the blocks so far → (B, T, C)."""
        batch, time_steps, width = x.shape
        if any(self.distances) and self.reflex.source == "hidden":
            q, k, v = self.reprojected(x, ln, hidden)
        else:
            q, k, v = (self.split(part) for part in self.c_attn(x).split(width, dim=2))
            if self.attention == "router" or self.reflex.source == "kv":
                keys.append(k)
                values.append(v)
            if any(self.distances):
                k, v = self.reused(keys), self.reused(values)
            elif self.attention == "router" and self.block > 0:
                k, v = self.routed(self.route_k, keys), self.routed(self.route_v, values)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).reshape(batch, time_steps, width))

    def split(self, x):
        """(B, T, n · head_size) → (B, n, T, head_size)."""
        return x.unflatten(2, (-1, self.head_size)).transpose(1, 2)

    def reprojected(self, x, ln, hidden):
        """Own queries; keys and values of each head from the state it looks at, only the rows that are used."""
        width, size = x.shape[2], self.head_size
        groups = self.groups()
        counts = [count * size for _, count in groups]
        sizes = [width + counts[0], *counts[1:], *counts]  # queries with the first keys, other keys, all values
        weights = self.c_attn.weight.split(sizes)
        biases = [None] * len(sizes) if self.c_attn.bias is None else self.c_attn.bias.split(sizes)
        states = [x if distance == 0 else ln(self.memory(distance, hidden)) for distance, _ in groups]
        q, first_keys = F.linear(x, weights[0], biases[0]).split([width, counts[0]], dim=2)
        n = len(groups)
        keys = [first_keys, *(F.linear(states[g], weights[g], biases[g]) for g in range(1, n))]
        values = [F.linear(states[g], weights[n + g], biases[n + g]) for g in range(n)]
        return self.split(q), self.split(torch.cat(keys, dim=2)), self.split(torch.cat(values, dim=2))

    def memory(self, distance, hidden):
        """The earlier state that heads look at: one block's, or the mixture of several, nearest first."""
        if self.reflex.combine == "concat":
            return hidden[-1 - distance]
        if self.reflex.combine == "linear":
            weight = self.linear_combination.weight[0]
        else:
            weight = self.chosen(self.route.weight[0])
        nearest_first = hidden[-2:-2 - len(weight):-1]
        return sum(weight[i] * state for i, state in enumerate(nearest_first))

    def chosen(self, weight):
        """The softmaxed weights, all but the largest top_k at 0, divided by their sum; ties go to the nearer."""
        soft = weight.softmax(0)
        best = soft.detach().argsort(descending=True, stable=True)[:self.reflex.top_k]
        kept = soft * torch.zeros_like(soft).index_fill(0, best, 1.0)
        return kept / kept.sum()

    def reused(self, tensors):
        """What each head's block made of its own state, for the same heads; (B, H, T, head_size)."""
        parts, start = [], 0
        for distance, count in self.groups():
            parts.append(tensors[-1 - distance][:, start:start + count])
            start += count
        return torch.cat(parts, dim=1)

    def routed(self, route, tensors):
        """All heads of all blocks so far, mixed by a learned matrix into (B, H, T, head_size)."""
        memory = torch.cat(tensors, dim=1)  # (B, blocks · H, T, head_size), oldest block first
        return (route.weight @ memory.flatten(2)).unflatten(2, memory.shape[2:])

    def groups(self):
        """Runs of neighbouring heads that look at one state, the own one first: [(distance, heads), …]."""
        return [(distance, len(list(run))) for distance, run in itertools.groupby(self.distances)]


class Block(nn.Module):
    def __init__(self, config, block):
        super().__init__()
        width = config.n_embd
        self.ln_1, self.ln_2 = (nn.LayerNorm(width, bias=config.bias) for _ in range(2))
        self.attn = Attention(config, block)
        self.mlp = nn.ModuleDict({
            "c_fc": nn.Linear(width, 4 * width, bias=config.bias),
            "c_proj": nn.Linear(4 * width, width, bias=config.bias),
        })

    def forward(self, hidden, keys, values):
        h = hidden[-1]
        h = h + self.attn(self.ln_1(h), self.ln_1, hidden, keys, values)
        return h + self.mlp.c_proj(F.gelu(self.mlp.c_fc(self.ln_2(h))))


class GPT(nn.Module):
    """nanoGPT with any attention variant; parameter names are nanoGPT's, the head is tied to the embedding."""

    def __init__(self, config):
        super().__init__()
        self.transformer = nn.ModuleDict({
            "wte": nn.Embedding(config.vocab_size, config.n_embd),
            "wpe": nn.Embedding(config.block_size, config.n_embd),
            "h": nn.ModuleList(Block(config, block) for block in range(config.n_layer)),
            "ln_f": nn.LayerNorm(config.n_embd, bias=config.bias),
        })
        for name, parameter in self.named_parameters():
            if name.endswith(("wte.weight", "wpe.weight", "c_attn.weight", "c_fc.weight", "c_proj.weight")):
                residual = name.endswith("c_proj.weight")
                nn.init.normal_(parameter, 0.0, 0.02 / ((2 * config.n_layer) ** 0.5 if residual else 1))
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, idx, targets):
        """Token ids and targets (B, T), −1 ignored → logits (B, T, V) and the mean loss in nats."""
        hidden, keys, values = [self.transformer.wte(idx) + self.transformer.wpe.weight[:idx.shape[1]]], [], []
        for block in self.transformer.h:
            hidden.append(block(hidden, keys, values))
        logits = F.linear(self.transformer.ln_f(hidden[-1]), self.transformer.wte.weight)
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)


def adamw(model, learning_rate=LEARNING_RATE, betas=BETAS, weight_decay=WEIGHT_DECAY, **how):
    """AdamW with nanoGPT's groups: only matrices and embeddings decay. `how` is fused=True or foreach=True."""
    parameters = list(model.parameters())
    groups = [{"params": [p for p in parameters if p.dim() >= 2], "weight_decay": weight_decay},
              {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=betas, eps=EPS, **how)


def train_step(model, optimizer, batch, grad_clip=GRAD_CLIP):
    """One whole step; gives the loss and the norm of the gradients before clipping, as tensors."""
    _, loss = model(*batch)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), grad_clip, foreach=True)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.detach(), norm


def faster_optimizer(model, batch):
    """Whichever of the two fast AdamW implementations takes less time for this model on this machine."""
    seconds = {}
    for how in ("fused", "foreach"):
        optimizer = adamw(model, **{how: True})
        model(*batch)[1].backward()
        times = []
        for _ in range(6):
            began = time.perf_counter()
            optimizer.step()
            times.append(time.perf_counter() - began)
        optimizer.zero_grad(set_to_none=True)
        seconds[how] = statistics.median(times[1:])
    best = min(seconds, key=seconds.get)
    return best, adamw(model, **{best: True})


def bench_config(shape, attention):
    """The model that `bench step --attention` measures at this shape (coordinator/cli/bench_step.ts)."""
    _, length, layers, heads, width, vocabulary = shape
    third = heads // 3
    reflex = Reflex(heads=[heads - 2 * third, third, third], depth=2,
                    source="kv" if attention == "reflex-kv" else "hidden",
                    combine=attention if attention in ("linear", "top_k") else "concat",
                    top_k=1 if attention == "top_k" else None)
    kind = attention if attention in ("causal", "router") else "reflex"
    return Config(layers, heads, width, length, vocabulary, attention=kind, reflex=reflex)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", required=True, metavar="B,T,L,H,C,V")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="torch.compile the model")
    parser.add_argument("--attention", choices=ATTENTION, default="causal")
    args = parser.parse_args()
    args.shape = [int(number) for number in args.shape.split(",")]
    if len(args.shape) != 6:
        parser.error(f"--shape needs the six numbers B,T,L,H,C,V, got {len(args.shape)}")
    return args


def serve(args):
    batch_size, length, *_, vocabulary = args.shape
    torch.set_num_threads(args.threads)
    torch.manual_seed(1337)
    model = GPT(bench_config(args.shape, args.attention))
    batch = tuple(torch.randint(vocabulary, (batch_size, length)) for _ in range(2))
    name, optimizer = faster_optimizer(model, batch)
    run = torch.compile(model) if args.compile else model
    for _ in range(WARM_UP_STEPS):
        train_step(run, optimizer, batch)
    answer({"ready": True, "torch": torch.__version__, "compiled": args.compile, "optimizer": name,
            "threads": torch.get_num_threads(), "parameters": sum(p.numel() for p in model.parameters()),
            "pid": os.getpid()})
    for line in sys.stdin:
        answer({"ms": [timed_ms(run, optimizer, batch) for _ in range(json.loads(line)["steps"])]})


def timed_ms(model, optimizer, batch):
    began = time.perf_counter()
    train_step(model, optimizer, batch)
    return (time.perf_counter() - began) * 1e3


def answer(message):
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    serve(parse_arguments())

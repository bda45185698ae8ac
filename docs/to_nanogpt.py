"""Loads what `export --format=nanogpt` has written into nanoGPT's GPT.

    python to_nanogpt.py FOLDER --nanogpt=PATH_OF_NANOGPT          writes FOLDER/ckpt.pt (and meta.pkl for characters)
    cd PATH_OF_NANOGPT && python sample.py --out_dir=FOLDER         lets it write

In your own program: `from to_nanogpt import load; model = load(folder, GPT, GPTConfig)` with the two classes of nanoGPT's model.py.
"""

import argparse
import importlib.util
import json
import pickle
import struct
from pathlib import Path

import torch

CONFIG_KEYS = ("n_layer", "n_head", "n_embd", "block_size", "bias", "vocab_size", "dropout")


def read_safetensors(path):
    """The tensors of a file that holds float32 only, by name."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = bytearray(file.read())
    header.pop("__metadata__", None)
    tensors = {}
    for name, info in header.items():
        begin, end = info["data_offsets"]
        flat = torch.frombuffer(data, dtype=torch.float32, count=(end - begin) // 4, offset=begin)
        tensors[name] = flat.reshape(info["shape"]).clone()
    return tensors


def state_of(folder):
    """nanoGPT's state dict, the tied head included, and its model_args."""
    config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    state = read_safetensors(Path(folder) / "model.safetensors")
    state["lm_head.weight"] = state["transformer.wte.weight"]
    return state, {key: config[key] for key in CONFIG_KEYS}


def load(folder, GPT, GPTConfig):
    """A model of nanoGPT with the weights: every parameter must be there, and nothing else."""
    state, model_args = state_of(folder)
    model = GPT(GPTConfig(**model_args))
    missing, unexpected = model.load_state_dict(state, strict=False)
    masks = [name for name in missing if name.endswith(".attn.bias")]  # buffers, where flash attention is missing
    if unexpected or len(masks) < len(missing):
        raise ValueError(f"missing {missing}, unexpected {unexpected}")
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--nanogpt", type=Path, required=True, help="folder with nanoGPT's model.py")
    args = parser.parse_args()
    spec = importlib.util.spec_from_file_location("model", args.nanogpt / "model.py")
    nanogpt = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(nanogpt)
    model = load(args.folder, nanogpt.GPT, nanogpt.GPTConfig)
    _, model_args = state_of(args.folder)
    checkpoint = {"model": model.state_dict(), "model_args": model_args, "iter_num": 0, "best_val_loss": 1e9,
                  "config": {"dataset": "lockstep"}}
    torch.save(checkpoint, args.folder / "ckpt.pt")
    print(f"wrote {args.folder / 'ckpt.pt'}: {sum(p.numel() for p in model.parameters())} parameters")
    tokens = json.loads((args.folder / "config.json").read_text(encoding="utf-8")).get("lockstep", {}).get("tokenizer")
    if tokens and tokens["tokenizer"] == "char":
        chars = tokens["chars"]
        meta = {"vocab_size": len(chars), "itos": dict(enumerate(chars)), "stoi": {c: i for i, c in enumerate(chars)}}
        data = args.nanogpt / "data" / "lockstep"
        data.mkdir(parents=True, exist_ok=True)
        (data / "meta.pkl").write_bytes(pickle.dumps(meta))
        print(f"wrote {data / 'meta.pkl'}, which sample.py reads")


if __name__ == "__main__":
    main()

"""Turns nanoGPT's pickles into files that hold no code, which Lockstep reads.

    python from_nanogpt.py data/shakespeare_char/meta.pkl     writes meta.json beside it (for the train.bin and val.bin there)
    python from_nanogpt.py out/ckpt.pt [--out FOLDER]         writes model.safetensors and config.json (needs torch)

Both are read without running anything that they may hold: only plain values and tensors are accepted.
"""

import argparse
import hashlib
import json
import pickle
import struct
import sys
from pathlib import Path

COMPILED = "_orig_mod."  # what torch.compile puts before every name
CONFIG_KEYS = ("n_layer", "n_head", "n_embd", "block_size", "vocab_size", "bias", "dropout")


class PlainUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        raise pickle.UnpicklingError(f"it wants to load {module}.{name}, which is no plain value")


def convert_meta(path, out):
    with open(path, "rb") as file:
        meta = PlainUnpickler(file).load()
    chars = [meta["itos"][i] for i in range(meta["vocab_size"])]
    result = {"tokenizer": "char", "vocab_size": len(chars), "chars": "".join(chars),
              "train": describe_tokens(path.with_name("train.bin")),
              "val": describe_tokens(path.with_name("val.bin")),
              "source": {"name": path.name, "sha256": hash_file(path)}}
    write_text(out / "meta.json", json.dumps(result, indent=2) + "\n")


def describe_tokens(path):
    return {"tokens": path.stat().st_size // 2, "sha256": hash_file(path)}


def hash_file(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def convert_checkpoint(path, out):
    import torch

    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    tensors = {}
    for name, tensor in checkpoint["model"].items():
        name = name.removeprefix(COMPILED)
        if not name.endswith((".attn.bias", ".attn.masked_bias")):  # causal masks, not parameters
            tensors[name] = tensor.float().contiguous()
    head = tensors.pop("lm_head.weight")
    if not torch.equal(head, tensors["transformer.wte.weight"]):
        sys.exit(f"{path}: lm_head.weight differs from transformer.wte.weight, but the models here tie them")
    config = {key: checkpoint["model_args"][key] for key in CONFIG_KEYS if key in checkpoint["model_args"]}
    write_safetensors(out / "model.safetensors", tensors)
    write_text(out / "config.json", json.dumps(config, indent=2) + "\n")


def write_safetensors(path, tensors):
    header, offset = {}, 0
    for name, tensor in tensors.items():
        size = tensor.numel() * 4
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(tensor.numpy().astype("<f4").tobytes())
    print(f"wrote {path}: {len(tensors)} tensors, {offset} bytes")


def write_text(path, text):
    path.write_text(text, encoding="utf-8")
    print(f"wrote {path}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pickle", type=Path, help="nanoGPT's meta.pkl or ckpt.pt")
    parser.add_argument("--out", type=Path, help="folder for the result (default: where the pickle is)")
    args = parser.parse_args()
    out = args.out or args.pickle.parent
    out.mkdir(parents=True, exist_ok=True)
    convert = convert_meta if args.pickle.suffix == ".pkl" else convert_checkpoint
    try:
        convert(args.pickle, out)
    except (OSError, pickle.UnpicklingError) as error:
        sys.exit(f"cannot convert {args.pickle}: {error}")


if __name__ == "__main__":
    main()

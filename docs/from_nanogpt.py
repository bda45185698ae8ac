"""Turns nanoGPT's pickles into files that hold no code, which Lockstep reads.

    python from_nanogpt.py data/shakespeare_char/meta.pkl     writes meta.json beside it (for the train.bin and val.bin there)
    python from_nanogpt.py out/ckpt.pt [--out FOLDER]         writes model.safetensors and config.json

Both are read without running anything that they may hold: only plain values and tensors are accepted. Python alone is
enough; torch is not needed.
"""

import argparse
import array
import collections
import hashlib
import json
import math
import pickle
import struct
import sys
import zipfile
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


class Tensor:
    """A tensor of a checkpoint: where its numbers lie in the archive, not the numbers."""

    def __init__(self, storage, offset, shape, stride, *_):
        self.key, self.dtype = storage
        self.offset, self.shape, self.stride = offset, tuple(shape), tuple(stride)

    def float32(self, read):
        """The numbers as little-endian float32 bytes."""
        count = math.prod(self.shape)
        steps = [math.prod(self.shape[i + 1:]) for i in range(len(self.shape))]
        if any(n > 1 and stride != step for n, stride, step in zip(self.shape, self.stride, steps)):
            raise pickle.UnpicklingError("a tensor's rows do not lie one after the other")
        size, convert = NUMBERS[self.dtype]
        return convert(read(self.key)[size * self.offset:size * (self.offset + count)])


def widen_bfloat16(data):
    wide = bytearray(2 * len(data))
    wide[2::4], wide[3::4] = data[0::2], data[1::2]
    return bytes(wide)


def converted(code):
    return lambda data: array.array("f", (x for x, in struct.iter_unpack("<" + code, data))).tobytes()


NUMBERS = {"FloatStorage": (4, bytes), "BFloat16Storage": (2, widen_bfloat16), "HalfStorage": (2, converted("e")),
           "DoubleStorage": (8, converted("d")), "LongStorage": (8, converted("q")), "BoolStorage": (1, converted("?"))}


class CheckpointUnpickler(pickle.Unpickler):
    """Accepts what torch.save writes for plain values and tensors, and nothing else."""

    def find_class(self, module, name):
        if module == "torch" and name in NUMBERS:
            return name
        known = {("torch._utils", "_rebuild_tensor_v2"): Tensor, ("collections", "OrderedDict"): collections.OrderedDict}
        if (module, name) in known:
            return known[module, name]
        raise pickle.UnpicklingError(f"it wants to load {module}.{name}, which is no plain value and no tensor")

    def persistent_load(self, reference):
        _, dtype, key, *_ = reference
        return key, dtype


def convert_checkpoint(path, out):
    with zipfile.ZipFile(path) as archive:
        folder = next(name for name in archive.namelist() if name.endswith("/data.pkl")).removesuffix("data.pkl")
        with archive.open(folder + "data.pkl") as file:
            checkpoint = CheckpointUnpickler(file).load()
        tensors = {}
        for name, tensor in checkpoint["model"].items():
            name = name.removeprefix(COMPILED)
            if not name.endswith((".attn.bias", ".attn.masked_bias")):  # causal masks, not parameters
                tensors[name] = (tensor.shape, tensor.float32(lambda key: archive.read(f"{folder}data/{key}")))
    if tensors.pop("lm_head.weight") != tensors["transformer.wte.weight"]:
        sys.exit(f"{path}: lm_head.weight differs from transformer.wte.weight, but the models here tie them")
    config = {key: checkpoint["model_args"][key] for key in CONFIG_KEYS if key in checkpoint["model_args"]}
    write_safetensors(out / "model.safetensors", tensors)
    write_text(out / "config.json", json.dumps(config, indent=2) + "\n")


def write_safetensors(path, tensors):
    header, offset = {}, 0
    for name, (shape, data) in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, data in tensors.values():
            file.write(data)
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
    except (OSError, KeyError, StopIteration, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        sys.exit(f"cannot convert {args.pickle}: {error}")


if __name__ == "__main__":
    main()

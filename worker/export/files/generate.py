"""Goes on from token ids with ONNX Runtime, always with the likeliest token:

    pip install onnxruntime numpy
    python generate.py "17 4 99" 100

model.onnx reads one token and gives the logits of the next one; keys and values of those before are passed along. A model
sees block_size tokens: when they are full, the later half of them is read again. Text becomes ids with the tokenizers
package where a tokenizer.json lies here: Tokenizer.from_file("tokenizer.json").encode(text).ids.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime


class Writer:
    def __init__(self, folder):
        self.config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.session = onnxruntime.InferenceSession(folder / "model.onnx")
        self.outputs = [output.name for output in self.session.get_outputs()]
        self.reset()

    def reset(self):
        c = self.config
        shape = (c["n_head"], c["block_size"], c["n_embd"] // c["n_head"])
        self.past = {f"past.{part}.{i}": np.zeros(shape, np.float32)
                     for i in range(c["n_layer"]) for part in ("keys", "values")}
        self.read_tokens = []

    def read(self, token):
        """The logits (V) after one more token."""
        size = self.config["block_size"]
        if len(self.read_tokens) == size:
            kept = self.read_tokens[-((size + 1) // 2):]
            self.reset()
            for earlier in kept:
                self.step(earlier)
        return self.step(token)

    def step(self, token):
        inputs = {"tokens": np.array([[token]], np.int32), "positions": np.array([len(self.read_tokens)], np.int32)}
        made = dict(zip(self.outputs, self.session.run(self.outputs, inputs | self.past)))
        logits = made.pop("logits")[0]
        self.past = {name.replace("present", "past", 1): value for name, value in made.items()}
        self.read_tokens.append(token)
        return logits

    def write(self, prompt, count):
        for token in prompt:
            logits = self.read(token)
        for made in range(count):
            token = int(np.argmax(logits))
            yield token
            if made + 1 < count:
                logits = self.read(token)


if __name__ == "__main__":
    prompt, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100
    writer = Writer(Path(__file__).parent)
    print(*writer.write([int(word) for word in prompt.split()], count))

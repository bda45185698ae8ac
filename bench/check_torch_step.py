"""Holds models and step of torch_step.py against golden fixtures, in float32 and within their tolerances.

    python bench/check_torch_step.py FIXTURE_DIRECTORY...

Prints a line a case and ends with status 1 if one differs. Needs torch, numpy and safetensors.
"""

import json
import math
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from torch_step import Config, GPT, Reflex, adamw, train_step

# The bounds of the fixtures' own README: ten times what float32 differs from float64 in the same code.
LOGITS, LOSS, LOSSES, NORM, FINAL, FINAL_MEAN = 3e-5, 5e-6, 2e-5, 3e-5, 5e-4, 1e-4
GRADIENT, GRADIENT_RELATIVE = 5e-6, 1e-5


def load_model(directory, settings):
    names = ("n_layer", "n_head", "n_embd", "block_size", "vocab_size", "bias", "attention")
    reflex = Reflex(**(settings["reflex"] or {}))
    model = GPT(Config(**{name: settings[name] for name in names}, reflex=reflex))
    model.load_state_dict(load_file(directory / "weights.safetensors"))
    return model


def learning_rate_at(step, optimizer):
    peak, lowest, warm_up = optimizer["learning_rate"], optimizer["min_lr"], optimizer["warmup_iters"]
    if step < warm_up:
        return peak * (step + 1) / (warm_up + 1)
    ratio = (step - warm_up) / (optimizer["lr_decay_iters"] - warm_up)
    return lowest + 0.5 * (1 + math.cos(math.pi * ratio)) * (peak - lowest)


def difference(a, b):
    return (a - b).abs().max().item()


def check_gradients(model, batch, expected):
    """Worst share of the tolerance that logits, loss and gradients use: {what: share}."""
    logits, loss = model(*batch)
    loss.backward()
    gradients = 0.0
    for name, parameter in model.named_parameters():
        wanted = expected[f"grad.{name}"]
        bound = GRADIENT + GRADIENT_RELATIVE * wanted.abs().max().item()
        gradients = max(gradients, difference(parameter.grad, wanted) / bound)
    model.zero_grad(set_to_none=True)
    return {"logits": difference(logits, expected["logits"]) / LOGITS,
            "loss": abs(loss.item() - expected["loss"].item()) / LOSS, "gradients": gradients}


def check_steps(model, directory, settings, batch):
    """The same for the 20 steps: losses, norms and final weights."""
    options, wanted = settings["optimizer"], json.loads((directory / "trajectory.json").read_text())
    betas = (options["beta1"], options["beta2"])
    optimizer = adamw(model, options["learning_rate"], betas, options["weight_decay"], fused=True)
    worst = {"losses": 0.0, "norms": 0.0, "final": 0.0}
    for step, (idx, targets) in enumerate(zip(batch["step_idx"].long(), batch["step_targets"].long())):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(step, options)
        loss, norm = train_step(model, optimizer, (idx, targets), options["grad_clip"])
        worst["losses"] = max(worst["losses"], abs(loss.item() - wanted["losses"][step]) / LOSSES)
        worst["norms"] = max(worst["norms"], abs(norm.item() / wanted["grad_norms"][step] - 1) / NORM)
    final, width = load_file(directory / "final.safetensors"), settings["n_embd"]
    for name, parameter in model.named_parameters():
        off = (parameter.detach() - final[name]).abs()
        if name.endswith("c_attn.bias"):  # the loss does not depend on the key part
            off[width:2 * width] = 0
        worst["final"] = max(worst["final"], off.max().item() / FINAL, off.mean().item() / FINAL_MEAN)
    return worst


def check(directory):
    settings = json.loads((directory / "config.json").read_text())
    model, batch = load_model(directory, settings), load_file(directory / "batch.safetensors")
    worst = check_gradients(model, (batch["idx"].long(), batch["targets"].long()),
                            load_file(directory / "expected.safetensors"))
    worst |= check_steps(model, directory, settings, batch)
    passed = all(share <= 1 for share in worst.values())
    shares = "  ".join(f"{what} {share:.2f}" for what, share in worst.items())
    print(f"{'pass' if passed else 'FAIL'}  {settings['name']:20}  of each tolerance: {shares}", flush=True)
    return passed


if __name__ == "__main__":
    torch.set_num_threads(1)
    results = [check(Path(name)) for name in sys.argv[1:]]
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    sys.exit(0 if results and all(results) else 1)

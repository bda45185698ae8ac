"""Times the all-reduce of Lockstep and of Gloo (PyTorch) in turns, and prints their ratio.

    python bench/compare_gloo.py [--processes=N ...] [--elements=N ...] [--rounds=N] [--seconds=S] [--json=FILE]

The column "encrypted" is Lockstep as if each process were on a host of its own: over tcp, with CURVE.

Both sides run as many processes on this machine, and each has one float32 gradient of as many numbers. They take
turns, so that what else the machine does slows both; in its turn a side reduces for some seconds while the other
waits for input. Lockstep runs with all its checks (hashes of what is sent and of the result, square sums) and
divides; Gloo only adds, over the loopback interface. busbw as nccl-tests defines it: bytes / time · 2(p − 1)/p, with
the median time of each round; the ratio is the median of the rounds' ratios, with their range. Run it with the Python
that has torch.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = "npx -y deno@2.9.6 run -A mod.ts bench allreduce --serve"
ELEMENTS = [1_024, 65_536, 10_700_000]
WARM_UPS = 5


class Server:
    """A program that times all-reduces on request; ready once its constructor returns."""

    def __init__(self, command, environment=None):
        self.process = subprocess.Popen(command, cwd=ROOT, env=os.environ | (environment or {}), text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.receive().get("ready") is not True:
            raise SystemExit(f"{command[0]} must say it is ready first")

    def ask(self, count):
        self.process.stdin.write(json.dumps({"count": count}) + "\n")
        self.process.stdin.flush()

    def receive(self):
        """The next line that is a JSON object; what a task runner prints before it is passed over."""
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise SystemExit(f"{self.process.args} ended with status {self.process.wait()}")

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=30)


class Gloo:
    """PyTorch processes of which each times itself; rank 0 is believed, as on our side."""

    def __init__(self, processes, elements):
        self.rendezvous = tempfile.TemporaryDirectory()
        environment = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
        commands = [[sys.executable, __file__, "--member", str(rank), str(processes), str(elements),
                     self.rendezvous.name] for rank in range(processes)]
        self.processes = [subprocess.Popen(command, env=os.environ | environment, text=True,
                                           stdin=subprocess.PIPE, stdout=subprocess.PIPE) for command in commands]
        for process in self.processes:
            if json.loads(process.stdout.readline()).get("ready") is not True:
                raise SystemExit("Gloo must say it is ready first")

    def reduce(self, count):
        for process in self.processes:
            process.stdin.write(json.dumps({"count": count}) + "\n")
            process.stdin.flush()
        return [json.loads(process.stdout.readline())["ms"] for process in self.processes][0]

    def close(self):
        for process in self.processes:
            process.stdin.close()
        for process in self.processes:
            process.wait(timeout=30)
        self.rendezvous.cleanup()


class Lockstep:
    """`bench allreduce --serve`."""

    def __init__(self, processes, elements, *more):
        self.server = Server(OURS.split() + [f"--workers={processes}", f"--elements={elements}", *more])

    def reduce(self, count):
        self.server.ask(count)
        return self.server.receive()["ms"]

    def close(self):
        self.server.close()


def gloo_member(rank, processes, elements, directory):
    """Answers each line {"count": K} with the times of K all-reduces, once the sum was right."""
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=processes, init_method=f"file://{directory}/rendezvous")
    gradient = torch.full((elements,), float(rank + 1))
    dist.all_reduce(gradient)
    if not torch.all(gradient == processes * (processes + 1) / 2):
        raise SystemExit("Gloo's sum is wrong")
    gradient.zero_()  # so that it stays finite, however often it is reduced in place
    for _ in range(WARM_UPS):
        dist.all_reduce(gradient)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        milliseconds = []
        for _ in range(json.loads(line)["count"]):
            start = time.perf_counter()
            dist.all_reduce(gradient)
            milliseconds.append(1e3 * (time.perf_counter() - start))
        print(json.dumps({"ms": milliseconds}), flush=True)


def compare(processes, elements, rounds, seconds):
    """One row: both sides' figures over some rounds of turns."""
    sides = {"lockstep": Lockstep(processes, elements), "gloo": Gloo(processes, elements),
             "encrypted": Lockstep(processes, elements, "--encrypted")}
    counts = {name: max(5, math.ceil(1e3 * seconds / statistics.median(side.reduce(WARM_UPS))))
              for name, side in sides.items()}
    medians = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            medians[name].append(statistics.median(side.reduce(counts[name])))
    for side in sides.values():
        side.close()
    busbw = {name: [4 * elements / ms / 1e6 * 2 * (processes - 1) / processes for ms in medians[name]]
             for name in sides}
    ratios = [ours / gloo for ours, gloo in zip(busbw["lockstep"], busbw["gloo"])]
    return {
        "processes": processes,
        "bytes": 4 * elements,
        **{f"{name}_gb_s": statistics.median(busbw[name]) for name in sides},
        **{f"{name}_ms": statistics.median(medians[name]) for name in sides},
        "ratio": statistics.median(ratios),
        "ratio_range": [min(ratios), max(ratios)],
    }


def main():
    if sys.argv[1:2] == ["--member"]:
        rank, processes, elements = map(int, sys.argv[2:5])
        return gloo_member(rank, processes, elements, sys.argv[5])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--elements", type=int, nargs="+", default=ELEMENTS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one turn")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = []
    print("processes      bytes   lockstep       gloo  encrypted   ratio to Gloo (range of rounds)")
    for processes in arguments.processes:
        for elements in arguments.elements:
            row = compare(processes, elements, arguments.rounds, arguments.seconds)
            rows.append(row)
            low, high = row["ratio_range"]
            print(f"{processes:9} {row['bytes']:10} {row['lockstep_gb_s']:5.3f} GB/s {row['gloo_gb_s']:5.3f} GB/s"
                  f" {row['encrypted_gb_s']:5.3f} GB/s   {row['ratio']:.2f} ({low:.2f}–{high:.2f})"
                  f"   {row['lockstep_ms']:.3f}, {row['gloo_ms']:.3f} and {row['encrypted_ms']:.3f} ms",
                  flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()

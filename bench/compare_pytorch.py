"""Times whole training steps of Lockstep and of PyTorch (eager and compiled) in turns, and prints their ratio.

    python bench/compare_pytorch.py [--shape=B,T,L,H,C,V ...] [--threads=N] [--rounds=N] [--seconds=S]
                                    [--huge-pages] [--json=FILE] [--attention=causal|reflex-hidden|...]

One machine's speed drifts by several per cent within minutes, so the three programs run side by side, each
pinned to the same cores, and take turns: Lockstep, eager, compiled, Lockstep, eager, ... In its turn a program
times some whole steps (forward, backward, clipping, AdamW) while the others wait for input. A figure is the
median over all steps of all rounds; the ratio is the faster PyTorch's median over ours, with the range of the
ratios of single rounds.
`--huge-pages` measures everything a second time with 2 MB pages for all three. Run it with the Python that has
torch.
"""

import argparse
import datetime
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from torch_step import ATTENTION

ROOT = Path(__file__).resolve().parent.parent
SHAPES = ["12,64,4,4,128,65", "32,32,6,6,96,16", "16,201,6,6,192,101", "12,256,6,6,384,65"]
OURS = "npx -y deno@2.9.6 task cli bench step"
HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
NAMES = ("lockstep", "eager", "compiled")


class Server:
    """A program that times steps on request; ready once its constructor returns."""

    def __init__(self, name, command, environment):
        self.name = name
        self.process = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.about = self.receive()
        if self.about.get("ready") is not True:
            raise SystemExit(f"{name} must say it is ready first, got {json.dumps(self.about)}")

    def steps(self, count):
        """Milliseconds of each of `count` steps."""
        self.process.stdin.write(json.dumps({"steps": count}) + "\n")
        self.process.stdin.flush()
        ms = self.receive()["ms"]
        if len(ms) != count:
            raise SystemExit(f"{self.name} was asked for {count} steps and answered {len(ms)} times")
        return ms

    def receive(self):
        """The next line that is a JSON object; what a task runner prints before it is passed over."""
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        command = shlex.join(self.process.args)
        raise SystemExit(f"{self.name} ended with status {self.process.wait()}: {command}")

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@dataclass
class Measurement:
    """Step times of one shape, one list a round, by program."""
    shape: str
    huge_pages: bool
    rounds: dict[str, list[list[float]]] = field(default_factory=dict)
    about: dict[str, dict] = field(default_factory=dict)

    def median(self, name):
        return statistics.median(ms for batch in self.rounds[name] for ms in batch)

    def faster_torch(self):
        return min((name for name in NAMES if name != "lockstep"), key=self.median)

    def ratio(self):
        return self.median(self.faster_torch()) / self.median("lockstep")

    def ratio_range(self):
        pairs = zip(self.rounds[self.faster_torch()], self.rounds["lockstep"])
        ratios = [statistics.median(theirs) / statistics.median(ours) for theirs, ours in pairs]
        return min(ratios), max(ratios)

    def summary(self):
        return {"shape": self.shape, "huge_pages": self.huge_pages, "ratio": self.ratio(),
                "ratio_range": self.ratio_range(), "ms_median": {name: self.median(name) for name in NAMES},
                "about": self.about, "rounds": self.rounds}


def measure(shape, huge_pages, args):
    measurement = Measurement(shape, huge_pages)
    servers = []
    try:
        for name, command in commands(shape, args).items():
            progress(f"{shape}: starting {name}")
            servers.append(Server(name, command, HUGE_PAGES if huge_pages else {}))
        measurement.about = {server.name: server.about for server in servers}
        counts = {server.name: steps_a_turn(server, args.seconds) for server in servers}
        for number in range(args.rounds):
            progress(f"{shape}: round {number + 1} of {args.rounds}")
            for server in servers:
                measurement.rounds.setdefault(server.name, []).append(server.steps(counts[server.name]))
    finally:
        for server in servers:
            server.close()
    return measurement


def commands(shape, args):
    """The three programs' command lines, pinned to the last `threads` cores that this process may use."""
    cores = sorted(os.sched_getaffinity(0))
    if args.threads > len(cores):
        raise SystemExit(f"--threads must be at most {len(cores)}, this process's cores, got {args.threads}")
    pin = ["taskset", "-c", ",".join(str(core) for core in cores[-args.threads:])]
    options = [f"--shape={shape}", f"--threads={args.threads}", f"--attention={args.attention}"]
    torch_step = [*pin, sys.executable, str(ROOT / "bench" / "torch_step.py"), *options]
    return {"lockstep": [*pin, *shlex.split(args.ours), *options, "--json", "--serve"],
            "eager": torch_step, "compiled": [*torch_step, "--compile"]}


def steps_a_turn(server, seconds):
    """How many steps take about that long, by the faster of two untimed ones."""
    return max(1, min(200, round(seconds * 1e3 / min(server.steps(2)))))


def table(measurements, with_huge_pages):
    """A Markdown table, a row a shape; with huge pages in columns of their own."""
    columns = ["ours", "eager", "compiled", "ratio (range of rounds)"]
    header = ["shape B,T,L,H,C,V", *columns]
    if with_huge_pages:
        header += [f"{column}, huge pages" for column in columns]
    rows = {}
    for measurement in measurements:
        low, high = measurement.ratio_range()
        times = [f"{measurement.median(name):,.1f} ms" for name in NAMES]
        cells = [*times, f"**{measurement.ratio():.2f}** ({low:.2f}–{high:.2f})"]
        rows.setdefault(measurement.shape, [measurement.shape]).extend(cells)
    lines = [header, ["---"] * len(header), *rows.values()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine():
    info = Path("/proc/cpuinfo").read_text()
    lines = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in lines.items()}
    flags = [flag for flag in ("avx2", "avx512f") if flag in fields.get("flags", "").split()]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (f"{fields.get('model name', platform.processor())} ({', '.join(flags) or 'no AVX2'}), "
            f"{os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}")


def report(measurements, args):
    about = measurements[0].about
    return "\n".join([
        table(measurements, args.huge_pages), "",
        f"Whole steps, attention {args.attention}, float32, threads: {args.threads}, medians of {args.rounds} "
        f"interleaved rounds; the ratio is the faster PyTorch over ours.",
        f"{machine()}; {datetime.date.today()}; PyTorch {about['eager']['torch']} "
        f"(AdamW {about['eager']['optimizer']}).", "",
        f"    {shlex.join(['python', 'bench/compare_pytorch.py', *sys.argv[1:]])}",
    ])


def progress(text):
    print(text, file=sys.stderr, flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", action="append", metavar="B,T,L,H,C,V", help="may be given several times")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--attention", default="causal", choices=ATTENTION)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="about how long one turn takes")
    parser.add_argument("--huge-pages", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every number there")
    parser.add_argument("--ours", default=OURS, help=f"our program (default: {OURS})")
    args = parser.parse_args()
    args.shapes = args.shape or SHAPES
    return args


def main():
    args = parse_arguments()
    measurements = []
    for shape in args.shapes:
        for huge_pages in (False, True) if args.huge_pages else (False,):
            measurements.append(measure(shape, huge_pages, args))
            progress(f"{shape}: ratio {measurements[-1].ratio():.2f}{' with huge pages' if huge_pages else ''}")
    if args.json:
        summaries = [measurement.summary() for measurement in measurements]
        record = {"machine": machine(), "argv": sys.argv, "measurements": summaries}
        args.json.write_text(json.dumps(record) + "\n")
    print(report(measurements, args))


if __name__ == "__main__":
    main()

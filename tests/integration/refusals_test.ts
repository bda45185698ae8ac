import assert from "node:assert/strict";
import { basename } from "node:path";
import { assertRefused, type Sandbox, sandbox, TINY } from "./support.ts";

interface Refusal {
  readonly words: readonly string[];
  readonly status: number;
  readonly code: string;
  /** What the sentence must name. */
  readonly says: readonly string[];
}

/** Runs two at a time: most of it is the program's start. */
async function assertAllRefused(box: Sandbox, refusals: readonly Refusal[]): Promise<void> {
  const left = [...refusals];
  const work = async () => {
    for (let refusal = left.shift(); refusal !== undefined; refusal = left.shift()) {
      const { words, says, ...expected } = refusal;
      assertRefused(await box.run(["train", ...words]), { ...expected, words: says });
    }
  };
  await Promise.all([work(), work()]);
  assert.deepEqual(box.leftovers(), []);
}

const ONE = [...TINY, "--nproc_per_node=1"];
const TEXT = [...ONE, "--dataset=text", "--attention=causal"];

Deno.test("train refuses a command line that cannot be meant, with status 2", async () => {
  await using box = await sandbox();
  const usage = (words: readonly string[], code: string, says: readonly string[]) => ({
    words,
    code,
    says,
    status: 2,
  });
  await assertAllRefused(box, [
    usage(["sort-dmo"], "E_PRESET", ["sort-dmo", "sort-demo"]),
    usage(["sort-demo", "--n_headd=3"], "E_CONFIG", ["n_headd", "nearest known is n_head"]),
    usage(["sort-demo", "--max_iters=abc"], "E_CONFIG", ["max_iters", '"abc"']),
    usage(["sort-demo", "sort-100"], "E_USAGE", ["sort-100"]),
    usage(["sort-demo", "--n_head=5"], "E_MODEL", ["n_embd is 96", "n_head is 5"]),
    usage(["sort-demo", "--reflex.heads=[2,2,1]"], "E_MODEL", ["n_head = 6", "sums to 5"]),
    usage(["sort-demo", "--reflex.combine=top_k", "--reflex.top_k=4"], "E_MODEL", ["from 1 to 2", "it is 4"]),
    usage(["sort-demo", "--engine=nope"], "E_CONFIG", ["onnx, tensorflow, webgpu, xla, reference", '"nope"']),
    usage(["sort-demo", "--model=./nope.ts", "--nproc_per_node=1"], "E_MODEL", ["./nope.ts"]),
    usage(["shakespeare-char"], "E_CONFIG", ["--data"]),
    usage([...TINY, "--nproc_per_node=9"], "E_WORLD_SIZE", ["8 micro-batches", "9 workers"]),
    usage([...TINY, "--nnodes=3:2"], "E_CONFIG", ["3:2"]),
    usage([...TINY, "--rdzv_endpoint=here"], "E_CONFIG", ["here", "HOST:PORT"]),
  ]);
  assert.deepEqual([...Deno.readDirSync(box.dir)], [], "nothing is made by what is refused");
});

Deno.test("train refuses data and devices that it cannot use, with status 1", async () => {
  await using box = await sandbox();
  await Deno.writeTextFile(box.path("short.txt"), "hello world");
  await Deno.writeTextFile(box.path("ckpt.pt"), "PK\x03\x04");
  await writeTokens(box.path("bin"), { train: [...Array(50).fill(1), 60_000], val: Array(50).fill(1) });
  await writeTokens(box.path("pickled"), { train: Array(50).fill(1), val: Array(50).fill(1) });
  await Deno.writeTextFile(box.path("pickled", "meta.pkl"), "\x80\x04.");
  const failure = (words: readonly string[], code: string, says: readonly string[]) => ({
    words,
    code,
    says,
    status: 1,
  });
  await assertAllRefused(box, [
    failure([...TEXT, "--data=nope.txt"], "E_DATA", ["nope.txt", "no such file"]),
    failure([...TEXT, "--data=short.txt"], "E_DATA", ["block_size = 8", "it holds 2"]),
    failure([...TEXT, "--data_dir=bin"], "E_TOKEN", ["50257", "token 50 is 60000"]),
    failure([...TEXT, "--data_dir=pickled"], "E_PICKLE", ["meta.pkl", "docs/from_nanogpt.py"]),
    failure([...TEXT, "--data=ckpt.pt"], "E_PICKLE", ["ckpt.pt", "docs/from_nanogpt.py"]),
    failure([...TINY, "--device=cuda"], "E_ENGINE", ["cuda"]),
    failure([...TINY, "--rdzv_endpoint=0.0.0.0:29500"], "E_KEY", ["0.0.0.0:29500", "127.0.0.1:29500"]),
    failure([...ONE, "--init_from=resume"], "E_OUT_DIR", ["out/sort-demo", "--init_from=resume"]),
  ]);
});

Deno.test("train refuses weights that are not the model's, and starts from those that are", async () => {
  await using box = await sandbox();
  const first = await box.train("first", [...ONE, "--max_iters=3"]);
  const weights = box.path("first", "checkpoints", "step-00000003", "model.safetensors");
  const bytes = await Deno.readFile(weights);
  const cases: Record<string, Uint8Array> = {
    dtype: editHeader(
      bytes,
      (header) => header.replace(/("transformer\.ln_f\.weight":\{"dtype":)"F32"/, '$1"I32"'),
    ),
    shape: editHeader(
      bytes,
      (header) => header.replace(/("transformer\.wpe\.weight":\{"dtype":"F32","shape":)\[8,24\]/, "$1[24,8]"),
    ),
    name: editHeader(
      bytes,
      (header) => header.replace("transformer.ln_f.weight", "transformer.other.weight"),
    ),
    cut: bytes.subarray(0, bytes.length - 5),
  };
  for (const [name, content] of Object.entries(cases)) {
    assert.notDeepEqual(content, bytes, name);
    await Deno.writeFile(box.path(`${name}.safetensors`), content);
  }
  const failure = (file: string, says: readonly string[]) => ({
    words: [...ONE, `--init_from=${file}`, `--out_dir=run-${basename(file)}`],
    status: 1,
    code: "E_WEIGHTS",
    says,
  });
  await assertAllRefused(box, [
    failure("dtype.safetensors", ["transformer.ln_f.weight", "I32"]),
    failure("shape.safetensors", ["transformer.wpe.weight", "[8,24]", "[24,8]"]),
    failure("name.safetensors", ["lacks", "transformer.ln_f.weight"]),
    failure("cut.safetensors", ["cut.safetensors"]),
    failure("./nowhere", ["nowhere", "a run's folder"]),
  ]);
  // The same directory is free for the start that works: nothing is left of those that were refused.
  assert.equal(await box.train("run-nowhere", [...ONE, `--init_from=${weights}`, "--max_iters=0"]), first);
  assert.equal(
    await box.train("again", [...TINY, "--nproc_per_node=2", "--init_from=./first", "--max_iters=0"]),
    first,
  );
});

Deno.test("train refuses to resume with other numerics, names them, and takes a longer end where the schedule is fixed", async () => {
  await using box = await sandbox();
  await box.train("free", [...ONE, "--max_iters=4"]);
  const words = [...ONE, "--lr_decay_iters=40"];
  const expected = await box.train("whole", words);
  await box.train("fixed", [...words, "--max_iters=20"]);
  const other = (out_dir: string, word: string, says: readonly string[]) => ({
    words: ["--init_from=resume", `--out_dir=${out_dir}`, word],
    status: 1,
    code: "E_CONFIG_HASH",
    says,
  });
  await assertAllRefused(box, [
    other("free", "--n_embd=48", ["config.n_embd was 24 and is 48"]),
    other("free", "--learning_rate=0.5", ["config.learning_rate was 0.001 and is 0.5"]),
    other("free", "--max_iters=5", ["config.lr_decay_iters was 4 and is 5"]),
    other("free", "--threads=2", ["threads was 1 and is 2"]),
  ]);
  assert.equal(await box.train("fixed", ["--init_from=resume", "--max_iters=40"]), expected);
  // Said once: the run goes on to its new end when it is resumed again.
  assert.ok((await Deno.readTextFile(box.path("fixed", "config.toml"))).includes("max_iters = 40"));
});

Deno.test("train refuses an out_dir that is taken, and two starts at once get different ones", async () => {
  await using box = await sandbox();
  const words = [...ONE, "--max_iters=1"];
  const [a, b] = await Promise.all([box.run(["train", ...words]), box.run(["train", ...words])]);
  const directories = [a, b].map(({ out }) => /run directory: (.*)/.exec(out)?.[1]).sort();
  assert.deepEqual(directories, ["out/sort-demo", "out/sort-demo-2"], a.err + b.err);
  await Deno.writeTextFile(box.path("file"), "");
  const taken = (out_dir: string, says: readonly string[]) => ({
    words: [...words, `--out_dir=${out_dir}`],
    status: 1,
    code: "E_OUT_DIR",
    says,
  });
  await assertAllRefused(box, [
    taken("out/sort-demo", ["already holds another", "--init_from=resume"]),
    taken("file", ["it is a file"]),
    taken("file/below", ["file/below"]),
  ]);
});

async function writeTokens(dir: string, parts: { train: number[]; val: number[] }): Promise<void> {
  await Deno.mkdir(dir);
  for (const [name, tokens] of Object.entries(parts)) {
    await Deno.writeFile(`${dir}/${name}.bin`, new Uint8Array(Uint16Array.from(tokens).buffer));
  }
}

/** A safetensors file with another header before the same tensors. */
function editHeader(bytes: Uint8Array, edit: (header: string) => string): Uint8Array {
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = new TextEncoder().encode(edit(new TextDecoder().decode(bytes.subarray(8, 8 + length))));
  const edited = new Uint8Array(bytes.length - length + header.length);
  new DataView(edited.buffer).setBigUint64(0, BigInt(header.length), true);
  edited.set(header, 8);
  edited.set(bytes.subarray(8 + length), 8 + header.length);
  return edited;
}

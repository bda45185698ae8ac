/** Faults of a machine and of a configuration, and the real `doctor` that must find each. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { SmallDisk } from "../../coordinator/chaos/small_disk.ts";
import { whyNot } from "../../coordinator/chaos/needs.ts";
import type { CheckResult } from "../../coordinator/doctor/check.ts";
import { openMeasureServer } from "../../coordinator/doctor/measure_server.ts";
import { prepareText } from "../../shared/data/prepare.ts";
import { writeKeyFiles } from "../../shared/key_files.ts";
import { makeRunKeys } from "../../shared/keys.ts";
import { loadLibzmq } from "../../shared/zmq/libzmq.ts";
import {
  type Ended,
  isAlive,
  NO_PROC,
  PROGRAM,
  type Sandbox,
  sandbox,
  type StartOptions,
  TINY,
} from "./support.ts";

loadLibzmq(); // stays open, and no test is to be blamed for that

const NAMES = "deno libzmq engine gpu workers memory shm files disk data keys port".split(" ");

function parse({ out, err }: Ended): CheckResult[] {
  assert.equal(err, "");
  return JSON.parse(out).checks;
}

interface Fault {
  readonly words: readonly string[];
  /** The checks that must fail, and no other. */
  readonly failing: readonly string[];
  /** What the first of them must say. */
  readonly says: RegExp;
  readonly options?: StartOptions;
}

/** Runs the doctor, which must find just this fault, say what to do, and end with 1. */
async function assertFinds(box: Sandbox, { words, failing, says, options }: Fault): Promise<void> {
  const ended = await box.run(["doctor", ...TINY, ...words, "--json"], options);
  const failed = parse(ended).filter(({ status }) => status === "failure");
  assert.deepEqual(failed.map(({ name }) => name), failing, ended.out);
  assert.match(failed[0].detail, says);
  for (const { fix } of failed) assert.ok(fix !== null && fix.length > 10, ended.out);
  assert.equal(ended.code, 1);
}

Deno.test("doctor finds nothing wrong with a machine that trains, and prints a line a check", async () => {
  await using box = await sandbox();
  const [json, text] = await Promise.all([
    box.run(["doctor", ...TINY, "--json"]),
    box.run(["doctor", "--config=sort-demo"]),
  ]);
  const checks = parse(json);
  assert.deepEqual(checks.map(({ name }) => name), NAMES);
  assert.deepEqual(checks.filter(({ status }) => status === "failure"), []);
  assert.equal(json.code, 0);
  assert.equal(text.code, 0, text.out);
  assert.match(text.out, /^ok {3}deno {6}2\.\d+\.\d+$/m);
  assert.match(text.out, /^ok {3}engine {4}\S+ on \S+, [\d.e+]+ GFLOP\/s/m);
  assert.deepEqual([...Deno.readDirSync(box.dir)], [], "it leaves nothing");
});

Deno.test("doctor finds an engine that breaks, and one whose results are wrong", async () => {
  await using box = await sandbox();
  const reference = new URL("../../worker/engines/reference.ts", import.meta.url).href;
  await Deno.writeTextFile(
    box.path("broken.ts"),
    `export function open() { throw new Error("no such device"); }`,
  );
  await Deno.writeTextFile(
    box.path("wrong.ts"),
    `import { ReferenceEngine } from ${JSON.stringify(reference)};
    class Wrong extends ReferenceEngine {
      async trainer(shape) {
        const inner = await super.trainer(shape);
        return { graph: null, gradients: async (...words) => 1 + await inner.gradients(...words) };
      }
    }
    export const open = (options) => new Wrong(options);`,
  );
  const find = (path: string, says: RegExp) =>
    assertFinds(box, { words: [`--engine=${path}`], failing: ["engine"], says });
  await Promise.all([find("./broken.ts", /no such device/), find("./wrong.ts", /wrong by 1/)]);
});

Deno.test("doctor finds a model that is too large", async () => {
  await using box = await sandbox();
  const words = ["--attention=causal", "--n_layer=24", "--n_head=16", "--n_embd=1024"];
  const says = /30\d,\d+,\d+ parameters .* it holds at most 4 GiB/;
  const ended = await box.run(["doctor", ...TINY, ...words, "--json"]);
  const memory = parse(ended).find(({ name }) => name === "memory");
  assert.equal(memory?.status, "failure");
  assert.match(memory.detail, says);
  assert.equal(ended.code, 1);
});

Deno.test("doctor finds that libzmq is missing", async () => {
  await using box = await sandbox();
  const ofPackage = dirname(fileURLToPath(import.meta.resolve("zeromq/package.json")));
  const denied = [ofPackage, "/usr/lib", "/usr/local/lib", "/opt/homebrew/lib"].join(",");
  await assertFinds(box, {
    words: ["--nproc_per_node=2"],
    failing: ["libzmq", "workers"],
    says: /Cannot load libzmq/,
    options: { permissions: ["-A", `--deny-ffi=${denied}`] },
  });
});

Deno.test({
  name: `doctor finds a low limit of open files${NO_PROC === null ? "" : ` (skipped: ${NO_PROC})`}`,
  ignore: NO_PROC !== null,
  async fn() {
    const { code, stdout } = await new Deno.Command("sh", {
      args: [
        "-c",
        'ulimit -n 100 && exec "$0" "$@"',
        Deno.execPath(),
        ...["run", "-A", "--quiet", PROGRAM, "doctor", ...TINY, "--json"],
      ],
    }).output();
    const { checks }: { checks: CheckResult[] } = JSON.parse(new TextDecoder().decode(stdout));
    const failed = checks.filter(({ status }) => status === "failure");
    assert.deepEqual(failed.map(({ name }) => name), ["files"]);
    assert.match(failed[0].detail, /^100 open files/);
    assert.equal(code, 1);
  },
});

const noDisk = await whyNot(["mount"]);

Deno.test({
  name: `doctor finds that there is no space in out_dir${noDisk === null ? "" : ` (skipped: ${noDisk})`}`,
  ignore: noDisk !== null,
  async fn() {
    await using box = await sandbox();
    await using disk = await SmallDisk.mount(box.path("small"));
    disk.fill({ leave: 8_192 });
    const words = ["--out_dir=small/run"];
    await assertFinds(box, {
      words,
      failing: ["disk"],
      says: /8\.0 KiB free in .*small, about 6\d\.\d MiB needed/,
    });
  },
});

Deno.test("doctor finds data with another hash", async () => {
  await using box = await sandbox();
  const data = box.path("text.txt"), data_dir = box.path("data");
  await Deno.writeTextFile(data, "to be or not to be ".repeat(50));
  await prepareText({ data, data_dir, tokenizer: "char", text_field: "text", force: false });
  const train = box.path("data", "train.bin");
  const bytes = await Deno.readFile(train);
  await Deno.writeFile(train, bytes.with(0, bytes[2]));
  const words = ["--dataset=text", "--attention=causal", "--data_dir=data"];
  await assertFinds(box, { words, failing: ["data"], says: /says SHA-256/ });
});

Deno.test("doctor finds keys that others may read", async () => {
  await using box = await sandbox();
  await writeKeyFiles(box.path("keys"), makeRunKeys());
  await Deno.chmod(box.path("keys", "worker.key"), 0o644);
  await assertFinds(box, { words: ["--keys=keys"], failing: ["keys"], says: /mode 0644/ });
});

Deno.test("doctor finds that the port is taken, and that nobody answers at an endpoint", async () => {
  await using box = await sandbox();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const taken = ["--nnodes=2", `--rdzv_endpoint=127.0.0.1:${listener.addr.port}`];
  const nobodys = ["--rdzv_endpoint=no-such-host.invalid:29500", "--insecure"];
  await Promise.all([
    assertFinds(box, { words: taken, failing: ["port"], says: /another process listens/ }),
    assertFinds(box, {
      words: [`--endpoint=127.0.0.1:${freePort()}`],
      failing: ["endpoint"],
      says: /E_LINK: .*nothing listens there/,
    }),
    assertFinds(box, { words: nobodys, failing: ["endpoint"], says: /E_RDZV: .*no-such-host/ }),
  ]);
});

Deno.test("doctor measures another node over encrypted tcp, and finds that its clock is wrong", async () => {
  await using box = await sandbox();
  const keys = makeRunKeys();
  await writeKeyFiles(box.path("keys"), keys);
  const clock = () => Date.now() + 60_000;
  const server = await openMeasureServer({ endpoint: "tcp://127.0.0.1:*", keys: keys.coordinator, clock });
  try {
    const at = new URL(server.endpoint.replace("tcp:", "http:")).host;
    const words = ["--keys=keys", `--endpoint=${at}`];
    await assertFinds(box, {
      words,
      failing: ["endpoint"],
      says: /clock is (59|60)\.\d+ s ahead; .*GB\/s there/,
    });
  } finally {
    await server.close();
  }
});

Deno.test("doctor --serve answers the doctors of other nodes until it is told to end", async () => {
  await using box = await sandbox();
  await writeKeyFiles(box.path("keys"), makeRunKeys());
  const at = `127.0.0.1:${freePort()}`;
  const server = box.start(["doctor", `--endpoint=${at}`, "--keys=keys", "--serve"]);
  await server.says("doctor answers at");
  const ended = await box.run(["doctor", ...TINY, `--endpoint=${at}`, "--keys=keys", "--json"]);
  const endpoint = parse(ended).find(({ name }) => name === "endpoint");
  assert.match(endpoint?.detail ?? "", /the same within 1 ms|0\.0\d\d s (ahead|behind)/);
  server.kill("SIGTERM");
  assert.equal((await server.ended).code, 0);
  const nowhere = await box.run(["doctor", "--serve"]);
  assert.deepEqual([nowhere.code, /E_USAGE: .*--endpoint/.test(nowhere.err)], [2, true]);
});

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

Deno.test("doctor --alive tells at once whether a run goes on", async () => {
  await using box = await sandbox();
  const alive = async (...words: string[]) => await box.run(["doctor", "--alive", ...words]);
  const nothing = await alive("--out_dir=run");
  assert.deepEqual([nothing.code, nothing.out], [1, "not alive: there is no run/alive\n"]);
  const run = box.start([
    "train",
    ...TINY,
    "--nproc_per_node=1",
    "--max_iters=1000000",
    "--eval_interval=1000000",
    "--out_dir=run",
  ]);
  await run.says("iter 0:");
  const began = performance.now();
  const going = await alive("--out_dir=run");
  const took = performance.now() - began;
  assert.deepEqual([going.code, going.err], [0, ""]);
  assert.match(going.out, /^alive: heard \d s ago\n$/);
  assert.ok(took < 2_000, `${took} ms`); // 200 ms on a machine that has nothing else to do
  run.kill("SIGKILL");
  await run.ended;
  assert.ok(!isAlive(run.pid));
  const dead = await alive("--out_dir=run", "--json");
  assert.deepEqual(JSON.parse(dead.out), {
    alive: false,
    reason: "the process that made run/alive has ended",
  });
  assert.equal(dead.code, 1);
  assert.equal((await alive()).code, 2);
});

Deno.test("doctor --alive tells of a node that leads no run, by the file that its environment names", async () => {
  await using box = await sandbox();
  await writeKeyFiles(box.path("keys"), makeRunKeys());
  const env = { LOCKSTEP_ALIVE_FILE: box.path("alive") };
  const node = box.start([
    "train",
    ...TINY,
    "--nproc_per_node=1",
    "--nnodes=2",
    "--node_rank=1",
    "--keys=keys",
    `--rdzv_endpoint=127.0.0.1:${freePort()}`,
  ], { env });
  await node.says("join 127.0.0.1");
  const going = await box.run(["doctor", "--alive"], { env });
  assert.deepEqual([going.code, going.err], [0, ""], going.out);
  node.kill("SIGKILL");
  await node.ended;
  const ended = await box.run(["doctor", "--alive"], { env });
  assert.equal(ended.code, 1);
  assert.match(ended.out, /^not alive: the process that made .*alive has ended\n$/);
});

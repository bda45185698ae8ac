/** Several nodes by hand, each a network namespace with a name and an address of its own, with torchrun's flags. */
import assert from "node:assert/strict";
import { cp as copyFolder } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Network } from "../../coordinator/chaos/network.ts";
import { whyNot } from "../../coordinator/chaos/needs.ts";
import {
  type Ended,
  PROGRAM,
  type Program,
  type Sandbox,
  sandbox,
  type StartOptions,
  TINY,
  within,
} from "./support.ts";

const missing = await whyNot(["namespaces"]);
const PORT = 29_500;
/** How long a node waits before it says what is wrong, in seconds. */
const PATIENCE = "--patience=4";

interface Nodes {
  readonly box: Sandbox;
  readonly network: Network;
  /** Trains on a node. */
  train(node: number, words: readonly string[], options?: StartOptions): Program;
}

function nodesTest(name: string, run: (nodes: Nodes) => Promise<void>): void {
  Deno.test({
    name: `nodes: ${name}${missing === null ? "" : ` (skipped: ${missing})`}`,
    ignore: missing !== null,
    async fn() {
      await using network = await Network.make(2);
      await using box = await sandbox();
      assert.equal((await box.run(["keygen", "--out=keys"])).code, 0);
      const train = (node: number, words: readonly string[], options: StartOptions = {}) =>
        box.start(["train", ...TINY, `--keys=${box.path("keys")}`, `--out_dir=run${node}`, ...words], {
          ...options,
          through: [
            ...network.on(node),
            "unshare",
            "--uts",
            "sh",
            "-c",
            'hostname "$0"; exec "$@"',
            `node${node}`,
          ],
        });
      await run({ box, network, train });
    },
  });
}

/** The very words of every node. */
function endpoint(
  { network }: Nodes,
  { nodes = "1:2", host = network.address(0) }: { nodes?: string; host?: string } = {},
): string[] {
  return [`--nnodes=${nodes}`, `--rdzv-endpoint=${host}:${PORT}`];
}

function refused({ code, out, err }: Ended, status: number, ...words: string[]): void {
  assert.equal(code, status, out + err);
  for (const word of words) assert.ok(err.includes(word), `${word} is missing in: ${err}`);
  assert.ok(!err.includes("    at "), `a stack reached a person: ${err}`);
}

async function expected(box: Sandbox): Promise<string> {
  return await box.train("alone", [...TINY, "--nproc_per_node=1"]);
}

for (const first of [0, 1]) {
  nodesTest(
    `the same command on both, node ${first} first, trains with the bits of one process`,
    async (nodes) => {
      const { box, train } = nodes;
      const words = [...endpoint(nodes, { nodes: "2" }), "--nproc-per-node=2", "--log-dir=logs"];
      const one = train(first, words);
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      const ends = await Promise.all([one, train(1 - first, words)].map(({ ended }) => ended));
      for (const { code, out, err } of ends) assert.equal(code, 0, out + err);
      assert.equal(await box.weights("run0"), await expected(box));
      const members = [...Deno.readDirSync(box.path("logs"))].map(({ name }) => name);
      assert.equal(members.filter((name) => name.startsWith("node-")).length, 2, members.join());
      assert.deepEqual(box.leftovers(), []);
    },
  );
}

nodesTest(
  "torchrun's static flags and variables do the same, and a killed worker is started again",
  async (nodes) => {
    const { box, network, train } = nodes;
    const master = [`--master_addr=${network.address(0)}`, `--master_port=${PORT}`];
    const head = train(0, [
      ...master,
      "--nnodes=2",
      "--node_rank=0",
      "--nproc_per_node=1",
      "--chaos=kill:1s",
    ]);
    const env = { MASTER_ADDR: network.address(0), MASTER_PORT: String(PORT), RANK: "1", WORLD_SIZE: "2" };
    const other = train(1, [], { env });
    const ends = await Promise.all([head, other].map(({ ended }) => ended));
    for (const { code, out, err } of ends) assert.equal(code, 0, out + err);
    assert.match(ends[1].err, /node1: 1 worker/);
    assert.equal(await box.weights("run0"), await expected(box));
  },
);

nodesTest("a node starts its worker again when it is killed, and says so", async (nodes) => {
  const { box, train } = nodes;
  const words = [...endpoint(nodes, { nodes: "2" }), "--nproc-per-node=1", "--max_iters=1000000"];
  const [head, node] = [train(0, words), train(1, words)];
  await head.says("iter 10:");
  const [worker] = node.children();
  Deno.kill(worker, "SIGKILL");
  await node.says("is started again");
  const rosters = () =>
    Deno.readTextFileSync(box.path("run0", "log.jsonl")).match(/"members":\["[^"]+","[^"]+"\]/g);
  await within(30_000, () => rosters()?.length === 2, "it is a member again");
  assert.notEqual(node.children()[0], worker);
  head.kill("SIGTERM");
  assert.deepEqual([(await head.ended).code, (await node.ended).code], [130, 130]);
  assert.deepEqual(box.leftovers(), []);
});

nodesTest(
  "a wrong endpoint, a name that nobody knows and a firewall are each said in a sentence",
  async (nodes) => {
    const { network, train } = nodes;
    const wrong = await train(1, [...endpoint(nodes), "--nproc-per-node=1", PATIENCE]).ended;
    refused(wrong, 75, "error E_TOO_FEW: ", "no coordinator answered within 4 s", "firewall");
    const unknown = await train(1, [...endpoint(nodes, { host: "nowhere.invalid" }), PATIENCE]).ended;
    refused(unknown, 75, "error E_RDZV: ", "nowhere.invalid");
    const head = train(0, [...endpoint(nodes), "--nproc-per-node=1", "--min_workers=2", PATIENCE]);
    await network.block(1, 0);
    await network.block(0, 1);
    const hidden = await train(1, [...endpoint(nodes), "--nproc-per-node=1", PATIENCE]).ended;
    refused(hidden, 75, "error E_TOO_FEW: ", "firewall");
    refused(await head.ended, 75, "error E_TOO_FEW: ", "2 are required");
  },
);

nodesTest(
  "Ctrl-C ends a coordinator that waits for nodes, and a node that waits for a coordinator",
  async (nodes) => {
    for (const [node, pauseMs] of [[0, 1_000], [1, 1_000], [1, 0]]) {
      const waiting = nodes.train(node, [...endpoint(nodes, { nodes: "2" }), "--nproc-per-node=1"]);
      await waiting.says(node === 0 ? "run in run0" : "1 worker");
      await new Promise((resolve) => setTimeout(resolve, pauseMs)); // workers listen to signals, or not yet
      waiting.kill("SIGINT");
      refused(await waiting.ended, 130);
    }
    assert.deepEqual(nodes.box.leftovers(), []);
  },
);

nodesTest("a busy port and other keys are each said in a sentence", async (nodes) => {
  const { box, train } = nodes;
  const head = train(0, [...endpoint(nodes), "--nproc-per-node=1", "--max_iters=1000000"]);
  await head.says("iter 0:");
  const second = await train(0, [...endpoint(nodes), "--out_dir=other"]).ended;
  refused(second, 1, `:${PORT}`, "in use");
  await box.run(["keygen", "--out=others"]);
  const stranger = await train(1, [...endpoint(nodes), "--nproc-per-node=1", "--keys=others", PATIENCE])
    .ended;
  refused(stranger, 1, "error E_KEY: ");
  head.kill("SIGTERM");
  const { code, out, err } = await head.ended;
  assert.equal(code, 130, out.slice(-2000) + err);
});

/** A node that is not like the coordinator's is refused on both sides, and the run goes on. */
async function refusesOther(
  nodes: Nodes,
  { words = [], other = {}, more = [] }: {
    words?: readonly string[];
    /** What the second node has besides. */
    more?: readonly string[];
    other?: StartOptions;
  },
  code: string,
): Promise<void> {
  const { box, train } = nodes;
  const all = [...endpoint(nodes), "--nproc-per-node=1", ...words];
  const head = train(0, [...all, "--max_iters=1000000"]);
  await head.says("iter 0:");
  refused(await train(1, [...all, ...more], other).ended, 1, `error ${code}: `);
  await head.says("warning node-");
  assert.ok(head.text.err.includes(code), head.text.err);
  head.kill("SIGTERM");
  const { code: status, out, err } = await head.ended;
  assert.equal(status, 130, out.slice(-2000) + err);
  assert.deepEqual(box.leftovers(), []);
}

nodesTest(
  "a node with another configuration is refused on both sides, and the run goes on",
  (nodes) => refusesOther(nodes, { more: ["--learning_rate=0.5"] }, "E_CONFIG_HASH"),
);

nodesTest("a node with other data is refused on both sides, and the run goes on", async (nodes) => {
  const { box } = nodes;
  const texts = { here: "to be or not to be, ".repeat(500), there: "to not be or to be, ".repeat(500) };
  for (const [name, text] of Object.entries(texts)) {
    await Deno.mkdir(box.path(name));
    await Deno.writeTextFile(box.path(name, "input.txt"), text);
    const prepared = await box.run(["prepare", "input.txt", "--data_dir=data"], { cwd: name });
    assert.equal(prepared.code, 0, prepared.err);
  }
  const train: Nodes["train"] = (node, words, options = {}) =>
    nodes.train(node, words, { cwd: node === 0 ? "here" : "there", ...options });
  const words = ["--dataset=text", "--data_dir=data"];
  await refusesOther({ ...nodes, train }, { words }, "E_CONFIG_HASH");
});

nodesTest("a node with another version is refused on both sides, and the run goes on", async (nodes) => {
  const [root, copy] = [dirname(PROGRAM), nodes.box.path("copy")];
  await Deno.mkdir(copy);
  for (const name of ["coordinator", "worker", "shared"]) {
    await copyFolder(join(root, name), join(copy, name), { recursive: true });
  }
  for (const name of ["mod.ts", "deno.lock"]) await Deno.copyFile(join(root, name), join(copy, name));
  const project = await Deno.readTextFile(join(root, "deno.json"));
  await Deno.writeTextFile(join(copy, "deno.json"), project.replace(/"version": ".*"/, '"version": "9.9.9"'));
  await refusesOther(nodes, { other: { program: join(copy, "mod.ts") } }, "E_VERSION");
});

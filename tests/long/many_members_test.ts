import assert from "node:assert/strict";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { openControlServer } from "../../coordinator/control_server.ts";
import { Group } from "../../coordinator/group.ts";
import { Ledger } from "../../coordinator/ledger.ts";
import { EMPTY_CHAIN } from "../../coordinator/ledger_chain.ts";
import { runStep } from "../../coordinator/step_round.ts";
import { realClock } from "../../shared/clock.ts";
import { parseRunConfig } from "../../shared/config/parse_run_config.ts";
import type { CoordinatorServer } from "../../shared/protocol/channel.ts";
import { createIpcDirectory } from "../../shared/zmq/ipc_directory.ts";

const PROCESSES = 4;
const STEPS = 20;
const V = 64;

const config = parseRunConfig({
  ...{
    dataset: "sort",
    sort: { length: 4 },
    n_layer: 1,
    n_head: 2,
    n_embd: 16,
    block_size: 8,
    batch_size: 1,
  },
  ...{ gradient_accumulation_steps: V, max_iters: 1_000, engine: "onnx", device: "cpu", vocab_size: 17 },
}, { source: "test" });

/** A server that counts the messages of steps. */
function counting(server: CoordinatorServer): { server: CoordinatorServer; count: () => number } {
  let messages = 0;
  return {
    count: () => messages,
    server: {
      endpoint: server.endpoint,
      send: (to, message) => {
        if (message.type !== "BEAT") messages++;
        return server.send(to, message);
      },
      receive: async () => {
        const received = await server.receive();
        if (received !== null && received.message.type !== "BEAT") messages++;
        return received;
      },
      set onGone(tell: ((from: string) => void) | undefined) {
        server.onGone = tell;
      },
      close: () => server.close(),
    },
  };
}

interface Figures {
  readonly members: number;
  readonly messagesPerStep: number;
  readonly coordinatorCpuMs: number;
  readonly stepMs: number;
  readonly stateHash: string | null;
}

/** Trains STEPS steps with so many members; with `kill`, a process of them is killed in between. */
async function train(members: number, { kill }: { kill: boolean }): Promise<Figures> {
  const directory = createIpcDirectory();
  const socket = await openControlServer({ endpoint: directory.endpoint("control") });
  const { server, count } = counting(socket);
  const each = Math.ceil(members / PROCESSES);
  const children = Array.from(
    { length: Math.ceil(members / each) },
    (_, i) =>
      new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "-A", "--quiet", fileURLToPath(import.meta.resolve("./many_members_child.ts"))],
          ...[server.endpoint, directory.endpoint("").slice("ipc://".length), `${i * each}`],
          `${Math.min(each, members - i * each)}`,
        ],
        stdin: "null",
      }).spawn(),
  );
  const group = new Group({
    ...{ server, clock: realClock, epoch: 1, config, configHash: "0".repeat(64), trains: true },
    ...{ expected: members, minMembers: 1, maxMembers: members },
    position: { step: 0, stateHash: null },
    decided: null,
    restore: () => Promise.resolve(null),
    note: () => {},
  });
  const ledger = new Ledger({ append: () => {}, sync: () => Promise.resolve() }, EMPTY_CHAIN);
  try {
    await group.form();
    const run = () => runStep({ group, ledger, config, shouldStop: () => false });
    await run();
    const before = { messages: count(), cpu: process.cpuUsage(), at: performance.now() };
    for (let step = 1; step < STEPS; step++) {
      if (kill && step === STEPS / 2) children[0].kill("SIGKILL");
      await run();
    }
    const cpu = process.cpuUsage();
    const steps = STEPS - 1;
    return {
      members,
      messagesPerStep: (count() - before.messages) / steps,
      coordinatorCpuMs: (cpu.user + cpu.system - before.cpu.user - before.cpu.system) / 1000 / steps,
      stepMs: (performance.now() - before.at) / steps,
      stateHash: group.position.stateHash,
    };
  } finally {
    group.drain();
    await Promise.all(children.map((child) => child.status));
    await server.close();
    directory.remove();
  }
}

Deno.test("64 members form, train and recover on one machine; messages and the coordinator's CPU grow linearly", async () => {
  const figures: Figures[] = [];
  for (const members of [1, 8, 16, 32, 64]) figures.push(await train(members, { kill: false }));
  const recovered = await train(64, { kill: true });
  for (const { members, messagesPerStep, coordinatorCpuMs, stepMs } of figures) {
    console.log(
      `${members} members: ${messagesPerStep} messages and ${
        coordinatorCpuMs.toFixed(2)
      } ms CPU of the coordinator a step, ${stepMs.toFixed(0)} ms a step`,
    );
  }
  assert.equal(new Set([...figures, recovered].map(({ stateHash }) => stateHash)).size, 1, "the same bits");
  for (const { members, messagesPerStep } of figures) assert.equal(messagesPerStep, 4 * members);
  const [, eight, , , all] = figures;
  assert.ok(all.coordinatorCpuMs < 16 * eight.coordinatorCpuMs, "no more than twice linear");
});

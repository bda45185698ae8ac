import assert from "node:assert/strict";
import { openControlServer } from "../../coordinator/control_server.ts";
import { LockstepError } from "../../shared/errors.ts";
import { makeRunKeys } from "../../shared/keys.ts";
import { encodeMessage } from "../../shared/protocol/codec.ts";
import { farewellFrame, isFarewell } from "../../shared/protocol/farewell.ts";
import { fromWorkerSchema, toWorkerSchema } from "../../shared/protocol/messages.ts";
import { makeRoutingId } from "../../shared/protocol/routing_id.ts";
import { createIpcDirectory } from "../../shared/zmq/ipc_directory.ts";
import { Poller } from "../../shared/zmq/poller.ts";
import { Context, type Frame, MAX_FRAMES, type Socket } from "../../shared/zmq/socket.ts";
import { encodeHeader, HEADER_BYTES } from "../../worker/collective/codec.ts";
import type { Link } from "../../worker/collective/link.ts";
import { zmqLinks } from "../../worker/collective/zmq_links.ts";
import { openControlClient } from "../../worker/control_client.ts";
import { ALIVE, DRAIN, leave } from "../shared/protocol/sample_messages.ts";
import { makeWorld } from "../worker/collective/members.ts";
import { anyFrame, anyMessage, Dice } from "./random_frames.ts";

/** What came of frames that were sent: how many were taken, and how many refused by code. */
export interface Outcome {
  taken: number;
  refused: Record<string, number>;
}

/** Right messages, of which wrong ones are made. */
const SAMPLES: Frame[] = [ALIVE, DRAIN, leave("done")].map((message) => encodeMessage(message));

function typesOf(options: readonly { shape: { type: { value: string } } }[]): string[] {
  return options.map(({ shape }) => shape.type.value);
}

async function sendAll(socket: Socket, poller: Poller, frames: Frame[]): Promise<void> {
  while (!socket.trySend(frames)) await poller.wait(100, { writable: [socket] });
}

/**
 * Sends `count` messages of one to many frames to a control server from one socket, and reads what comes of them. Each is
 * either delivered or counted by its code; afterwards an honest worker is served.
 */
export async function fuzzControlServer({ count, seed }: { count: number; seed: number }): Promise<Outcome> {
  const dice = new Dice(seed);
  const types = typesOf(fromWorkerSchema.options);
  const server = await openControlServer();
  const context = new Context(), poller = new Poller(context);
  const stranger = context.socket("dealer", { routingId: makeRoutingId("fuzzer"), linger: 0 });
  stranger.connect(server.endpoint);
  let taken = 0;
  const honest = Promise.withResolvers<void>();
  const reading = (async () => {
    for (let next = await server.receive(); next !== null; next = await server.receive()) {
      if (next.from === "fuzzer") taken++;
      else honest.resolve();
    }
  })();
  const sent = () => taken + [...server.refused.values()].reduce((sum, of) => sum + of, 0);
  for (let i = 0; i < count; i++) {
    const frame = () => dice.below(2) === 0 ? anyFrame(dice, SAMPLES) : anyMessage(dice, types);
    const frames = [frame()];
    while (dice.below(8) === 0 && frames.length < 2 * MAX_FRAMES) frames.push(frame());
    if (frames.length === 1 && isFarewell(frames[0])) frames[0] = new Uint8Array(0); // it would not be counted
    await sendAll(stranger, poller, frames);
    while (stranger.tryReceive() !== null); // the refusals
  }
  while (sent() < count) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    while (stranger.tryReceive() !== null);
  }
  const client = await openControlClient(server.endpoint, { id: "honest" });
  client.send(ALIVE);
  await honest.promise;
  await client.close();
  await poller.close();
  await context.close();
  await server.close();
  await reading;
  assert.equal(sent(), count, `seed ${seed}`);
  return { taken, refused: Object.fromEntries(server.refused) };
}

/** Sends `count` messages to control clients, one after the other until each has refused one. */
export async function fuzzControlClient({ count, seed }: { count: number; seed: number }): Promise<Outcome> {
  const dice = new Dice(seed);
  const types = typesOf(toWorkerSchema.options);
  const directory = createIpcDirectory();
  const context = new Context(), poller = new Poller(context);
  const router = context.socket("router", { linger: 0, routerMandatory: true });
  const endpoint = router.bind(directory.endpoint("control"));
  const outcome: Outcome = { taken: 0, refused: {} };
  for (let sent = 0; sent < count;) {
    const client = await openControlClient(endpoint, { id: "w" });
    const refusal = (async () => {
      while (await client.receive() !== null) outcome.taken++;
    })().catch((error) => error);
    client.send(ALIVE);
    let greeting = router.tryReceive();
    while (greeting === null || isFarewell(greeting[1])) { // the client before this one has said its own
      await poller.wait(100, { readable: [router] });
      greeting = router.tryReceive();
    }
    const [name] = greeting;
    if (dice.below(2) === 0) router.trySend([name, encodeMessage(DRAIN)]);
    // Those that follow the first refused one must be borne, too.
    for (let i = 0; i < 100; i++, sent++) {
      const frame = dice.below(2) === 0 ? anyFrame(dice, SAMPLES) : anyMessage(dice, types);
      while (!router.trySend([name, frame])) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    while (!router.trySend([name, new Uint8Array([7])])) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    const error = await refusal;
    assert.ok(error instanceof LockstepError, `seed ${seed}: ${error}`);
    outcome.refused[error.code] = (outcome.refused[error.code] ?? 0) + 1;
    router.trySend([name, farewellFrame()]); // so that closing need not wait
    await client.close();
  }
  await poller.close();
  await context.close();
  directory.remove();
  return outcome;
}

const NONCE = new Uint8Array(16).fill(7);
const ELEMENTS = 20_000;
const SEGMENT_BYTES = 4 * 16_384; // of the first member's segment

/** A frame of a peer's partial sum: right but for the hash, or wrong in any of its fields. */
function anyGradientFrame(dice: Dice, { step, bucket }: { step: number; bucket: number }): Frame[] {
  const right = dice.below(4) === 0;
  const or = <T>(good: T, ...others: T[]) => right ? good : dice.pick([good, good, good, ...others]);
  const header = new Uint8Array(HEADER_BYTES);
  const length = or(SEGMENT_BYTES, 0, 4 * ELEMENTS - SEGMENT_BYTES, dice.below(2 ** 31));
  encodeHeader({
    nonce: or(NONCE, dice.bytes(16)),
    generation: or(1, 0, 2),
    step: or(step, Math.max(0, step - 1), step + 1),
    attempt: or(0, 1),
    phase: or("partial", "result", "squares"),
    sender: or(1, 0, 7),
    bucket: or(bucket, dice.below(4)),
    offset: or(0, 16_384, dice.below(ELEMENTS)),
    position: null,
    length,
    hash: new Uint32Array([dice.below(2 ** 31), 0, 0, 0]),
  }, header);
  const frames = [right || dice.below(3) > 0 ? header : anyFrame(dice, [header])];
  for (let parts = or(1, 0, 3); parts > 0; parts--) {
    frames.push(new Uint8Array(or(SEGMENT_BYTES, 0, 7, 70_000)));
  }
  return frames;
}

/** Sends `count` frames over a data link to an exchange that begins a step for each. */
export async function fuzzDataLink({ count, seed }: { count: number; seed: number }): Promise<Outcome> {
  const dice = new Dice(seed);
  const directory = createIpcDirectory();
  const endpoints = [directory.endpoint("m0"), directory.endpoint("m1")];
  const links = zmqLinks({ rank: 0, generation: 1, endpoints });
  const link = links.byRank.get(1);
  assert.ok(link !== undefined);
  let received = 0;
  const counting: Link = {
    trySend: () => true,
    tryReceive(header, place) {
      const sizes = link.tryReceive(header, place);
      if (sizes !== null) received++;
      return sizes;
    },
  };
  const { tree, members: [{ exchange }] } = makeWorld([[0], [1]], {
    elements: ELEMENTS,
    nonce: NONCE,
    wrap: (own, rank) =>
      rank === 0
        ? { ...links, byRank: new Map([[1, counting]]), wait: () => own.wait({ from: [], to: [] }) }
        : own,
  });
  const context = new Context(), poller = new Poller(context);
  const peer = context.socket("pair", { linger: 0 });
  peer.connect(`${endpoints[0]}-1-1`);
  const outcome: Outcome = { taken: 0, refused: {} };
  const note = (code: string) => outcome.refused[code] = (outcome.refused[code] ?? 0) + 1;
  for (let step = 0; step < count; step++) {
    exchange.begin({ step, attempt: 0 });
    await sendAll(peer, poller, anyGradientFrame(dice, { step, bucket: tree.leaf(1) }));
    const before = { received, dropped: exchange.dropped.nonce + exchange.dropped.stale };
    try {
      while (received === before.received) {
        if (!exchange.pump()) await links.wait({ from: [1], to: [] });
      }
      if (exchange.dropped.nonce + exchange.dropped.stale > before.dropped) note("dropped");
      else outcome.taken++;
    } catch (error) {
      assert.ok(error instanceof LockstepError, `seed ${seed}, step ${step}: ${error}`);
      note(error.code);
      received = before.received + 1;
    }
  }
  await poller.close();
  await context.close();
  await links.close();
  directory.remove();
  return outcome;
}

/**
 * Opens `count` connections to a control server with keys, and sends each something that begins like a handshake or like
 * nothing. Nothing of it is parsed: neither a message nor a refusal by another code than E_KEY comes of it.
 */
export async function fuzzHandshake({ count, seed }: { count: number; seed: number }): Promise<Outcome> {
  const dice = new Dice(seed);
  const { coordinator, worker } = makeRunKeys();
  const server = await openControlServer({ endpoint: "tcp://127.0.0.1:*", keys: coordinator });
  const port = Number(server.endpoint.split(":").pop());
  const greeting = new Uint8Array(64);
  greeting.set([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1]);
  greeting.set(new TextEncoder().encode("CURVE"), 12);
  const command = (name: string, bytes: Frame) =>
    new Uint8Array([
      4,
      1 + name.length + bytes.length,
      name.length,
      ...new TextEncoder().encode(name),
      ...bytes,
    ]);
  const valid = encodeMessage(ALIVE);
  for (let i = 0; i < count; i++) {
    const hello = new Uint8Array([
      ...greeting,
      ...command("HELLO", new Uint8Array([1, 0, ...dice.bytes(192)])),
    ]);
    const samples = [greeting, hello, new Uint8Array([...greeting, ...command("READY", valid)])];
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await connection.write(anyFrame(dice, samples)).catch(() => {});
    if (dice.below(4) === 0) {
      await connection.write(new Uint8Array([0, valid.length, ...valid])).catch(() => {});
    }
  }
  const client = await openControlClient(server.endpoint, { id: "honest", keys: worker });
  client.send(ALIVE);
  assert.equal((await server.receive())?.from, "honest", `seed ${seed}`);
  while ((server.refused.get("E_KEY") ?? 0) < count) await new Promise((resolve) => setTimeout(resolve, 1));
  await client.close();
  await server.close();
  return { taken: 0, refused: Object.fromEntries(server.refused) };
}

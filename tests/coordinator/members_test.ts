import assert from "node:assert/strict";
import { Members } from "../../coordinator/members.ts";
import { LockstepError } from "../../shared/errors.ts";
import { memoryPair } from "../../shared/protocol/channel.ts";

function oneMember() {
  const { server, client } = memoryPair("worker-0");
  const { promise, reject } = Promise.withResolvers<never>();
  return { members: new Members(server, ["worker-0"], promise), client, server, lose: reject };
}

Deno.test("Members.next() passes over BEAT, and throws a member's ERROR with its code", async () => {
  const { members, client } = oneMember();
  client.send({ type: "BEAT" });
  client.send({ type: "SYNC_GET", epoch: 0, generation: 0, step: 3, index: 1 });
  client.send({ type: "ERROR", code: "E_WEIGHTS", message: "Cannot load" });
  const { from, message } = await members.next();
  assert.deepEqual([from, message.type], ["worker-0", "SYNC_GET"]);
  await assert.rejects(members.next(), { code: "E_WEIGHTS", message: "Cannot load" });
});

Deno.test("Members.next() rejects, whether it waits or is called later, once a member is lost", async () => {
  const { members, lose } = oneMember();
  const waiting = members.next();
  lose(new LockstepError("E_WORKER_DIED", "worker-0 ended"));
  await assert.rejects(waiting, { code: "E_WORKER_DIED" });
  await assert.rejects(members.next(), { code: "E_WORKER_DIED" });
});

Deno.test("Members.next() rejects when members leave, are unknown, or the server closes", async () => {
  const left = oneMember();
  left.client.send({ type: "LEAVE", reason: "SIGTERM" });
  await assert.rejects(left.members.next(), { code: "E_WORKER_DIED", message: /worker-0 left: SIGTERM/ });

  const { server, client } = memoryPair("stranger");
  client.send({ type: "BEAT" });
  const members = new Members(server, ["worker-0"], new Promise(() => {}));
  await assert.rejects(members.next(), { code: "E_RUN", message: /stranger/ });

  const closed = oneMember();
  closed.server.close();
  await assert.rejects(closed.members.next(), { code: "E_TOO_FEW" });
});

Deno.test("Members.gather() gives one message of each member, and refuses what nobody expects", async () => {
  const { members, client } = oneMember();
  const get = { type: "SYNC_GET", epoch: 0, generation: 0, step: 0, index: 0 } as const;
  const applied = { type: "APPLIED", epoch: 0, generation: 0, step: 1, stateHash: "0".repeat(32) } as const;
  client.send(get);
  client.send(applied);
  const meanwhile: string[] = [];
  const gathered = await members.gather("APPLIED", ({ message }) => {
    meanwhile.push(message.type);
  });
  assert.deepEqual([gathered, meanwhile], [[applied], ["SYNC_GET"]]);
  client.send(get);
  await assert.rejects(members.gather("APPLIED"), { code: "E_DECODE", message: /SYNC_GET/ });
});

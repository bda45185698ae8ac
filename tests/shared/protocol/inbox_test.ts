import assert from "node:assert/strict";
import { Inbox } from "../../../shared/protocol/inbox.ts";

Deno.test("Inbox.receive() gives messages in order, to readers in order", async () => {
  const inbox = new Inbox<number>();
  const first = inbox.receive(), second = inbox.receive();
  for (const item of [1, 2, 3]) inbox.push(item);
  assert.equal(inbox.size, 1);
  assert.deepEqual(await Promise.all([first, second, inbox.receive()]), [1, 2, 3]);
});

Deno.test("Inbox.close() ends readers and throws away what waits; finish() lets it be read", async () => {
  const closed = new Inbox<number>(), finished = new Inbox<number>();
  for (const inbox of [closed, finished]) inbox.push(1);
  closed.close();
  finished.finish();
  for (const inbox of [closed, finished]) inbox.push(2);
  assert.deepEqual([await closed.receive(), await closed.receive()], [null, null]);
  assert.deepEqual([await finished.receive(), await finished.receive()], [1, null]);
});

Deno.test("Inbox.fail() rejects after what waits has been read, and again each time", async () => {
  const inbox = new Inbox<number>();
  inbox.push(1);
  inbox.fail(new Error("broken"));
  assert.equal(await inbox.receive(), 1);
  await assert.rejects(inbox.receive(), /broken/);
  await assert.rejects(inbox.receive(), /broken/);
});

Deno.test("Inbox.notify() calls when the reader comes back for more than was added before", async () => {
  const inbox = new Inbox<number>(), told: string[] = [];
  inbox.push(1);
  inbox.notify(() => told.push("after 1"));
  inbox.push(2);
  assert.equal(inbox.size, 3);
  assert.equal(await inbox.receive(), 1);
  assert.equal(told.join(), "");
  assert.equal(await inbox.receive(), 2);
  assert.equal(told.join(), "after 1");
  const waiting = inbox.receive();
  inbox.notify(() => told.push("at once"));
  assert.equal(told.join(), "after 1,at once");
  inbox.close();
  inbox.notify(() => told.push("never"));
  assert.equal(await waiting, null);
  assert.equal(told.join(), "after 1,at once");
});

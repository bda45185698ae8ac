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

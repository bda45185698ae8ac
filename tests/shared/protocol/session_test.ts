import assert from "node:assert/strict";
import fc from "fast-check";
import { newSessionId, Session } from "../../../shared/protocol/session.ts";

interface Text {
  readonly text: string;
}

const pair = () => {
  const id = newSessionId();
  return { a: new Session<Text, Text>(id), b: new Session<Text, Text>(id) };
};

Deno.test("Session delivers all messages once and in order over a transport that loses, repeats and reorders them", () => {
  const fate = fc.constantFrom("arrives", "is lost", "comes twice", "comes late");
  fc.assert(fc.property(fc.array(fate, { minLength: 1, maxLength: 60 }), (fates) => {
    const { a, b } = pair();
    const taken: string[] = [];
    const receive = (sealed: ReturnType<typeof a.seal>) => {
      if (b.accept(sealed)) taken.push(sealed.text);
    };
    const late: ReturnType<typeof a.seal>[] = [];
    fates.forEach((what, i) => {
      const sealed = a.seal({ text: `${i}` }, i);
      if (what === "arrives" || what === "comes twice") receive(sealed);
      if (what === "comes twice") receive(sealed);
      if (what === "comes late") late.push(sealed);
    });
    late.forEach(receive);
    // Whoever hears the other sends again what it has not confirmed.
    for (let round = 1; round <= 2; round++) {
      a.accept(b.sealLoose({ text: "beat" }));
      a.overdue(1_000_000 * round).forEach(receive);
    }
    assert.deepEqual(taken, fates.map((_, i) => `${i}`));
    a.accept(b.sealLoose({ text: "beat" }));
    assert.deepEqual(a.overdue(9_000_000), []);
  }));
});

Deno.test("Session.overdue() sends nothing again before 0.8 s have passed, nor twice within them", () => {
  const { a } = pair();
  a.seal({ text: "x" }, 0);
  assert.equal(a.overdue(799).length, 0);
  assert.equal(a.overdue(800).length, 1);
  assert.equal(a.overdue(1_500).length, 0);
  assert.equal(a.overdue(1_600).length, 1);
});

Deno.test("Session.overdue() sends 256 KiB again, and what exceeds them", () => {
  const { a } = pair();
  const piece = { text: "piece", bytes: new Uint8Array(100 << 10) };
  for (let i = 0; i < 20; i++) a.seal(piece, 0);
  assert.equal(a.overdue(1_000).length, 3);
});

Deno.test("Session.overdue() sends nothing again while some of it is confirmed, however slowly", () => {
  const { a, b } = pair();
  const sealed = Array.from({ length: 10 }, (_, i) => a.seal({ text: `${i}` }, 0));
  sealed.forEach((each, i) => {
    b.accept(each);
    a.accept(b.sealLoose({ text: "beat" }));
    assert.equal(a.overdue(700 * (i + 1)).length, 0);
  });
  a.seal({ text: "lost" }, 9_000);
  assert.equal(a.overdue(9_799).length, 0);
  assert.equal(a.overdue(9_800).length, 1);
});

Deno.test("Session.room() holds back who sends more than 32 MiB that are not confirmed", async () => {
  const { a, b } = pair();
  const piece = { text: "piece", bytes: new Uint8Array(20 << 20) };
  const first = a.seal(piece, 0);
  await a.room();
  const second = a.seal(piece, 0);
  let hasRoom = false;
  const waiting = a.room().then(() => hasRoom = true);
  await Promise.resolve();
  assert.equal(hasRoom, false);
  b.accept(first);
  b.accept(second);
  a.accept(b.sealLoose({ text: "beat" }));
  await waiting;
});

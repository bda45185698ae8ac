import assert from "node:assert/strict";
import { blame, STALL_MS } from "../../coordinator/blame.ts";

const stuck = (id: string, ...waitsFor: string[]) => ({ id, waitsFor, idleMs: STALL_MS });

Deno.test("blame() accuses nobody while anyone makes progress: a slow member is waited for", () => {
  assert.equal(blame([]), null);
  assert.equal(blame([stuck("a", "b"), { id: "b", waitsFor: [], idleMs: STALL_MS - 1 }]), null);
});

Deno.test("blame() accuses the one that waits on nobody", () => {
  assert.deepEqual(blame([stuck("a", "c"), stuck("b", "c", "a"), stuck("c")]), {
    id: "c",
    why: "it made no progress for 10 s and waits on nobody",
  });
});

Deno.test("blame() accuses on a cycle whom most name, of several the last, and names the link", () => {
  assert.deepEqual(blame([stuck("a", "b"), stuck("b", "a"), stuck("c", "a")]), {
    id: "a",
    why: "nothing moved for 10 s on the link between a and b, c",
  });
  assert.deepEqual(blame([stuck("a", "b"), stuck("b", "a")])?.id, "b");
});

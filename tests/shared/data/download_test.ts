import assert from "node:assert/strict";
import { download } from "../../../shared/data/download.ts";

Deno.test("download() tells how many bytes have come, of how many where the server says so", async () => {
  const body = new Uint8Array(300_000).fill(7);
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    ({ url }) =>
      new URL(url).pathname === "/known"
        ? new Response(body, { headers: { "content-length": String(body.length) } })
        : new Response(new Blob([body]).stream()),
  );
  for (const [name, total] of [["known", body.length], ["unknown", null]] as const) {
    const told: [number, number | null][] = [];
    const path = await download(`http://127.0.0.1:${server.addr.port}/${name}`, (...at) => told.push(at));
    assert.deepEqual(await Deno.readFile(path), body);
    await Deno.remove(path);
    const whole = told.pop();
    assert.deepEqual(whole, [body.length, body.length]);
    assert.ok(told.length > 0 && told.every(([, of]) => of === total), `${told}`);
    assert.deepEqual(told, told.toSorted(([a], [b]) => a - b));
  }
});

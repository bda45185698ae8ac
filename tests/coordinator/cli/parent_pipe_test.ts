import assert from "node:assert/strict";
import { ParentPipe } from "../../../coordinator/cli/parent_pipe.ts";

function pipe(...pieces: string[]): ReadableStream<Uint8Array> {
  return ReadableStream.from(pieces.map((piece) => new TextEncoder().encode(piece)));
}

Deno.test("ParentPipe.firstLine() joins the pieces of the first line, and ended() follows the rest", async () => {
  const parent = new ParentPipe(pipe('{"rol', 'e":"é"}\nmore', "and more"));
  assert.equal(await parent.firstLine(), '{"role":"é"}');
  await parent.ended();
});

Deno.test("ParentPipe.firstLine() refuses a pipe that ends before a line does, or that has no end", async () => {
  await assert.rejects(new ParentPipe(pipe("half a line")).firstLine(), { code: "E_KEY" });
  await assert.rejects(new ParentPipe(pipe()).firstLine(), { code: "E_KEY" });
  const endless = new ReadableStream<Uint8Array>({ pull: (queue) => queue.enqueue(new Uint8Array(9_999)) });
  await assert.rejects(new ParentPipe(endless).firstLine(), { code: "E_KEY" });
});

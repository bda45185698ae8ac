import { decodeFromWorker, decodeToWorker, encodeMessage } from "../shared/protocol/codec.ts";
const at = { epoch: 0, generation: 1, step: 3, index: 0, session: "a".repeat(32), seq: 3, ack: 3 };
const bytes = new Uint8Array(256 << 10);
for (let r = 0; r < 4; r++) {
  const T = [0, 0, 0, 0];
  for (let i = 0; i < 33; i++) {
    let t = performance.now(); const copy = bytes.slice(); T[0] += performance.now() - t;
    t = performance.now(); const f = encodeMessage({ type: "SYNC_DATA", ...at, bytes: copy }); T[1] += performance.now() - t;
    t = performance.now(); decodeFromWorker(f); T[2] += performance.now() - t;
  }
  console.log(T.map((x) => (x / 33).toFixed(3)).join(" "));
}

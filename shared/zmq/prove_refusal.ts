import { LockstepError } from "../errors.ts";
import { curveClient, makeKeyPair } from "./curve.ts";
import { Monitor } from "./monitor.ts";
import { Poller } from "./poller.ts";
import { Context } from "./socket.ts";

const LIMIT_MS = 5_000;
const ANY_HOST = /^tcp:\/\/(?:0\.0\.0\.0|\[::\]|\*):/;

/**
 * Connects to a bound CURVE socket, whose ZAP handler must be at work, with a key that nobody can have admitted, and
 * resolves when it was refused. Rejects with `LockstepError` E_KEY if it was admitted, or if nothing came of it in 5 s:
 * then nothing may go on, as the socket might be open to all.
 */
export async function proveRefusal(endpoint: string, { serverKey }: { serverKey: string }): Promise<void> {
  const context = new Context();
  const poller = new Poller(context);
  try {
    const stranger = context.socket("dealer", { linger: 0, ...curveClient(makeKeyPair(), serverKey) });
    const monitor = new Monitor(context, { watched: stranger, kinds: ["ready", "refused"] });
    stranger.connect(endpoint.replace(ANY_HOST, "tcp://127.0.0.1:"));
    await poller.wait(LIMIT_MS, { readable: [monitor.socket] });
    const outcome = monitor.tryReceive()?.kind;
    if (outcome === "refused") return;
    const seen = outcome === undefined ? "was not refused" : "was admitted";
    throw new LockstepError(
      "E_KEY",
      `Cannot listen on ${endpoint} as a key that nobody knows ${seen}: connections must be refused before anything is read`,
    );
  } finally {
    await poller.close();
    await context.close();
  }
}

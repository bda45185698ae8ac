import { LockstepError } from "../../shared/errors.ts";
import { sendSignal } from "../../shared/send_signal.ts";

const KINDS = ["kill", "stall"] as const;

/** A fault that comes again and again. */
export interface Injection {
  readonly kind: typeof KINDS[number];
  readonly everyMs: number;
}

/** How long a stalled worker is stopped, in ms: longer than a member may be silent. */
const STALL_MS = 15_000;

/** Parses `--chaos=kill:10s,stall:30s`. Throws E_CONFIG. */
export function parseChaos(text: string): Injection[] {
  return text.split(",").map((part) => {
    const [, kind, amount, unit] = /^([a-z]+):(\d+(?:\.\d+)?)(ms|s|m)$/.exec(part.trim()) ?? [];
    const known = KINDS.find((name) => name === kind);
    const everyMs = Number(amount) * ({ ms: 1, s: 1_000, m: 60_000 }[unit] ?? NaN);
    if (known === undefined || !(everyMs > 0)) {
      throw new LockstepError(
        "E_CONFIG",
        `Cannot inject ${part} as --chaos takes faults and how often they come, such as kill:10s,stall:30s: known are ${
          KINDS.join(", ")
        }`,
      );
    }
    return { kind: known, everyMs };
  });
}

export interface ChaosOptions {
  /** The workers' processes as they are now, by id. */
  pids(): ReadonlyMap<string, number>;
  note(event: string, fields: Record<string, unknown>): void;
}

/** Does to random workers what `injections` say, until the returned function is called: then all run again. */
export function startChaos(injections: readonly Injection[], { pids, note }: ChaosOptions): () => void {
  const stalled = new Map<number, ReturnType<typeof setTimeout>>();
  const wake = (pid: number) => {
    clearTimeout(stalled.get(pid));
    stalled.delete(pid);
    sendSignal(pid, "SIGCONT");
  };
  const inject = (kind: Injection["kind"]) => {
    const running = [...pids()].filter(([, pid]) => !stalled.has(pid));
    const chosen = running[Math.floor(Math.random() * running.length)];
    if (chosen === undefined) return;
    const [id, pid] = chosen;
    note("chaos", { kind, id, pid });
    if (kind === "kill") return sendSignal(pid, "SIGKILL");
    sendSignal(pid, "SIGSTOP");
    stalled.set(pid, setTimeout(() => wake(pid), STALL_MS));
  };
  const timers = injections.map(({ kind, everyMs }) => setInterval(() => inject(kind), everyMs));
  return () => {
    for (const timer of timers) clearInterval(timer);
    for (const pid of [...stalled.keys()]) wake(pid);
  };
}

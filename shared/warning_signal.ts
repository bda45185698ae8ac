import inspector from "node:inspector";

/** How long after the signal Deno may take to open its debugger, in ms. */
const OPENS_WITHIN_MS = 2_000;
const LOOK_MS = 5;

/**
 * Calls `listener` for each SIGUSR1, by which Slurm warns all processes of a job before its time is over; the function that is
 * returned ends that. Deno opens a debugger on this signal, which whoever has a process on this machine may use: it is closed
 * again at once.
 */
export function onWarningSignal(listener: () => void): () => void {
  const handle = () => {
    closeDebugger();
    listener();
  };
  Deno.addSignalListener("SIGUSR1", handle);
  return () => Deno.removeSignalListener("SIGUSR1", handle);
}

async function closeDebugger(): Promise<void> {
  for (const end = Date.now() + OPENS_WITHIN_MS; inspector.url() === undefined && Date.now() < end;) {
    await new Promise((resolve) => Deno.unrefTimer(setTimeout(resolve, LOOK_MS)));
  }
  if (inspector.url() !== undefined) inspector.close();
}

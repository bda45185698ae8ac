import { EXIT } from "../../shared/errors.ts";
import { onWarningSignal } from "../../shared/warning_signal.ts";

/** What a person or a launcher wants of a run that is under way. */
export interface Interrupt {
  /** Aborted once the run is to end after the step under way. */
  readonly signal: AbortSignal;
  /** Whether that is by SIGUSR1, by which Slurm tells that the job's time is nearly over. */
  readonly isWarning: boolean;
  /** Leaves the signals to others. */
  end(): void;
}

/** Signals so close together are one: a terminal and a launcher may each pass it on, in ms. */
const ECHO_MS = 200;

/**
 * Listens to Ctrl-C, SIGTERM and SIGUSR1: the first ends the run after the step under way, another one at once, except that
 * Slurm repeats what it sends, and kills by itself what takes too long.
 */
export function interruptible({ underSlurm }: { underSlurm: boolean }): Interrupt {
  const controller = new AbortController();
  const { signal } = controller;
  let isWarning = false;
  let began = -Infinity;
  const stop = (warning: boolean) => {
    if (signal.aborted) return;
    console.error(
      `\ninterrupted: finishing the step and saving${underSlurm ? "" : "; once more ends at once"}`,
    );
    isWarning = warning;
    began = performance.now();
    controller.abort();
  };
  const interrupted = () => {
    if (!signal.aborted) return stop(false);
    if (performance.now() - began > ECHO_MS) Deno.exit(EXIT.interrupted);
  };
  const terminated = () => underSlurm ? stop(false) : interrupted();
  const endWarning = onWarningSignal(() => stop(true));
  Deno.addSignalListener("SIGINT", interrupted);
  Deno.addSignalListener("SIGTERM", terminated);
  return {
    signal,
    get isWarning() {
      return isWarning;
    },
    end() {
      endWarning();
      Deno.removeSignalListener("SIGINT", interrupted);
      Deno.removeSignalListener("SIGTERM", terminated);
    },
  };
}

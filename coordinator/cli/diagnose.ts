import type { RunConfig } from "../../shared/config/run_config.ts";
import { EXIT, LockstepError } from "../../shared/errors.ts";
import { readCoordinatorKeys } from "../../shared/key_files.ts";
import { type CheckResult, runCheck, type Status } from "../doctor/check.ts";
import { openMeasureServer } from "../doctor/measure_server.ts";
import { rendezvousEndpoint } from "../launch/rendezvous.ts";
import { doctorChecks } from "./doctor_checks.ts";
import { resolveTrainConfig } from "./resolve_train_config.ts";
import { planRun } from "./run_plan.ts";

export interface DiagnoseOptions {
  readonly json: boolean;
  /** HOST:PORT of another node, or where to listen. */
  readonly endpoint: string | null;
  /** Options of the command itself. */
  readonly otherNames: readonly string[];
}

/** Runs all checks for what `train WORDS` would start, prints them, and resolves to the exit status. */
export async function diagnose(
  words: readonly string[],
  { json, endpoint, otherNames }: DiagnoseOptions,
): Promise<number> {
  const { config, preset, given, notes } = await resolveTrainConfig(words, { otherNames, onlyLooks: true });
  for (const note of notes) console.error(`note ${note}`);
  const context = { config, plan: planRun(config, { preset }) };
  const colours = Deno.stdout.isTerminal() && !Deno.noColor;
  const results: CheckResult[] = [];
  // One after the other: some measure, and would be in each other's way.
  for (const check of await doctorChecks(config, { endpoint, namesMeeting: given.has("rdzv_endpoint") })) {
    const result = await runCheck(check, context);
    results.push(result);
    if (!json) console.log(describeResult(result, { colours }));
  }
  const checks = results.map(({ name, status, detail, fix }) => ({ name, status, detail, fix }));
  if (json) console.log(JSON.stringify({ checks }));
  return results.some(({ status }) => status === "failure") ? EXIT.failure : 0;
}

const WORDS: Record<Status, { word: string; colour: number }> = {
  ok: { word: "ok", colour: 32 },
  warning: { word: "warn", colour: 33 },
  failure: { word: "FAIL", colour: 31 },
};

/** `ok   deno      2.9.6`; what is not well has a second line that says what to do. */
export function describeResult(
  { name, status, detail, fix }: CheckResult,
  { colours }: { colours: boolean },
): string {
  const { word, colour } = WORDS[status];
  const mark = colours ? `\x1b[${colour}m${word.padEnd(4)}\x1b[0m` : word.padEnd(4);
  const line = `${mark} ${name.padEnd(9)} ${detail}`;
  return fix === null ? line : `${line}\n${" ".repeat(15)}fix: ${fix}`;
}

/** Listens for the doctors of other nodes, with the run's keys, until this process is told to end. */
export async function serveDoctors(
  words: readonly string[],
  { endpoint, otherNames }: DiagnoseOptions,
): Promise<void> {
  if (endpoint === null) {
    throw new LockstepError(
      "E_USAGE",
      "Cannot serve without a place to listen at: give --endpoint=HOST:PORT",
    );
  }
  const { config } = await resolveTrainConfig(words, { otherNames, onlyLooks: true });
  const server = await openMeasureServer({
    endpoint: listeningAt(endpoint, config),
    keys: config.keys === null ? undefined : await readCoordinatorKeys(config.keys),
  });
  console.log(`doctor answers at ${server.endpoint}; to end it, press Ctrl-C`);
  await toldToEnd();
  await server.close();
}

/** libzmq listens on addresses, not on names: on all of them where a name is given. */
function listeningAt(at: string, { keys, insecure }: RunConfig): string {
  const endpoint = rendezvousEndpoint(at, { keys: keys !== null, insecure });
  return endpoint.replace(/^tcp:\/\/[^[:]*[A-Za-z][^:]*:/, "tcp://*:");
}

function toldToEnd(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, () => resolve());
  return promise;
}

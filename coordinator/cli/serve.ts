import { join } from "node:path";
import { about, optional, text, wholeNumber } from "../../shared/config/kinds.ts";
import { LockstepError } from "../../shared/errors.ts";
import { isSavedRun } from "../../shared/saved_run.ts";
import { openPageToken } from "../dashboard/page_token.ts";
import { openDashboard } from "../dashboard/server.ts";
import { defineCommand } from "./command.ts";
import { OF_RUN } from "./page_process.ts";
import { ParentPipe } from "./parent_pipe.ts";

/** `serve RUN…`: a page that shows runs, as they go on or afterwards. */
export const command = defineCommand({
  summary: "Show runs on a page: curves, workers, samples, and commands to one that goes on",
  usage: "RUN|FOLDER OF RUNS…",
  options: {
    port: optional(wholeNumber(0, 65_535)).default(null).register(about, {
      help: "TCP port of the page; none is the first free one from 6006 on",
    }),
    host: text("an address of this machine").default("127.0.0.1").register(about, {
      help: "Address to listen on; one that other machines reach needs --token",
    }),
    token: optional(text("a path")).default(null).register(about, {
      help: "File (mode 0600) with the secret that the page asks for; one is made where there is none",
    }),
  },
  example: "lockstep serve out/shakespeare-char out/shakespeare-char-2",
  async run({ options, words }) {
    const runs = (await Promise.all(words.map(runsAt))).flat();
    if (runs.length === 0) {
      throw new LockstepError(
        "E_USAGE",
        "Cannot serve as a run is required, its directory or a folder of runs: none is given",
      );
    }
    const token = options.token === null ? null : await openPageToken(options.token);
    const dashboard = await openDashboard({ runs, host: options.host, port: options.port, token });
    console.log(`page: ${dashboard.url}`);
    await asked();
    await dashboard.close();
    return 0;
  },
});

/** Resolves when the page is to end: by Ctrl-C; that of a run, which gets the same Ctrl-C, when the run is over. */
async function asked(): Promise<void> {
  const signals = Deno.env.has(OF_RUN) ? ["SIGTERM"] as const : ["SIGINT", "SIGTERM"] as const;
  const { promise, resolve } = Promise.withResolvers<void>();
  if (Deno.env.has(OF_RUN)) {
    Deno.addSignalListener("SIGINT", () => {});
    new ParentPipe().ended().then(resolve);
  }
  for (const signal of signals) Deno.addSignalListener(signal, resolve);
  await promise;
}

/** The run in a folder, or those in its folders. */
async function runsAt(path: string): Promise<string[]> {
  if (await isSavedRun(path)) return [path];
  const found: string[] = [];
  try {
    for await (const { name } of Deno.readDir(path)) {
      if (await isSavedRun(join(path, name))) found.push(join(path, name));
    }
  } catch (cause) {
    throw new LockstepError("E_OUT_DIR", `Cannot serve ${path} as it is no folder that can be read`, {
      cause,
    });
  }
  if (found.length > 0) return found.sort(new Intl.Collator("en", { numeric: true }).compare);
  throw new LockstepError(
    "E_OUT_DIR",
    `Cannot serve ${path} as it holds no run with a config.toml, and no folder that does`,
  );
}

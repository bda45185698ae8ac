import { LockstepError } from "../../shared/errors.ts";
import { programArguments } from "../../shared/own_process.ts";

/** Set for a page that a run has started: it ends with its standard input, that is with the run. */
export const OF_RUN = "LOCKSTEP_PAGE_OF_RUN";

/** The page of a run that goes on, in a process of its own: it reads the run's files, and costs training nothing. */
export interface PageProcess {
  readonly url: string;
  close(): Promise<void>;
}

const PERMISSIONS = [
  "--allow-read",
  "--allow-write",
  "--allow-env",
  "--allow-sys",
  "--allow-ffi",
  "--allow-net",
];
/** V8 takes less memory, and more time while it reads what there is. */
const RUN_OPTIONS = ["--v8-flags=--optimize-for-size,--max-semi-space-size=1"];
const ADDRESS = /^page: (http:\S+)$/m;

/** Starts `serve` on the run in `runDir`. Rejects with E_USAGE, E_KEY, … where it does not open, which it has said itself. */
export async function openPageProcess(runDir: string, words: readonly string[]): Promise<PageProcess> {
  const child = new Deno.Command(Deno.execPath(), {
    args: programArguments(["serve", runDir, ...words], {
      permissions: PERMISSIONS,
      runOptions: RUN_OPTIONS,
    }),
    env: { [OF_RUN]: "1" },
    ...{ stdin: "piped", stdout: "piped", stderr: "inherit" },
  }).spawn();
  let said = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    said += text;
    const [, url] = ADDRESS.exec(said) ?? [];
    if (url === undefined) continue;
    return {
      url,
      async close() {
        await child.stdin.close().catch(() => {}); // it may have ended by itself
        await child.status;
      },
    };
  }
  const { code } = await child.status;
  throw new LockstepError("E_RUN", `Cannot open the page of ${runDir} as its process ended with ${code}`);
}

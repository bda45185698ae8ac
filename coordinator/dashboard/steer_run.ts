import { LockstepError } from "../../shared/errors.ts";
import { isLoopback } from "./loopback.ts";

export interface PageCommand {
  readonly name: string;
  readonly words: readonly string[];
  /** Where it came from. */
  readonly remote: Deno.Addr;
}

/** What a run answered, or why it refused. */
export type PageAnswer =
  | { readonly text: string; readonly value: unknown }
  | { readonly code: string; readonly message: string };

/** A checkpoint or an estimate is waited for, in ms. */
const ANSWER_MS = 120_000;

/** Has the run in a directory do what a page asks for, as a console would. */
export async function steerRun(dir: string, { name, words, remote }: PageCommand): Promise<PageAnswer> {
  // ZeroMQ is loaded for those who steer: to look, nobody needs it.
  const { connectToRun } = await import("../steering/connect_to_run.ts");
  const { whoIsHere } = await import("../steering/steering_client.ts");
  try {
    const client = await connectToRun(dir);
    try {
      const by = `${whoIsHere()} by page${fromWhere(remote)}`;
      const { text, value } = await client.ask(name, { words, by, signal: AbortSignal.timeout(ANSWER_MS) });
      return { text, value };
    } finally {
      await client.close();
    }
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error;
    return { code: error.code, message: error.message };
  }
}

function fromWhere(remote: Deno.Addr): string {
  return remote.transport !== "tcp" || isLoopback(remote.hostname) ? "" : ` from ${remote.hostname}`;
}

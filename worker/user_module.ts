import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { type ErrorCode, LockstepError } from "../shared/errors.ts";

export interface UserModuleOptions {
  /** What it is to be: "model", "engine". */
  readonly what: string;
  readonly code: ErrorCode;
  /** Functions that it must export, as a person would write them: `open(options)`. */
  readonly functions: readonly string[];
}

/** Imports a module of the user's own and checks that it exports what is needed. Throws `code` where it does not. */
export async function importUserModule(
  path: string,
  { what, code, functions }: UserModuleOptions,
): Promise<Record<string, unknown>> {
  let exported: Record<string, unknown>;
  try {
    exported = await import(pathToFileURL(resolve(path)).href);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
    throw new LockstepError(code, `Cannot load the ${what} ${path}: ${reason}`, { cause });
  }
  const missing = functions.filter((form) =>
    typeof exported[form.slice(0, form.indexOf("("))] !== "function"
  );
  if (missing.length === 0) return exported;
  throw new LockstepError(
    code,
    `Cannot use ${path} as ${what === "engine" ? "an" : "a"} ${what}: it must export the ${
      functions.length > 1 ? "functions" : "function"
    } ${functions.join(" and ")}, and exports ${Object.keys(exported).join(", ") || "nothing"}`,
  );
}

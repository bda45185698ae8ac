import { LockstepError } from "../../shared/errors.ts";
import { showsProgress } from "./progress.ts";

export interface PipInstall {
  /** What is set up, as a refusal names it. */
  readonly what: string;
  /** The folder that the packages are unpacked into. */
  readonly folder: string;
  /** `name==version`; what they depend on is not fetched. */
  readonly packages: readonly string[];
  readonly quiet?: boolean;
}

/**
 * Unpacks PyPI's packages into a folder with pip, of the interpreter in PYTHON, else python3. No Python is needed after
 * that. Throws E_ENGINE where pip is not there or fails.
 */
export async function pipInstall({ what, folder, packages, quiet }: PipInstall): Promise<void> {
  // On a terminal pip draws its own bars.
  const silence = showsProgress({ stream: "stdout", quiet }) ? [] : ["--quiet"];
  const options = [...silence, "--disable-pip-version-check", "--no-deps", "--upgrade", "--target", folder];
  const python = Deno.env.get("PYTHON") ?? "python3";
  await runSetup(what, [python, "-m", "pip", "install", ...options, ...packages]);
}

/** Runs a program to its end for a set-up; its own output says what went wrong. Throws E_ENGINE unless it ends well. */
export async function runSetup(what: string, [program, ...args]: readonly string[]): Promise<void> {
  try {
    const { success, code } = await new Deno.Command(program, { args, stdin: "null" }).spawn().status;
    if (success) return;
    throw new LockstepError("E_ENGINE", `Cannot set up ${what}: ${program} ended with status ${code}`);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new LockstepError(
      "E_ENGINE",
      `Cannot set up ${what}: ${program} is required and is not installed`,
      {
        cause,
      },
    );
  }
}

/** The interpreter that tests of Python files take: LOCKSTEP_TEST_PYTHON, or python3. */
export const PYTHON = Deno.env.get("LOCKSTEP_TEST_PYTHON") ?? "python3";

/** Runs Python; a missing interpreter is a failure. */
export async function python(
  args: readonly string[],
  { cwd, env }: { cwd?: string; env?: Record<string, string> } = {},
): Promise<{ success: boolean; out: string; err: string }> {
  try {
    const command = new Deno.Command(PYTHON, { args: [...args], cwd, env: { HF_HUB_OFFLINE: "1", ...env } });
    const { success, stdout, stderr } = await command.output();
    const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    return { success, out, err };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return { success: false, out: "", err: `${PYTHON} is not there` };
  }
}

/**
 * What a test's definition says where Python lacks one of `modules`: that it is skipped, and why. `.ci/run` installs the small
 * ones; torch with its libraries is larger than all that CI fetches, so its tests run where LOCKSTEP_TEST_PYTHON has it.
 */
export async function needing(
  modules: readonly string[],
  name: string,
): Promise<{ name: string; ignore: boolean }> {
  const find = `import importlib.util as u, sys; sys.exit(not all(u.find_spec(m) for m in ${
    JSON.stringify(modules)
  }))`;
  const { success } = await python(["-c", find]);
  if (success) return { name, ignore: false };
  return { name: `${name} (skipped: ${PYTHON} lacks one of ${modules.join(", ")})`, ignore: true };
}

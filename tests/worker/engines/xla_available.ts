/** Whether this machine is set up for the engine xla on a CPU; tests that need it are left out elsewhere. */
export const XLA_AVAILABLE = (Deno.env.get("LOCKSTEP_TEST_ENGINES") ?? "").split(",").includes("xla");

/** The end of the title of a test that is left out. */
export const XLA_SKIPPED = XLA_AVAILABLE
  ? ""
  : " (skipped: needs deno task setup-xla, and xla in LOCKSTEP_TEST_ENGINES)";

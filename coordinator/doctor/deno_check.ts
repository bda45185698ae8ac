import { type Check, ok, warning } from "./check.ts";

/** The version that all is tested with. */
const TESTED = "2.9.6";

/** Deno's version against the one that Lockstep is tested with. */
export function denoCheck({ version = Deno.version.deno }: { version?: string } = {}): Check {
  return {
    name: "deno",
    run() {
      if (isOlder(version, TESTED)) {
        return Promise.resolve(
          warning(`${version}, and ${TESTED} is what is tested`, `npm install -g deno@${TESTED}`),
        );
      }
      return Promise.resolve(ok(version));
    },
  };
}

function isOlder(version: string, than: string): boolean {
  const [a, b] = [version, than].map((text) => text.split(/[.+-]/).map(Number));
  const at = b.findIndex((part, i) => part !== a[i]);
  return at >= 0 && !(a[at] > b[at]);
}

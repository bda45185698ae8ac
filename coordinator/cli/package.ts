/**
 * `deno task package [--out=FOLDER]`: packs the program for npm as `lockstep-VERSION.tgz`, which
 * `npm install --global ./lockstep-VERSION.tgz` turns into the command `lockstep`. The package brings Deno by depending on
 * the npm package `deno`; it carries the sources and the lock file, and no package of theirs. Needs npm.
 */
import { join, resolve } from "node:path";
import project from "../../deno.json" with { type: "json" };
import { LockstepError } from "../../shared/errors.ts";
import { SOURCES } from "../../shared/own_process.ts";

/** What `deno run mod.ts` needs of the sources, and the launcher. */
const PROGRAM = ["deno.json", "deno.lock", "mod.ts", "coordinator", "worker", "shared", "deploy/npm"];

/** What people read. */
const TEXTS = ["README.md", "LICENSE", "docs"];

/** The sources lie in a folder of their own: Deno takes a package.json beside deno.json for a list of imports. */
const FOLDER = "lib";

/** The manifest of the package, of what deno.json says. */
export function packageManifest(denoVersion: string): Record<string, unknown> {
  const { name, version, description, license } = project;
  return {
    ...{ name, version, description, license },
    type: "module",
    bin: { [name]: `${FOLDER}/deploy/npm/launcher.mjs` },
    files: [FOLDER, "docs"],
    engines: { node: ">=18" },
    dependencies: { deno: denoVersion },
  };
}

/** Packs the program into `out`, with the Deno that packs it, and resolves to the path of the archive. Throws E_USAGE without npm. */
export async function pack(out: string): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "lockstep-package-" });
  try {
    for (const path of PROGRAM) await copy(join(SOURCES, path), join(folder, FOLDER, path));
    for (const path of TEXTS) await copy(join(SOURCES, path), join(folder, path));
    const manifest = packageManifest(Deno.version.deno);
    await Deno.writeTextFile(join(folder, "package.json"), JSON.stringify(manifest, null, 2) + "\n");
    await Deno.mkdir(out, { recursive: true });
    await npmPack(folder, out);
    return join(out, `${project.name}-${project.version}.tgz`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Copies a file, or a folder with all that is in it. */
async function copy(from: string, to: string): Promise<void> {
  await Deno.mkdir(join(to, ".."), { recursive: true });
  if ((await Deno.stat(from)).isFile) return await Deno.copyFile(from, to);
  for await (const { name } of Deno.readDir(from)) await copy(join(from, name), join(to, name));
}

async function npmPack(folder: string, out: string): Promise<void> {
  const npm = new Deno.Command("npm", {
    args: ["pack", "--silent", "--offline", `--pack-destination=${out}`],
    cwd: folder,
    stdout: "null",
    stderr: "inherit",
  });
  const { success, code } = await npm.output().catch((cause) => {
    throw new LockstepError("E_USAGE", "Cannot pack the program as npm is required and is not there", {
      cause,
    });
  });
  if (!success) {
    throw new LockstepError("E_OUT_DIR", `Cannot pack the program into ${out}: npm ended with ${code}`);
  }
}

if (import.meta.main) {
  const [, out] = /^--out=(.+)$/.exec(Deno.args[0] ?? "--out=.") ?? [];
  if (out === undefined) {
    console.error("error E_USAGE: Cannot pack the program: the only option is --out=FOLDER");
    Deno.exit(2);
  }
  try {
    console.log(await pack(resolve(out)));
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error;
    console.error(`error ${error.code}: ${error.message}`);
    Deno.exit(error.exitCode);
  }
}

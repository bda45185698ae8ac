import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { canonicalHash, sha256 } from "../shared/hash.ts";

/** Lockstep's own code: its version stands in the manifest, and an update of it is no other module. */
const ROOT = fileURLToPath(new URL("..", import.meta.url));
const OWN = ["coordinator", "shared", "worker", "mod.ts"].map((name) => join(ROOT, name));

/** `from "./x.ts"`, `import "./x.ts"`, `import("./x.ts")`, `new URL("./x.ts", import.meta.url)`. */
const SPECIFIERS = /(?:\bfrom\s*|\bimport\s*|\bimport\s*\(\s*|\bnew\s+URL\s*\(\s*)["'](\.{1,2}\/[^"']+)["']/g;

/**
 * SHA-256 of a user's module and of the local files that it imports by a relative path, and so on. A path that is put
 * together while the module runs is not seen, nor is a package, which has a version. Throws what reading the module throws.
 */
export async function moduleHash(path: string): Promise<string> {
  const main = resolve(path);
  const hashes = new Map<string, string>();
  const waiting = [main];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (hashes.has(file)) continue;
    const bytes = await read(file, { isMain: file === main });
    if (bytes === undefined) continue;
    hashes.set(file, sha256(bytes));
    for (const [, specifier] of new TextDecoder().decode(bytes).matchAll(SPECIFIERS)) {
      const target = resolve(dirname(file), specifier);
      if (!isOwn(target)) waiting.push(target);
    }
  }
  const [[, only]] = hashes;
  if (hashes.size === 1) return only;
  return canonicalHash([...hashes].map(([file, hash]) => [relative(dirname(main), file), hash]).sort());
}

/** Undefined for an import that is not there: it may stand in a comment, and Deno says so if it does not. */
async function read(path: string, { isMain }: { isMain: boolean }): Promise<Uint8Array | undefined> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    if (isMain || !(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.IsADirectory)) {
      throw error;
    }
    return undefined;
  }
}

function isOwn(path: string): boolean {
  return OWN.some((own) => path === own || path.startsWith(`${own}/`));
}

import { join } from "node:path";

/**
 * The commit that the working tree at `directory` is on, as hex digits; null if it is no git working tree or cannot be read.
 * Reads git's files, so that no permission to run programs is needed.
 */
export async function gitRevision(directory: string): Promise<string | null> {
  const git = join(directory, ".git");
  const head = await readIfThere(join(git, "HEAD"));
  const branch = /^ref: (refs\/\S+)\s*$/.exec(head)?.[1];
  if (branch === undefined) return commitIn(head);
  const packed = await readIfThere(join(git, "packed-refs"));
  const packedLine = packed.split("\n").find((line) => line.endsWith(` ${branch}`));
  return commitIn(await readIfThere(join(git, branch))) ?? commitIn(packedLine ?? "");
}

function commitIn(text: string): string | null {
  return /^[0-9a-f]{40,64}\b/.exec(text)?.[0] ?? null;
}

async function readIfThere(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch {
    return ""; // no repository, a worktree's .git file, no permission: the revision is not known
  }
}

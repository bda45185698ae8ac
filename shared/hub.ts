import { join } from "node:path";
import { z } from "zod";
import { download, type OnBytes } from "./data/download.ts";
import { LockstepError } from "./errors.ts";
import { GPT2_NAMES } from "./gpt2_names.ts";
import type { OnProgress } from "./progress.ts";
import { holdsWeights } from "./weights.ts";

/** Whose the weights of {@link GPT2_NAMES} are there. */
const OWNER = "openai-community";

/**
 * The folder of a model of Hugging Face by its name, `gpt2` or `OWNER/NAME`: from its cache on this machine, else fetched into
 * that from the host that HF_ENDPOINT names, the only case in which the network is used. Null for what is no such name.
 *
 * Throws E_WEIGHTS where a model of that name is in neither place.
 */
export async function findOnHub(name: string, onProgress?: OnProgress): Promise<string | null> {
  const isKnown = GPT2_NAMES.some((known) => known === name);
  if (!isKnown && !/^[A-Za-z0-9][\w-]*\/[A-Za-z0-9][\w.-]*$/.test(name)) return null;
  const cache = cacheOfHub();
  const repositories = isKnown ? [`${OWNER}/${name}`, name] : [name];
  for (const repository of repositories) {
    const folder = await cached(repository, cache);
    if (folder !== null) return folder;
  }
  const endpoint = Deno.env.get("HF_ENDPOINT");
  if (endpoint !== undefined) return await fetchModel(repositories[0], { cache, endpoint, onProgress });
  if (!isKnown) return null; // more likely a path
  throw new LockstepError(
    "E_WEIGHTS",
    `Cannot find ${name} as Hugging Face's cache ${
      cache ?? ""
    } does not hold it: set HF_ENDPOINT to the host to fetch ` +
      `it from, or name a folder`,
  );
}

/** Where Hugging Face's libraries keep models: their environment, their defaults. */
function cacheOfHub(): string | null {
  const given = Deno.env.get("HF_HUB_CACHE") ?? Deno.env.get("HUGGINGFACE_HUB_CACHE");
  if (given !== undefined) return given;
  const home = Deno.env.get("HOME") ?? Deno.env.get("USERPROFILE");
  const caches = Deno.env.get("XDG_CACHE_HOME") ?? (home && join(home, ".cache"));
  const hub = Deno.env.get("HF_HOME") ?? (caches && join(caches, "huggingface"));
  return hub ? join(hub, "hub") : null;
}

function repositoryFolder(repository: string, cache: string): string {
  return join(cache, `models--${repository.replace("/", "--")}`);
}

/** The snapshot that `main` names. */
async function cached(repository: string, cache: string | null): Promise<string | null> {
  if (cache === null) return null;
  const folder = repositoryFolder(repository, cache);
  const commit = await Deno.readTextFile(join(folder, "refs", "main")).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  });
  if (commit === null || !/^[\w.-]+$/.test(commit.trim())) return null;
  const snapshot = join(folder, "snapshots", commit.trim());
  return await holdsWeights(snapshot) ? snapshot : null;
}

/** Fetches configuration, weights and vocabulary; the snapshot has its name in `refs/main` only when all are there. */
async function fetchModel(
  repository: string,
  { cache, endpoint, onProgress }: { cache: string | null; endpoint: string; onProgress?: OnProgress },
): Promise<string> {
  if (cache === null) {
    throw new LockstepError(
      "E_WEIGHTS",
      `Cannot fetch ${repository} as there is no place for it: set HF_HOME to a folder`,
    );
  }
  const base = `${endpoint.replace(/\/$/, "")}/${repository}/resolve/main`;
  const commit = await commitOf(`${base}/config.json`);
  const folder = repositoryFolder(repository, cache);
  const snapshot = join(folder, "snapshots", commit);
  await Deno.mkdir(snapshot, { recursive: true });
  const get = (name: string) =>
    fetchFile(`${base}/${name}`, {
      path: join(snapshot, name),
      onBytes: (done, total) => onProgress?.({ what: `fetched ${name}`, done, total, isBytes: true }),
    });
  await get("config.json");
  for (
    const name of await isServed(`${base}/model.safetensors`)
      ? ["model.safetensors"]
      : await shards(get, snapshot)
  ) {
    await get(name);
  }
  for (const name of ["vocab.json", "merges.txt"]) if (await isServed(`${base}/${name}`)) await get(name);
  await Deno.mkdir(join(folder, "refs"), { recursive: true });
  await Deno.writeTextFile(join(folder, "refs", "main"), commit);
  return snapshot;
}

const indexSchema = z.object({ weight_map: z.record(z.string(), z.string().regex(/^[\w.-]+$/)) });

async function shards(get: (name: string) => Promise<void>, snapshot: string): Promise<string[]> {
  const index = "model.safetensors.index.json";
  await get(index);
  const parsed = indexSchema.safeParse(JSON.parse(await Deno.readTextFile(join(snapshot, index))));
  if (parsed.success) return [...new Set(Object.values(parsed.data.weight_map))];
  throw new LockstepError("E_WEIGHTS", `Cannot read ${join(snapshot, index)}: its weight_map is wrong`);
}

/** The commit that `main` stands for; a host that does not say gets a folder named main. */
async function commitOf(url: string): Promise<string> {
  const response = await ask(url);
  const commit = response.headers.get("x-repo-commit");
  if (!response.ok) {
    throw new LockstepError("E_WEIGHTS", `Cannot fetch ${url}: the server answered ${response.status}`);
  }
  return commit !== null && /^[0-9a-f]{1,64}$/.test(commit) ? commit : "main";
}

async function isServed(url: string): Promise<boolean> {
  return (await ask(url)).ok;
}

async function ask(url: string): Promise<Response> {
  try {
    const response = await fetch(url, { method: "HEAD" });
    await response.body?.cancel();
    return response;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new LockstepError("E_WEIGHTS", `Cannot fetch ${url}: ${reason}`, { cause });
  }
}

async function fetchFile(
  url: string,
  { path, onBytes }: { path: string; onBytes: OnBytes },
): Promise<void> {
  const temporary = await download(url, onBytes);
  try {
    const partial = `${path}.${crypto.randomUUID()}`;
    await Deno.copyFile(temporary, partial); // the cache may lie on another disk
    await Deno.rename(partial, path);
  } finally {
    await Deno.remove(temporary);
  }
}

import { about, optional, text, truth } from "../../shared/config/kinds.ts";
import { ALIVE_VARIABLE, aliveFileOf, readAlive } from "../../shared/alive_file.ts";
import { readOverrides } from "../../shared/config/overrides.ts";
import { EXIT, LockstepError } from "../../shared/errors.ts";
import { defineCommand } from "./command.ts";

const options = {
  json: truth().default(false).register(about, { help: "Print one line of JSON" }),
  config: optional(text("a preset or a TOML file")).default(null).register(about, {
    help: "What is to be trained, as train takes it; the same as its first word",
  }),
  endpoint: optional(text("HOST:PORT")).default(null).register(about, {
    help: "Speak to the run, or the doctor with --serve, that listens there: round trip, clock, bandwidth",
  }),
  serve: truth().default(false).register(about, {
    help: "Listen at --endpoint for the doctors of other nodes, until Ctrl-C",
  }),
  alive: truth().default(false).register(about, {
    help: "Only tell whether the process of --out_dir or --alive_file lives: status 0 if it does",
  }),
  alive_file: optional(text("a path")).default(null).register(about, {
    help: `The file in which a process shows that it lives; none is ${ALIVE_VARIABLE}, else out_dir/alive`,
  }),
};

/** Options of the command itself, for the hint of the nearest name. */
const otherNames = Object.keys(options);

/** `doctor`: looks at all that a run needs, before one queues; exit status 1 on a failure. */
export const command = defineCommand({
  summary: "Look at all that a run needs, before it starts",
  usage: "[PRESET|FILE.toml] [--key=value …] [--endpoint=HOST:PORT] [--json]",
  options,
  config: ["data", "model", "run", "system", "launch"],
  example: "lockstep doctor shakespeare-char --data=input.txt --out_dir=/scratch/run",
  async run({ options: { alive, alive_file, config, ...options }, words }) {
    if (alive) return tellAlive(words, { alive_file, json: options.json });
    const asked = config === null ? words : [config, ...words];
    const { diagnose, serveDoctors } = await import("./diagnose.ts"); // much to load, and a probe has a second
    if (!options.serve) return await diagnose(asked, { ...options, otherNames });
    await serveDoctors(asked, { ...options, otherNames });
    return 0;
  },
});

/** For a probe of Kubernetes: quick, and quiet but for one line. */
function tellAlive(
  words: readonly string[],
  { alive_file, json }: { alive_file: string | null; json: boolean },
): number {
  const { overrides } = readOverrides(words, otherNames);
  const outDir = overrides.findLast(({ name }) => name === "out_dir")?.value;
  const path = alive_file ?? aliveFileOf(typeof outDir === "string" ? outDir : null);
  if (path === null) {
    throw new LockstepError(
      "E_USAGE",
      `Cannot tell whether a run is alive without a place to look at: give --out_dir, --alive_file or ${ALIVE_VARIABLE}`,
    );
  }
  const found = readAlive(path);
  console.log(json ? JSON.stringify(found) : `${found.alive ? "alive" : "not alive"}: ${found.reason}`);
  return found.alive ? 0 : EXIT.failure;
}

/**
 * How long a run stands still for what happens to its members: a worker killed, a worker stopped, the coordinator killed and
 * started again, a worker that joins. Medians over several times each, between two lines of the run's output.
 *
 *     deno run -A bench/recovery.ts [TIMES]
 */
import { join, meeting } from "../coordinator/chaos/elastic.ts";
import { pause } from "../coordinator/chaos/pause.ts";
import { sendSignal } from "../shared/send_signal.ts";
import type { Program } from "../coordinator/chaos/program.ts";
import { Scenario } from "../coordinator/chaos/scenario.ts";

const times = Number(Deno.args[0] ?? 10);
/** Sorts 16 numbers as sort-demo does, without end. */
const RUN = [
  "sort-demo",
  "--max_iters=1000000",
  "--log_interval=1",
  "--eval_interval=1000000",
  "--eval_items=0",
];
const WORKERS = 2;

await using scenario = await Scenario.make({ words: RUN, stepMs: 0, paceMs: 0 });
const at = meeting();
const words = [
  ...at.words.filter((word) => !word.startsWith("--nnodes")),
  "--nnodes=1:2",
  "--max_restarts=100000",
];
let run = scenario.train({ workers: WORKERS, words });
await scenario.reaches(run, 60);
const stepMs = median(gaps(run, 20));
console.log(`${RUN.join(" ")}, ${WORKERS} workers: a step takes ${stepMs.toFixed(1)} ms`);

const longest: number[] = [];
await measure("a worker joins → the others go on", times, async () => {
  const [from, id] = [run.iteration, `guest-${run.iteration}`];
  const guest = join(scenario, at, { words: [`--id=${id}`] });
  const roster = await scenario.logged("roster", ({ fields }) => JSON.stringify(fields.members).includes(id));
  const { generation } = roster.fields;
  const formed = await scenario.logged("formed", ({ fields }) => fields.generation === generation);
  await scenario.reaches(run, run.iteration + 5);
  longest.push(Math.max(...gaps(run, from)) - stepMs);
  guest.kill("SIGTERM");
  await guest.ended;
  return Number(formed.fields.ms);
});
console.log(
  `longest step while it loads and joins, minus a usual one: median ${median(longest).toFixed(0)} ms`,
);
run.kill('SIGINT');
/** Does something early in a step, and gives the time until that step is made. */
async function standstill(fault: () => void): Promise<number> {
  await scenario.reaches(run, run.iteration + 1);
  const [began, step] = [Date.now(), run.iteration];
  fault();
  await scenario.reaches(run, step + 1);
  return (run.iterations.get(step + 1) ?? NaN) - began;
}

async function measure(name: string, count: number, once: () => Promise<number>): Promise<void> {
  const found: number[] = [];
  for (let time = 0; time < count; time++) {
    found.push(await once());
    await allBack();
  }
  const range = `${Math.min(...found).toFixed(0)} … ${Math.max(...found).toFixed(0)}`;
  console.log(`${name}: median ${median(found).toFixed(0)} ms (${range}, ${count} times)`);
}

/** Waits until the last roster has all of the run's own workers. */
async function allBack(): Promise<void> {
  await scenario.until("all workers are back", async () => {
    const last = (await scenario.log()).findLast(({ event }) => event === "roster");
    const members = last === undefined ? "" : JSON.stringify(last.fields.members);
    return (members.includes("worker-0") && members.includes("worker-1")) || null;
  }, 120_000);
  await pause(1_500);
  await scenario.reaches(run, run.iteration + 5);
}

/** Times between steps told one after the other, in ms, of steps after `from`. */
function gaps({ iterations }: Program, from: number): number[] {
  const all = [...iterations].filter(([step]) => step > from).map(([, at]) => at);
  return all.slice(1).map((time, i) => time - all[i]);
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

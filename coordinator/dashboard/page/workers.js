import { element, fill, number, table } from "/assets/dom.js";

const PHASES = ["compute", "wait", "reduce", "apply"];
const RECENT = 20;

/** What each worker did in the newest steps, as strips on one scale: who is slow computes long, and all others wait. */
export function showWorkers(steps) {
  const recent = steps.slice(-RECENT);
  if (recent.length === 0) return fill("worker-phases");
  const ids = recent.at(-1).workers.map(({ id }) => id);
  const means = ids.map((id) => {
    const own = recent.flatMap(({ workers }) => workers.filter((worker) => worker.id === id));
    return PHASES.map((phase) =>
      own.reduce((sum, worker) => sum + (worker[`${phase}_ms`] ?? 0), 0) / own.length
    );
  });
  const longest = Math.max(...means.map((phases) => phases.reduce((sum, ms) => sum + ms, 0)));
  const rows = ids.map((id, i) => [
    id,
    strip(means[i], longest),
    ...means[i],
    `${recent.filter(({ workers }) => slowest(workers) === id).length} of ${recent.length}`,
  ]);
  const headings = ["worker", "a step", ...PHASES.map((phase) => `${phase}, ms`), "was slowest"];
  fill(
    "worker-phases",
    element(
      "p",
      { class: "soft" },
      `Means of the last ${recent.length} logged steps: `,
      ...PHASES.flatMap(swatch),
    ),
    element(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": "Phases of workers" },
      table(headings, rows, { label: "Phases of a step by worker" }),
    ),
  );
}

function strip(phases, longest) {
  const parts = phases.map((ms, i) => {
    const part = element("div", { class: PHASES[i] });
    part.style.width = `${100 * ms / longest}%`;
    return part;
  });
  const said = PHASES.map((phase, i) => `${phase} ${number(phases[i])} ms`).join(", ");
  return element("div", { class: "strip", role: "img", "aria-label": said, title: said }, ...parts);
}

function swatch(phase) {
  return [element("span", { class: `swatch ${phase}` }), ` ${phase}  `];
}

function slowest(workers) {
  const most = Math.max(...workers.map(({ compute_ms }) => compute_ms));
  return workers.length < 2 ? null : workers.find(({ compute_ms }) => compute_ms === most)?.id;
}

import { clock, element, fill, number, table } from "/assets/dom.js";

const ROW = 22, LEFT = 90, WIDTH = 600;
const SVG = "http://www.w3.org/2000/svg";

/** Who belonged to the run over its steps, and what changed it. */
export function showMembership(records, lastStep) {
  const rosters = records.filter(isRoster).map(({ fields }) => fields);
  if (rosters.length === 0) return fill("membership-chart");
  fill("membership-chart", chart(rosters, Math.max(1, lastStep)));
  const told = records.filter((record) => record.event !== "roster" || isRoster(record));
  const changes = told.toReversed().map(({ time, event, fields }) => [
    clock(time),
    event === "roster" ? number(fields.step) : "",
    describe(event, fields),
  ]);
  fill(
    "membership-list",
    table(["time", "step", "what happened"], changes, { label: "Changes of membership" }),
  );
}

/** Who belongs from a step on: `{ fields: { step, generation, members } }`. */
export function isRoster({ event, fields }) {
  return event === "roster" && Number.isFinite(fields.step) && Array.isArray(fields.members);
}

function describe(event, fields) {
  const why = fields.reason ? `: ${fields.reason}` : "";
  switch (event) {
    case "roster":
      return `generation ${fields.generation} of ${fields.members.length}, ${
        fields.members.join(", ")
      }${why}`;
    case "member_failed":
      return `${fields.id} takes no part: ${fields.code}: ${fields.message}`;
    case "restored":
      return `back to step ${fields.step}, as nobody had the state any more`;
    default:
      return `${fields.reason ?? fields.event}`;
  }
}

function chart(rosters, lastStep) {
  const ids = [...new Set(rosters.flatMap(({ members }) => members))];
  const at = (step) => LEFT + (WIDTH - LEFT) * Math.min(1, step / lastStep);
  const bars = rosters.flatMap(({ step, members }, i) => {
    const end = rosters[i + 1]?.step ?? lastStep;
    return members.map((id) =>
      shape("rect", {
        class: "present",
        x: at(step),
        y: ROW * ids.indexOf(id) + 4,
        width: Math.max(2, at(end) - at(step)),
        height: ROW - 8,
      }, element("title", {}, `${id}, steps ${step} to ${end}`))
    );
  });
  const names = ids.map((id, i) => shape("text", { x: 0, y: ROW * i + 15 }, id.slice(0, 14)));
  const label = ids.map((id) => {
    const from = rosters.find(({ members }) => members.includes(id)).step;
    return `${id} since step ${from}${rosters.at(-1).members.includes(id) ? "" : ", gone now"}`;
  }).join("; ");
  return shape(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${ROW * ids.length}`, role: "img", "aria-label": `Members by step: ${label}` },
    ...names,
    ...bars,
  );
}

function shape(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

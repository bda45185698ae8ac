import { clock, fill, table } from "/assets/dom.js";

const SHOWN = 200;

/** The newest records first. */
export function showLog(records) {
  const rows = records.slice(-SHOWN).toReversed().map(({ time, process, level, event, fields }) => [
    clock(time),
    process,
    level === "info" ? event : `${level} ${event}`,
    describe(fields),
  ]);
  fill("log-list", table(["time", "process", "event", "fields"], rows, { label: "Log" }));
}

function describe(fields) {
  return Object.entries(fields).map(([name, value]) =>
    `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`
  ).join(" ");
}

import { runColor } from "/assets/curves.js";
import { element, fill, number } from "/assets/dom.js";

/** A row for each run: whether its curves are shown, and which of them all other panels are about. */
export function showRuns(runs, { chosen, focused, choose, focus }) {
  const several = runs.length > 1;
  fill(
    "run-list",
    ...runs.map((run, index) => {
      const swatch = element("span", { class: "swatch" });
      swatch.style.background = runColor(index);
      const box = element("input", {
        type: "checkbox",
        checked: chosen.has(index),
        onchange: ({ target }) => choose(index, target.checked),
      });
      const looked = element("button", {
        type: "button",
        "aria-pressed": String(index === focused),
        onclick: () => focus(index),
      }, index === focused ? "shown below" : "show below");
      const name = several ? element("label", {}, box, " ", run.name) : element("span", {}, run.name);
      const parts = [swatch, name, element("span", { class: "soft" }, describeRun(run))];
      return element("div", { class: "run" }, ...parts, ...several ? [looked] : []);
    }),
  );
}

export function describeRun({ step, maxSteps, running }) {
  const steps = maxSteps === null ? number(step + 1) : `${number(step + 1)} of ${number(maxSteps)}`;
  return `${steps} steps, ${
    running ? "goes on" : step + 1 >= (maxSteps ?? Infinity) ? "finished" : "not running"
  }`;
}

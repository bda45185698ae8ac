import { element, fill, number, table } from "/assets/dom.js";

/** The newest figures of each task; bounds of intervals stand beside their value. */
export function showResults(results) {
  const newest = new Map(results.map((result) => [result.task, result]));
  fill(
    "evaluation-tables",
    ...[...newest.values()].map(({ task, step, metrics }) => {
      const names = Object.keys(metrics).filter((name) => !/_(low|high)$/.test(name));
      const rows = names.map((name) => [
        name,
        number(metrics[name]),
        metrics[`${name}_low`] === undefined
          ? ""
          : `${number(metrics[`${name}_low`])} … ${number(metrics[`${name}_high`])}`,
      ]);
      const title = `${task}, after ${number(step)} steps`;
      return element(
        "div",
        {},
        element("h3", {}, title),
        table(["figure", "value", "95 % interval"], rows, { label: title }),
      );
    }),
  );
}

/** The newest first. */
export function showSamples(samples) {
  fill(
    "sample-list",
    ...samples.toReversed().map(({ step, prompt, text }) =>
      element(
        "div",
        { class: "sample" },
        element("h3", {}, `After ${number(step)} steps`),
        element("pre", {}, element("span", { class: "prompt" }, prompt), text),
      )
    ),
  );
}

export function showCheckpoints({ checkpoints, best }) {
  fill(
    "checkpoint-list",
    ...checkpoints.toReversed().map((step) =>
      element("li", {}, `step ${number(step)}${step === best ? ", the best so far" : ""}`)
    ),
  );
}

/**
 * Makes an element. What it holds is text or elements, never markup: nothing that a run wrote can become part of the page.
 * `properties` are attributes; `class` and those that begin with `on` as in HTML.
 */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, String(value));
  }
  made.append(...children.map((child) => child instanceof Node ? child : String(child)));
  return made;
}

/** A table with a heading row; numbers stand right. */
export function table(headings, rows, { label }) {
  const isNumber = (cell) => typeof cell === "number";
  const shown = (cell) => isNumber(cell) ? number(cell) : cell;
  const numeric = headings.map((_, column) => rows.length > 0 && rows.every((row) => isNumber(row[column])));
  const kind = (column) => numeric[column] ? "number" : null;
  return element(
    "table",
    { "aria-label": label },
    element(
      "thead",
      {},
      element("tr", {}, ...headings.map((h, i) => element("th", { scope: "col", class: kind(i) }, h))),
    ),
    element(
      "tbody",
      {},
      ...rows.map((row) =>
        element("tr", {}, ...row.map((cell, i) => element("td", { class: kind(i) }, shown(cell))))
      ),
    ),
  );
}

/** Puts `children` in place of what an element holds, and shows its section if there are any. */
export function fill(id, ...children) {
  const holder = document.getElementById(id);
  holder.replaceChildren(...children);
  const section = holder.closest("section");
  if (section !== null) section.hidden = children.length === 0;
  // What can be scrolled must be reached by the keyboard, and have a name.
  if (!holder.classList.contains("scroll")) return;
  holder.tabIndex = 0;
  holder.setAttribute("role", "region");
  holder.setAttribute("aria-labelledby", section.getAttribute("aria-labelledby"));
}

/** With about four digits. */
export function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (Number.isInteger(value)) return value.toLocaleString("en-US");
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2);
  return size < 100 ? String(Number(value.toPrecision(4))) : value.toFixed(1);
}

/** "14:03:59" of a time in ISO 8601. */
export function clock(time) {
  const date = new Date(time);
  return element("time", { datetime: time, title: time }, date.toLocaleTimeString("en-GB"));
}

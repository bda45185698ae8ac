/**
 * A person at a run's page, in Debian's Chromium: `browse.js '{"url": …}'` prints what was seen as JSON. A program of its own,
 * run without the lock file, as only tests need its packages.
 */
import process from "node:process";
import axe from "npm:axe-core@4.14.1";
import { chromium } from "npm:playwright-core@1.65.1";

/** Ten times what the page promises, and more: a machine that tests share is slow. */
const PATIENCE_MS = 60_000;

const options = JSON.parse(process.argv[2]);
const seen = { console: [], requests: [], faults: [], widths: [] };
const browser = await chromium.launch({ executablePath: options.chromium, args: ["--no-sandbox"] });

/** A page of its own, of which everything that must not be is written down. */
async function open({ width = 1280, colorScheme = "light" } = {}) {
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
  page.setDefaultTimeout(PATIENCE_MS);
  page.on("console", (line) => {
    if (["error", "warning"].includes(line.type())) seen.console.push(line.text());
  });
  page.on("pageerror", (error) => seen.console.push(String(error.stack)));
  page.on("dialog", (dialog) => {
    seen.console.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => seen.requests.push(new URL(request.url()).origin));
  await page.goto(options.url);
  await page.locator(".uplot canvas").first().waitFor();
  return page;
}

/** What axe-core finds serious. */
async function inspect(page, where) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate("axe.run()");
  for (const { id, impact, nodes } of violations) {
    if (!["serious", "critical"].includes(impact)) continue;
    seen.faults.push(`${where}: ${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(" | ")}`);
  }
}

/** How long `act` and then the sight of `text` in an element took, in ms. */
async function until(page, { selector, text, act = () => {} }) {
  const began = performance.now();
  await act();
  await page.locator(selector).filter({ hasText: text }).first().waitFor();
  return performance.now() - began;
}

const text = (page, selector) => page.locator(selector).innerText();
const press = (page, name) => page.getByRole("button", { name, exact: true }).click();

/** Everything that can be done with a run that goes on. */
async function follow(page) {
  const summary = await text(page, "#summary");
  await page.waitForFunction((before) => document.querySelector("#summary").innerText !== before, summary);
  const label = await page.locator(".chart").first().getAttribute("aria-label");
  await page.waitForFunction(
    (before) => document.querySelector(".chart").getAttribute("aria-label") !== before,
    label,
  );
  seen.killedMs = await until(page, {
    selector: "#membership-list td",
    text: new RegExp(`${options.victim.id}.*(connection ended|process)|evicted`),
    act: () => process.kill(options.victim.pid, "SIGKILL"),
  });
  seen.reason = await text(page, "#membership-list table tbody tr:nth-child(2) td:last-child");
  await press(page, "pause");
  await until(page, { selector: "#answer", text: "the run pauses after the step under way" });
  await until(page, { selector: "#summary", text: "paused" });
  await press(page, "eval");
  await until(page, { selector: "#answer", text: /train loss \d/ });
  await until(page, { selector: "#sample-list h3", text: /After \d/ });
  seen.sample = await text(page, "#sample-list pre");
  await page.getByLabel("set: VALUE").fill("0");
  await press(page, "set");
  await until(page, { selector: "#answer.bad", text: "it must be a whole number of at least 1" });
  await page.getByLabel("set: VALUE").fill("2");
  await press(page, "set");
  await until(page, { selector: "#answer", text: "log_interval is 2 from now on" });
  await press(page, "save");
  await until(page, { selector: "#answer", text: /newest checkpoint is that of step/ });
  await until(page, { selector: "#checkpoint-list li", text: /step \d/ });
  await press(page, "resume");
  await until(page, { selector: "#answer", text: "the run goes on" });
  seen.log = await text(page, "#log-list");
}

/** With the keyboard alone. */
async function keys(page) {
  const chart = page.locator(".chart").first();
  await chart.focus();
  await page.keyboard.press("ArrowLeft");
  seen.reading = await text(page, "#reading");
  const zoomed = page.waitForResponse((response) => response.url().includes("from="));
  await page.keyboard.press("+");
  await zoomed;
  await page.keyboard.press("0");
}

/** Frames a second while the mouse runs over the first chart, a place further with each. */
async function hover(page) {
  seen.framesPerSecond = await page.evaluate(async () => {
    const over = document.querySelector(".chart .u-over");
    const { left, top, width, height } = over.getBoundingClientRect();
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    const moves = 60;
    over.dispatchEvent(new MouseEvent("mouseenter", { clientX: left, clientY: top }));
    await frame();
    const began = performance.now();
    for (let i = 0; i < moves; i++) {
      const at = { clientX: left + (width * i) / moves, clientY: top + height / 2, bubbles: true };
      over.dispatchEvent(new MouseEvent("mousemove", at));
      await frame();
    }
    return moves / ((performance.now() - began) / 1000);
  });
  seen.legend = await page.locator(".chart .u-legend").first().innerText();
}

try {
  const began = performance.now();
  const page = await open();
  seen.loadMs = performance.now() - began;
  if (options.victim !== undefined) await follow(page);
  await keys(page);
  if (options.hover) await hover(page);
  for (const width of options.hover ? [] : [1280, 390]) {
    for (const colorScheme of ["light", "dark"]) {
      const other = await open({ width, colorScheme });
      await inspect(other, `${width} px, ${colorScheme}`);
      seen.widths.push(await other.evaluate("document.documentElement.scrollWidth") - width);
      if (options.pictures !== undefined) {
        await other.screenshot({ path: `${options.pictures}-${width}-${colorScheme}.png`, fullPage: true });
      }
      await other.close();
    }
  }
  seen.text = await text(page, "body");
  if (options.victim !== undefined) {
    await press(page, "stop");
    await press(page, "really stop?");
    await until(page, { selector: "#answer", text: "the run ends after the step under way" });
    await until(page, { selector: "#connection", text: "does not answer" });
    // The connection's end is no fault of the page.
    seen.console = seen.console.filter((line) => !/ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED)/.test(line));
  }
} finally {
  await browser.close();
}
seen.requests = [...new Set(seen.requests)];
console.log(JSON.stringify(seen));

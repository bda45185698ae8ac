import { follow, getCommands, getRun, getRuns } from "/assets/api.js";
import { Curves, darkly } from "/assets/curves.js";
import { showLog } from "/assets/log.js";
import { isRoster, showMembership } from "/assets/membership.js";
import { describeRun, showRuns } from "/assets/runs.js";
import { Steering } from "/assets/steering.js";
import { showCheckpoints, showResults, showSamples } from "/assets/tables.js";
import { showWorkers } from "/assets/workers.js";

const MEMBERSHIP = ["roster", "membership", "member_failed", "restored"];
const PAUSES = ["paused", "resumed"];
const KEPT = 1_000;

const byId = (id) => document.getElementById(id);

/** The runs, which of them are compared, and all that is known about the one that the panels show. */
class Page {
  chosen = new Set();
  focused = 0;
  details = null;

  constructor({ runs, commands, maySteer }) {
    this.runs = runs;
    this.maySteer = maySteer;
    this.steering = new Steering(commands);
    this.curves = new Curves({
      names: runs.map(({ name }) => name),
      read: (sentence) => byId("reading").textContent = sentence,
    });
    byId("charts").replaceChildren(...this.curves.charts.map(({ root }) => root));
    byId("whole").onclick = () => this.curves.zoom(null);
    byId("smoothing").oninput = ({ target }) => {
      this.curves.smoothing = Number(target.value);
      byId("smoothing-shown").textContent = target.value;
      this.curves.draw();
    };
    byId("log-scale").onchange = ({ target }) => {
      this.curves.log = target.checked;
      this.curves.draw();
    };
    darkly.addEventListener("change", () => this.showRuns());
    for (let run = 0; run < Math.min(6, runs.length); run++) this.chosen.add(run);
  }

  /** Asks for all that is shown: at the start, and after a pause of the connection. */
  async load() {
    await Promise.all([this.curves.load([...this.chosen]), this.focus(this.focused)]);
  }

  async focus(run) {
    this.focused = run;
    this.details = await getRun(run);
    this.show();
  }

  async choose(run, isChosen) {
    if (isChosen) this.chosen.add(run);
    else this.chosen.delete(run);
    await this.curves.load([...this.chosen].sort((a, b) => a - b));
  }

  /** Takes in what is new in the files of a run. */
  news({ run, metrics, results, samples, workers, log, restarted, ...more }) {
    this.curves.add({ run, metrics, restarted, ...more });
    const summary = this.runs[run];
    summary.step = Math.max(restarted ? -1 : summary.step, ...metrics.steps);
    if (run !== this.focused || this.details === null) return this.showRuns();
    if (restarted) return void this.focus(run);
    const { details } = this;
    details.step = summary.step;
    for (const [name, lines] of Object.entries({ results, samples, workers, log })) {
      details[name] = [...details[name], ...lines].slice(-KEPT);
    }
    const changes = log.filter(({ event }) => MEMBERSHIP.includes(event));
    details.membership = [...details.membership, ...changes].slice(-KEPT);
    this.show({ results, samples, workers, log });
  }

  state({ run, ...state }) {
    Object.assign(this.runs[run], state);
    if (run !== this.focused || this.details === null) return this.showRuns();
    Object.assign(this.details, state);
    this.show({});
  }

  /** Shows the panels, of the lines only those that are not empty. */
  show({ results, samples, workers, log } = this.details) {
    const { details } = this;
    this.showRuns();
    if (results === details.results || results?.length > 0) showResults(details.results);
    if (samples === details.samples || samples?.length > 0) showSamples(details.samples);
    if (workers === details.workers || workers?.length > 0) showWorkers(details.workers);
    if (log === details.log || log?.length > 0) showLog(details.log);
    showMembership(details.membership, details.step);
    showCheckpoints(details);
    byId("config").textContent = details.config;
    const roster = details.membership.findLast(isRoster);
    this.steering.show(this.focused, {
      steerable: details.steerable && this.maySteer,
      workers: roster?.fields.members ?? [],
    });
  }

  showRuns() {
    const run = this.runs[this.focused];
    const isPaused = run.running &&
      this.details?.log.findLast(({ event }) => PAUSES.includes(event))?.event === "paused";
    byId("summary").textContent = `${run.name}: ${describeRun(run)}${isPaused ? ", paused" : ""}`;
    document.title = `${run.name} – Lockstep`;
    showRuns(this.runs, {
      chosen: this.chosen,
      focused: this.focused,
      choose: (index, isChosen) => this.choose(index, isChosen),
      focus: (index) => this.focus(index),
    });
  }
}

const [runs, { commands, maySteer }] = await Promise.all([getRuns(), getCommands()]);
const page = new Page({ runs, commands, maySteer });
const connection = byId("connection");
follow({
  async opened() {
    await page.load();
    connection.textContent = "live";
  },
  lost: () => connection.textContent = "the page's server does not answer",
  news: (news) => page.news(news),
  state: (state) => page.state(state),
});

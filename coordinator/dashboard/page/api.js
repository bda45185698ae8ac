/** What the page asks its own server. */

async function ask(path, options) {
  const response = await fetch(path, options);
  if (response.status === 401) location.assign("/login");
  if (!response.headers.get("content-type")?.startsWith("application/json")) {
    throw new Error(await response.text());
  }
  return await response.json();
}

export async function getRuns() {
  return await ask("/api/runs");
}

export async function getRun(run) {
  return await ask(`/api/runs/${run}`);
}

/** Curves of a range of steps, null for the whole run, in at most `points` points. */
export async function getCurves(run, { range, points }) {
  const query = new URLSearchParams({ points });
  if (range !== null) {
    query.set("from", range.from);
    query.set("to", range.to);
  }
  return await ask(`/api/runs/${run}/curves?${query}`);
}

export async function getCommands() {
  return await ask("/api/commands");
}

/** Resolves to what the run answered; throws an Error that says why it refused. */
export async function send(run, { name, words }) {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ name, words });
  const answer = await ask(`/api/runs/${run}/commands`, { method: "POST", headers, body });
  if (answer.code !== undefined) throw new Error(answer.message);
  return answer;
}

/** Follows what is new until the page is closed; after a pause of the connection `opened` is called again. */
export function follow({ opened, lost, news, state }) {
  const events = new EventSource("/api/events");
  events.onopen = opened;
  events.onerror = lost;
  events.addEventListener("news", ({ data }) => news(JSON.parse(data)));
  events.addEventListener("state", ({ data }) => state(JSON.parse(data)));
}

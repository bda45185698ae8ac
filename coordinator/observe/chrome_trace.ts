import type { Span } from "../../shared/spans.ts";

/** A process and what it did, in the order in which it is shown. */
export interface TracedProcess {
  readonly name: string;
  readonly spans: readonly Span[];
}

/** Chrome's trace event format, which ui.perfetto.dev and chrome://tracing open. */
export function chromeTrace(processes: readonly TracedProcess[], about: Record<string, string>): string {
  const first = Math.min(...processes.flatMap(({ spans }) => spans.map(([, , at]) => at)));
  const events = processes.flatMap(({ name, spans }, pid) => {
    const lanes = [...new Set(spans.map(([lane]) => lane))];
    const named = lanes.flatMap((lane, tid) => [
      { ph: "M", pid, tid, name: "thread_name", args: { name: lane } },
      { ph: "M", pid, tid, name: "thread_sort_index", args: { sort_index: tid } },
    ]);
    const process = [
      { ph: "M", pid, name: "process_name", args: { name } },
      { ph: "M", pid, name: "process_sort_index", args: { sort_index: pid } },
    ];
    return [...process, ...named, ...spans.map((span) => event(span, { pid, lanes, first }))];
  });
  return JSON.stringify({ displayTimeUnit: "ms", otherData: about, traceEvents: events });
}

/** Times in µs, to a nanosecond. */
function event(
  [lane, name, at, ms]: Span,
  { pid, lanes, first }: { pid: number; lanes: readonly string[]; first: number },
) {
  const [ts, end] = [at - first, at - first + ms].map((time) => Math.round(1e6 * time) / 1e3);
  return { ph: "X", pid, tid: lanes.indexOf(lane), name, cat: lane, ts, dur: end - ts };
}

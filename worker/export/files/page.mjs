/** The page: a person types, the model goes on. Everything it needs lies beside it; nothing is sent anywhere. */
import * as ort from "./ort.wasm.min.mjs";
import { openTokenizer } from "./tokenizer.mjs";
import { drawing, likeliest, Writer } from "./writer.mjs";

const form = document.querySelector("form");
const status = document.querySelector("[role=status]");
const output = document.querySelector("output");
const { prompt, count, temperature, stop } = form.elements;
const start = form.querySelector("button");
const TOP_K = 200;

const readFile = async (name) => {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  return await response.text();
};

async function load() {
  ort.env.wasm.numThreads = 1; // more need headers that a static host does not send
  ort.env.wasm.wasmPaths = new URL(".", import.meta.url).href;
  const config = JSON.parse(await readFile("config.json"));
  const session = await ort.InferenceSession.create("model.onnx", { executionProviders: ["wasm"] });
  return { writer: new Writer(ort, session, config), tokenizer: await openTokenizer(config, readFile) };
}

async function goOn({ writer, tokenizer }) {
  const ids = tokenizer.encode(prompt.value);
  if (ids.length === 0) throw new RangeError("Write something for the model to go on from");
  const shown = document.createElement("b");
  shown.textContent = prompt.value;
  const text = document.createTextNode("");
  output.replaceChildren(shown, text);
  const heat = Number(temperature.value);
  const choose = heat === 0 ? likeliest : drawing({ temperature: heat, topK: TOP_K });
  const made = [];
  const began = performance.now();
  let isStopped = false;
  stop.onclick = () => isStopped = true;
  writer.reset();
  for await (const token of writer.write(ids, { count: Number(count.value), choose })) {
    made.push(token);
    text.data = tokenizer.decode(made);
    if (isStopped) break;
    if (made.length % 8 === 0) await new Promise(requestAnimationFrame); // lets the browser paint and hear clicks
  }
  const seconds = (performance.now() - began) / 1000;
  status.textContent = `${made.length} tokens, ${(made.length / seconds).toFixed(0)} a second`;
}

async function attempt(work) {
  start.disabled = true;
  try {
    await work();
    start.disabled = false;
  } catch (error) {
    status.textContent = error.message;
    start.disabled = !(error instanceof RangeError); // a prompt can be written otherwise
  }
}

let model;
await attempt(async () => {
  model = await load();
  status.textContent = "Ready";
});
form.onsubmit = (event) => {
  event.preventDefault();
  stop.disabled = false;
  status.textContent = "Writing …";
  attempt(() => goOn(model)).finally(() => stop.disabled = true);
};

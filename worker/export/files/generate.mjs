/**
 * Goes on from a prompt with onnxruntime-node, always with the likeliest token:
 *
 *     npm install onnxruntime-node
 *     node generate.mjs "To be" 100
 */
import { readFile } from "node:fs/promises";
import process from "node:process";
import ort from "onnxruntime-node";
import { openTokenizer } from "./tokenizer.mjs";
import { Writer } from "./writer.mjs";

const [prompt, count = "100"] = process.argv.slice(2);
const path = (name) => new URL(name, import.meta.url);
const read = (name) => readFile(path(name), "utf8");
const config = JSON.parse(await read("config.json"));
const tokenizer = await openTokenizer(config, read);
const session = await ort.InferenceSession.create(await readFile(path("model.onnx")));
const writer = new Writer(ort, session, config);
const made = [];
for await (const token of writer.write(tokenizer.encode(prompt), { count: Number(count) })) made.push(token);
console.log(tokenizer.decode(made));

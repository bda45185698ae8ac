/** Prints the WebGPU adapter as a line of JSON. A process of its own, as a driver may crash it. */
import { readAdapter } from "./adapter.ts";

console.log(JSON.stringify(await readAdapter()));
Deno.exit(0); // whatever a driver still has open

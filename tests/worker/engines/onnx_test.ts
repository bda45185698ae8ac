import { open } from "../../../worker/engines/onnx.ts";
import { engineContract } from "./contract.ts";

engineContract({ name: "onnx", open, threads: [1, 2] });

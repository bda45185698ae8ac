import { deviceEngineTests } from "../worker/engines/device_engine_tests.ts";

deviceEngineTests("all");

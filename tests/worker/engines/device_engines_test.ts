import { deviceEngineTests } from "./device_engine_tests.ts";

deviceEngineTests("some");

import { cases } from "../../coordinator/chaos/cases.ts";
import { chaosTests } from "../chaos/chaos_tests.ts";

await chaosTests(cases.map(({ number }) => number));

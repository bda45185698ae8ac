import { chaosTests } from "./chaos_tests.ts";

/** One of each kind, the quick ones: `task test:long` runs all. */
await chaosTests([1, 4, 12, 21, 30]);

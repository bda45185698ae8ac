import { chaosTests } from "./chaos_tests.ts";

/** One of each kind, the quick ones: `task test:long` runs all. */
await chaosTests([1, 2, 4, 12, 13, 18, 21, 25, 30, 31, 35]);

import { openPageProcess, type PageProcess } from "./page_process.ts";
import type { TrainObserver } from "./train_observer.ts";

/** The page that a run shows while it goes on. A run whose page does not open goes on without. */
export class RunPage {
  /** Opens the page once the run has files to show. */
  readonly observer: TrainObserver;
  #opening: Promise<PageProcess | null> | null = null;

  constructor(observer: TrainObserver, port: number | null) {
    let runDir = "";
    this.observer = {
      ...observer,
      plan(plan) {
        runDir = plan.runDir;
        observer.plan?.(plan);
      },
      ready: (info) => {
        this.#opening ??= this.#open(runDir, { observer, port });
        observer.ready?.(info);
      },
    };
  }

  async close(): Promise<void> {
    await (await this.#opening)?.close();
  }

  async #open(
    runDir: string,
    { observer, port }: { observer: TrainObserver; port: number | null },
  ): Promise<PageProcess | null> {
    try {
      const page = await openPageProcess(runDir, port === null ? [] : [`--port=${port}`]);
      observer.page?.(page.url);
      return page;
    } catch (error) {
      observer.warn?.(error instanceof Error ? error.message : String(error));
      return null;
    }
  }
}

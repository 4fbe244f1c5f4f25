// Events that a server sends, opened again when they end.

/** Times between two tries, in milliseconds. Each doubles the one before. */
export interface Pace {
  first: number;
  most: number;
}

/** How long to wait before the next try, after `failures` in a row. */
export function wait(pace: Pace, failures: number): number {
  return Math.min(pace.most, pace.first * 2 ** Math.max(0, failures - 1));
}

export interface Listener {
  onOpen: () => void;
  /** It ended, or could not be opened; it will be tried again. */
  onEnd: () => void;
  /** Called with the JSON of each event, by its name. */
  on: Record<string, (json: unknown) => void>;
}

export class Stream {
  #source: EventSource | null = null;
  #timer = 0;
  #failures = 0;
  #closed = false;

  constructor(
    private readonly path: string,
    private readonly pace: Pace,
    private readonly listener: Listener,
  ) {
    this.#open();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#source?.close();
  }

  /** Tries at once if it is waiting for the next try. */
  hurry(): void {
    if (this.#source !== null || this.#closed) return;
    clearTimeout(this.#timer);
    this.#open();
  }

  #open(): void {
    const source = new EventSource(this.path);
    this.#source = source;
    source.onopen = () => {
      this.#failures = 0;
      this.listener.onOpen();
    };
    source.onerror = () => {
      // The browser's own way of trying again knows no patience.
      source.close();
      this.#source = null;
      if (this.#closed) return;
      this.#failures += 1;
      this.#timer = window.setTimeout(() => this.#open(), wait(this.pace, this.#failures));
      this.listener.onEnd();
    };
    for (const [name, handle] of Object.entries(this.listener.on)) {
      source.addEventListener(name, (event: MessageEvent<string>) => {
        let json: unknown;
        try {
          json = JSON.parse(event.data);
        } catch {
          return;
        }
        handle(json);
      });
    }
  }
}

// How many calls of one role run and how many wait.
// I1: at most `running` run and at most `waiting` wait; one more is refused at once. I2: first come, first served.

/** Too many calls wait already. */
export class Overloaded extends Error {
  override readonly name = "Overloaded";
}

export interface Gate {
  /** Resolves when the call may run; dispose the pass when it has ended. Rejects with Overloaded, or with the signal's reason. */
  readonly enter: (signal: AbortSignal) => Promise<Disposable>;
  readonly load: () => { readonly running: number; readonly waiting: number };
}

export function createGate(limits: { readonly running: number; readonly waiting: number }): Gate {
  const queue: (() => void)[] = [];
  let running = 0;

  const pass = (): Disposable => {
    let open = true;
    return {
      [Symbol.dispose]() {
        if (!open) return;
        open = false;
        running--;
        queue.shift()?.();
      },
    };
  };

  return {
    load: () => ({ running, waiting: queue.length }),
    async enter(signal) {
      signal.throwIfAborted();
      if (running >= limits.running) {
        if (queue.length >= limits.waiting) throw new Overloaded(`${running} calls run and ${queue.length} wait`);
        await new Promise<void>((resolve, reject) => {
          const leave = () => {
            queue.splice(queue.indexOf(go), 1);
            reject(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
          };
          const go = () => {
            signal.removeEventListener("abort", leave);
            running++; // here, not after the await: nobody may slip in between
            resolve();
          };
          queue.push(go);
          signal.addEventListener("abort", leave, { once: true });
        });
      } else {
        running++;
      }
      return pass();
    },
  };
}

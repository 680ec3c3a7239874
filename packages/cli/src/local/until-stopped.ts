// What a command that stays up waits for.

/** Resolves when the signal aborts; rejects if a part of the stack ends by itself before. */
export async function untilStopped(broken: Promise<string>, signal: AbortSignal): Promise<void> {
  const stopped = new Promise<undefined>((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  const how = await Promise.race([broken, stopped]);
  if (how !== undefined) throw new Error(how);
}

// The one requirement on the server's version.

const floor = [2, 12] as const;

/** Throws an Error on a server that is older than the oldest one that has scheduled messages. */
export function requireServer(version: string | undefined): void {
  const [major = 0, minor = 0] = (version ?? "").split(".").map(Number);
  if (major < floor[0] || (major === floor[0] && minor < floor[1])) {
    throw new Error(
      `nats-server ${version ?? "of unknown version"} is too old: retries need scheduled messages, so ${floor.join(".")} or newer is required`,
    );
  }
}

import { expect, test } from "vitest";
import { freePorts, startProcess } from "../src/index.ts";

const server = (port: number) => `
  process.stderr.write(JSON.stringify(Object.keys(process.env)));
  process.on("SIGTERM", () => process.exit(7));
  require("node:http").createServer((_, answer) => answer.end("up")).listen(${port}, "127.0.0.1");`;

test("a program has the environment that it is given, is waited for, and can be told to stop", async () => {
  const [port = 0] = await freePorts(1);
  await using child = await startProcess({
    command: [process.execPath, "-e", server(port)],
    env: { ONLY: "this" },
    readyUrl: `http://127.0.0.1:${port}/`,
  });
  expect(JSON.parse(child.stderr)).toEqual(["ONLY"]);
  child.terminate();
  expect(await child.exited).toEqual({ code: 7, signal: null });
  expect(child.running).toBe(false);
});

test("a paused program answers nothing, goes on when it is resumed, and can be killed while it is paused", async () => {
  const [port = 0] = await freePorts(1);
  await using child = await startProcess({
    command: [process.execPath, "-e", server(port)],
    readyUrl: `http://127.0.0.1:${port}/`,
  });
  child.pause();
  expect(await child.isReady()).toBe(false);
  child.resume();
  await child.untilReady();
  child.pause();
  expect(await child.kill()).toEqual({ code: null, signal: "SIGKILL" });
  expect(() => process.kill(child.pid, 0)).toThrow("ESRCH");
});

test("a program that ends before it is ready is told with its own words", async () => {
  const starting = startProcess({
    command: [process.execPath, "-e", 'console.error("no such thing"); process.exit(3)'],
    readyUrl: "http://127.0.0.1:1/",
  });
  await expect(starting).rejects.toThrow(/ended with 3 before it was ready:\nno such thing/);
});

import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { createCircuit } from "../../src/inference/circuit.ts";

const open = (pauseMs: number) => createCircuit({ threshold: 2, pauseMs, maxPauseMs: 60_000 });

test("opens after failures in a row only", () => {
  const circuit = open(60_000);
  circuit.failed(false);
  circuit.succeeded();
  circuit.failed(false);
  expect(circuit.state()).toBe("closed");
  circuit.failed(false);
  expect(circuit.state()).toBe("open");
  expect(circuit.tryTrial()).toBe(false);
});

test("calls that were under way when it opened do not lengthen the pause", () => {
  const circuit = open(20_000);
  for (let call = 0; call < 32; call++) circuit.failed(false);
  expect(circuit.waitMs()).toBeGreaterThan(0);
  expect(circuit.waitMs()).toBeLessThanOrEqual(20_000);
});

test("lets one trial through, and only its holder ends it", async () => {
  const circuit = open(1);
  circuit.failed(false);
  circuit.failed(false);
  await sleep(20);
  expect(circuit.tryTrial()).toBe(true);
  expect(circuit.tryTrial()).toBe(false);
  circuit.abandon(false);
  circuit.failed(false);
  expect(circuit.tryTrial()).toBe(false);
  circuit.abandon(true);
  expect(circuit.tryTrial()).toBe(true);
});

test("each failed trial doubles the pause, a success resets it", async () => {
  const circuit = open(10_000);
  circuit.failed(false);
  circuit.failed(false);
  const pauses = [circuit.waitMs()];
  for (let trial = 0; trial < 3; trial++) {
    circuit.failed(true);
    pauses.push(circuit.waitMs());
  }
  expect(pauses.map((ms) => Math.round(ms / 10_000))).toEqual([1, 2, 4, 6]); // 60 s is the longest
  circuit.succeeded();
  circuit.failed(false);
  circuit.failed(false);
  expect(circuit.waitMs()).toBeLessThanOrEqual(10_000);
});

test("after a probe the next failure opens it again", async () => {
  const circuit = open(1);
  circuit.failed(false);
  circuit.failed(false);
  await sleep(20);
  circuit.tryTrial();
  circuit.probed();
  expect(circuit.state()).toBe("closed");
  circuit.failed(false);
  expect(circuit.state()).not.toBe("closed");
});

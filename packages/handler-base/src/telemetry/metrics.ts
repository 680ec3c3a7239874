// What a service counts: calls, model requests, and the process itself. Labels are methods, ways, codes, roles and operations, all of
// them from contracts and code of ours, never from a message.
//
// I1  A call costs a few additions; nothing is allocated for it that outlives it.
import type { Incoming, Outcome } from "../call.ts";
import { decide } from "../delivery/settlement.ts";
import type { RequestEnd, RequestStart } from "../inference/report.ts";
import { createRegistry, type Registry } from "./registry.ts";

/** Seconds: the advice of the RPC and messaging conventions, and some more for answers that are streamed. */
const callBounds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 120];
/** Seconds: the advice of the GenAI conventions. */
const modelBounds = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const lagBounds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

export interface Metrics {
  readonly registry: Registry;
  /** A call begins; `callEnded` is told its end. */
  readonly callBegan: (incoming: Incoming) => void;
  /** A message ended; `began` says whether it was a call. */
  readonly messageEnded: (incoming: Incoming, began: boolean, outcome: Outcome, durationMs: number) => void;
  /** A model request begins; gives what wants to hear its end. */
  readonly modelRequest: (start: RequestStart) => (end: RequestEnd) => void;
  readonly eventLoopLag: (seconds: number) => void;
}

export function createMetrics(info: Readonly<Record<string, string>>): Metrics {
  const registry = createRegistry();
  const { counter, gauge, histogram, observed } = registry;

  gauge("handler_info", "What runs here.", Object.keys(info)).at(...Object.values(info)).value = 1;

  const handled = counter("handler_handled_total", "Messages that ended.", ["method", "way", "code"]);
  const duration = histogram(
    "handler_duration_seconds",
    "From the arrival of a message in its slot until its last reply is out.",
    ["method", "way", "code"],
    callBounds,
  );
  const inFlight = gauge("handler_in_flight", "Calls that run.", ["method", "way"]);
  const redeliveries = counter("handler_redeliveries_total", "Messages that came for another attempt.", ["method"]);
  const retries = counter("handler_retries_total", "Failed attempts that are tried again.", ["method", "code"]);
  const deadLetters = counter("handler_dead_letters_total", "Messages given up.", ["method", "cause"]);

  const roles = ["role", "operation"];
  const model = histogram(
    "model_request_duration_seconds",
    "From a request to a model or vector server until its answer is complete, retries included.",
    [...roles, "code"],
    modelBounds,
  );
  const firstToken = histogram(
    "model_first_token_seconds",
    "From the request until the first token.",
    roles,
    modelBounds,
  );
  const modelInFlight = gauge("model_in_flight", "Requests to model and vector servers that run.", ["role"]);
  const attempts = counter("model_attempts_total", "HTTP exchanges that the requests took.", roles);
  const tokens = counter("model_tokens_total", "Tokens as the servers counted them.", [...roles, "type"]);

  const lag = histogram("event_loop_lag_seconds", "How late a timer of the event loop fires.", [], lagBounds);
  observed("counter", "process_cpu_seconds_total", "CPU time of the process.", () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  observed("gauge", "process_resident_memory_bytes", "Resident memory of the process.", () =>
    process.memoryUsage.rss(),
  );
  const started = Date.now() / 1000 - process.uptime();
  observed("gauge", "process_start_time_seconds", "When the process began, Unix seconds.", () => started);

  return {
    registry,
    callBegan({ method: { contract }, way }) {
      inFlight.at(contract.name, way).value += 1;
    },
    messageEnded(incoming, began, outcome, durationMs) {
      const { way, attempt, method } = incoming;
      const { name, retry } = method.contract;
      const code = outcome.ok ? "ok" : outcome.error.code;
      if (began) inFlight.at(name, way).value -= 1;
      handled.at(name, way, code).value += 1;
      duration.observe(durationMs / 1000, name, way, code);
      if (way !== "event") return;
      if (attempt > 1) redeliveries.at(name).value += 1;
      if (outcome.ok) return;
      const decision = decide(outcome, incoming, retry, 0.5);
      if (decision.kind === "dead_letter") deadLetters.at(name, decision.cause).value += 1;
      else if (decision.kind !== "ack") retries.at(name, code).value += 1;
    },
    modelRequest({ role, operation }) {
      const running = modelInFlight.at(role);
      running.value += 1;
      return (end) => {
        running.value -= 1;
        model.observe(end.durationMs / 1000, role, operation, end.outcome);
        attempts.at(role, operation).value += end.attempts;
        if (end.firstTokenMs !== undefined) firstToken.observe(end.firstTokenMs / 1000, role, operation);
        const { usage } = end;
        if (usage === undefined) return;
        const count = (type: string, more: number | undefined) => {
          if (more !== undefined && more > 0) tokens.at(role, operation, type).value += more;
        };
        count("input", usage.inputTokens);
        count("output", usage.outputTokens);
        count("cached", usage.cachedTokens);
        count("reasoning", usage.reasoningTokens);
      };
    },
    eventLoopLag: (seconds) => lag.observe(seconds),
  };
}

// Telemetry of a service.
export { createTelemetry, type Telemetry, type TelemetryOptions } from "./telemetry.ts";

export { startInference, type InferenceOptions, type RunningInference } from "./start.ts";

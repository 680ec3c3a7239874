// What service authors and publishers in TypeScript use. Adding a name here is a decision about the library's surface.
export { createClient, type Client, type ClientOptions } from "./client.ts";
export type { CallOptions } from "./outgoing-call.ts";
export { contextKey, type Caller, type CallContext, type ContextKey } from "./context.ts";
export { HandlerError, type Code, type HandlerErrorOptions } from "./error.ts";
export {
  fold,
  implement,
  type Accumulator,
  type Fold,
  type Implementation,
  type Methods,
  type StreamHandler,
  type UnaryHandler,
} from "./implement.ts";
export type { Logger } from "./log.ts";
export type { Middleware } from "./middleware.ts";
export { serve, startService, type RunningService, type ServeOptions, type ServiceDeps } from "./serve.ts";

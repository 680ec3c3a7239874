// The one reason for an end that never gives a message up and costs its publisher no answer.
import { HandlerError } from "./error.ts";

/** Why calls end when the service stops. Compared by identity: an upstream's `unavailable` is something else. */
export const serviceStopping = new HandlerError("the service is stopping", "unavailable");

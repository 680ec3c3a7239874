// What a new service's name becomes in each place.
import { UsageError } from "../usage.ts";

export interface ServiceName {
  /** `order-status`: handler, folder, queue. */
  readonly kebab: string;
  /** `order_status`: package and subjects. */
  readonly snake: string;
  /** `ORDER_STATUS`: streams. */
  readonly upper: string;
  /** `OrderStatus`: types. */
  readonly pascal: string;
  /** `orderStatus`: functions. */
  readonly camel: string;
}

/** First tokens of subjects and packages that are taken. */
const taken = ["ai", "voice", "messages", "handler", "buf", "google", "new", "node", "test"];

/** Throws a UsageError on a name that cannot be all of these. */
export function serviceName(text: string): ServiceName {
  if (!/^[a-z][a-z0-9]*(-[a-z][a-z0-9]*)*$/.test(text) || text.length > 32) {
    throw new UsageError(
      `${JSON.stringify(text)} is no name for a service: use lower-case words joined by dashes, at most 32 characters`,
    );
  }
  if (taken.includes(text)) throw new UsageError(`the name ${text} is taken; choose another`);
  const words = text.split("-");
  const pascal = words.map((word) => word[0]?.toUpperCase() + word.slice(1)).join("");
  return {
    kebab: text,
    snake: words.join("_"),
    upper: words.join("_").toUpperCase(),
    pascal,
    camel: pascal[0]?.toLowerCase() + pascal.slice(1),
  };
}

// What the language model is asked to greet a user with, and what is taken of its answer.
import { HandlerError } from "@pipeline/handler-base";
import type { ChatMessage } from "@pipeline/handler-base/inference";
import type { GreetingRequest } from "@pipeline/messages";

const longestGreeting = 600;

export function greetingMessages(
  { nickname, username, premium }: GreetingRequest,
  language: string | undefined,
): ChatMessage[] {
  const name = [nickname, username].map(oneLine).find((each) => each !== "");
  const system = [
    "You greet the users of an assistant. Write one or two short, warm sentences and nothing else: welcome the user" +
      " by name if one is given, and offer help.",
    ...(premium ? ["The user has a premium account; do not mention it."] : []),
    `Write in the language ${language ?? "en"}.`,
  ];
  return [
    { role: "system", content: system.join(" ") },
    { role: "user", content: name === undefined ? "Hello!" : `Hello, I am ${name}.` },
  ];
}

/** The greeting as it is sent. Throws `unavailable` where the model wrote nothing. */
export function greetingOf(text: string): string {
  const greeting = text.trim().replace(/^"([^"]*)"$/, "$1");
  if (greeting === "") throw new HandlerError("the language model wrote no greeting", "unavailable");
  return greeting.slice(0, longestGreeting);
}

const oneLine = (text: string): string => text.replaceAll(/\s+/g, " ").trim();

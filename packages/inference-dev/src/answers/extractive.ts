// The default engine: answers with sentences of the sources, each with its number, and says so when they do not answer.
// It makes nothing up because it can write nothing else.
import type { SentenceVectors } from "../embeddings/sentences.ts";
import type { ChatEngine } from "../engines.ts";
import { compose, refusal, write } from "./compose.ts";
import { readConversation, type Conversation } from "./conversation.ts";
import { findEvidence, questionTerms } from "./evidence.ts";
import type { Rarity } from "./rarity.ts";
import { termsOf } from "./terms.ts";

export interface ExtractiveOptions {
  readonly rarity: Rarity;
  /** Without them, words alone decide. */
  readonly vectors?: SentenceVectors;
}

const greeting = /^\W*(?:hi|hello|hey|good (?:morning|afternoon|evening|day)|greetings|howdy)\b[\s\w,]{0,24}\W*$/i;
const thanks = /^\W*(?:thanks|thank you|thx|cheers|great|ok|okay)\b[\s\w,]{0,24}\W*$/i;

export function createExtractive({ rarity, vectors }: ExtractiveOptions): ChatEngine {
  return {
    name: vectors === undefined ? "extractive" : "extractive+minilm",
    concurrency: 4,
    async *answer(turns, { signal }) {
      signal.throwIfAborted();
      const conversation = readConversation(turns);
      const text = smallTalk(conversation) ?? (await fromSources(conversation, signal));
      for (const [word] of text.matchAll(/\s*\S+/g)) {
        signal.throwIfAborted();
        yield word;
      }
    },
  };

  async function fromSources(conversation: Conversation, signal: AbortSignal): Promise<string> {
    const question = standAlone(conversation);
    const terms = questionTerms(question, rarity);
    const evidence = await findEvidence(question, terms, conversation.sources, {
      ...(vectors && { vectors }),
      signal,
    });
    const chosen = compose(question, evidence, terms);
    return chosen.length === 0 ? refusal : write(chosen);
  }
}

function smallTalk({ question, sources }: Conversation): string | undefined {
  if (greeting.test(question))
    return "Hello! Ask me something about the documents, and I answer with their own sentences and cite them.";
  if (thanks.test(question)) return "You are welcome.";
  if (sources.length > 0) return undefined;
  return "I have no sources to answer this from: I only quote numbered sources, and none came with the question.";
}

/** A question that leans on the one before is read together with it. */
export function standAlone({ question, earlier }: Conversation): string {
  const [previous] = earlier;
  if (previous === undefined) return question;
  const leans =
    /^\W*(?:and|but|so|also|what about|how about|why)\b/i.test(question) ||
    /\b(?:it|its|they|them|their|that|this|those|these|he|she|there)\b/i.test(question);
  return leans || termsOf(question).length === 0 ? `${previous} ${question}` : question;
}

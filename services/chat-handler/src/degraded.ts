// What a response says when a part of the service was not available: one sentence each, in plain words, without any user's text.
export const degraded = {
  embeddings: "The embeddings model is not available: passages were found by words only.",
  vectors: "The knowledge base could not be searched by meaning: passages were found by words only.",
  reranker: "The reranker is not available: the passages are in the order of the search.",
  noReranker: "No reranker is configured: the passages are in the order of the search.",
  knowledge: "The knowledge base is not available: the answer has no sources.",
  reading: "The knowledge base is still being read: the answer has no sources.",
  noKnowledge: "No knowledge base is configured: the answer has no sources.",
  collection: "The collection of the knowledge base does not exist yet: the answer has no sources.",
  historyRead: "The history of the conversation is not available: the answer does not know its earlier turns.",
  historyWrite: "The history of the conversation could not be written: later answers will not know this turn.",
  cut: "The answer reached the length limit: it is not complete.",
  filtered: "The language model's content filter ended the answer: it is not complete.",
  speech: "Speech is not available: the answer is text only.",
  noSpeech: "Speech is not enabled: the answer is text only.",
  longSpeech: "The answer is too long to be spoken whole: only its beginning is.",
} as const;

// Checks of a search that every store makes before it looks anywhere.
import { HandlerError } from "../error.ts";
import { maxLimit, type SearchQuery } from "./store.ts";

export interface CheckedQuery {
  readonly vector: Float32Array | undefined;
  readonly text: string | undefined;
}

/** Throws `invalid_argument` for a limit out of range, a vector of the wrong length and a query that asks for nothing. */
export function checkQuery(query: SearchQuery, shape: { dimensions: number; keywords: boolean }): CheckedQuery {
  const { vector, limit, collection } = query;
  const text = query.text?.trim() === "" ? undefined : query.text;
  if (!Number.isInteger(limit) || limit < 1 || limit > maxLimit) {
    throw new HandlerError(`limit must be a whole number from 1 to ${maxLimit}`, "invalid_argument");
  }
  if (vector !== undefined && vector.length !== shape.dimensions)
    throw wrongDimensions(collection, shape.dimensions, vector);
  if (vector === undefined && text === undefined) {
    throw new HandlerError("a search needs a vector or words", "invalid_argument");
  }
  if (vector === undefined && !shape.keywords) {
    throw new HandlerError(
      `the collection ${collection} has no keyword index: a search needs a vector`,
      "failed_precondition",
    );
  }
  return { vector, text };
}

export function wrongDimensions(
  collection: string,
  dimensions: number,
  vector: Float32Array | undefined,
): HandlerError {
  const given = vector === undefined ? "no vector" : `a vector of ${vector.length} dimensions`;
  return new HandlerError(
    `the collection ${collection} holds vectors of ${dimensions} dimensions, not ${given}`,
    "invalid_argument",
  );
}

export function unknownCollection(collection: string): HandlerError {
  return new HandlerError(`the collection ${collection} does not exist`, "not_found");
}

export function otherDimensions(collection: string, has: number, wanted: number): HandlerError {
  return new HandlerError(
    `the collection ${collection} exists with ${has} dimensions, not ${wanted}: it was filled with another embedding model`,
    "failed_precondition",
  );
}

// Checks of a search that every store makes before it looks anywhere.
import { HandlerError } from "../error.ts";
import { maxDimensions, maxLimit, type SearchQuery } from "./store.ts";

export interface CheckedQuery {
  readonly vector: Float32Array | undefined;
  readonly text: string | undefined;
}

/** Characters of a question that are searched for; a longer one is cut, as what follows tells no more. */
const maxQueryText = 8192;

/**
 * Throws `invalid_argument` for a limit out of range, a vector of the wrong length or with a NaN in it, and a query that asks for
 * nothing.
 */
export function checkQuery(query: SearchQuery, shape: { dimensions: number; keywords: boolean }): CheckedQuery {
  const { vector, limit, collection } = query;
  const words = query.text?.slice(0, maxQueryText).trim();
  const text = words === "" ? undefined : words;
  if (!Number.isInteger(limit) || limit < 1 || limit > maxLimit) {
    throw new HandlerError(`limit must be a whole number from 1 to ${maxLimit}`, "invalid_argument");
  }
  if (vector !== undefined) checkVector(collection, shape.dimensions, vector);
  if (vector === undefined && text === undefined) {
    throw new HandlerError("a search needs a vector or words", "invalid_argument");
  }
  if (vector === undefined && !shape.keywords) {
    throw new HandlerError(
      `the collection ${shown(collection)} has no keyword index: a search needs a vector`,
      "failed_precondition",
    );
  }
  return { vector, text };
}

/** Throws `invalid_argument` for a vector of another length, or with a number in it that is not finite: it would compare with nothing. */
export function checkVector(collection: string, dimensions: number, vector: Float32Array | undefined): void {
  if ((vector?.length ?? 0) !== dimensions) throw wrongDimensions(collection, dimensions, vector);
  if (vector?.every(Number.isFinite) === false) {
    throw new HandlerError("a vector holds a number that is not finite", "invalid_argument");
  }
}

/** Throws `invalid_argument` unless a collection can have so many dimensions. */
export function checkDimensions(dimensions: number): void {
  if (!Number.isInteger(dimensions) || dimensions < 0 || dimensions > maxDimensions) {
    throw new HandlerError(`a collection has 0 to ${maxDimensions} dimensions`, "invalid_argument");
  }
}

function wrongDimensions(collection: string, dimensions: number, vector: Float32Array | undefined): HandlerError {
  const given = vector === undefined ? "no vector" : `a vector of ${vector.length} dimensions`;
  return new HandlerError(
    `the collection ${shown(collection)} holds vectors of ${dimensions} dimensions, not ${given}`,
    "invalid_argument",
  );
}

export function unknownCollection(collection: string): HandlerError {
  return new HandlerError(`the collection ${shown(collection)} does not exist`, "not_found");
}

export function otherDimensions(collection: string, has: number, wanted: number): HandlerError {
  return new HandlerError(
    `the collection ${shown(collection)} exists with ${has} dimensions, not ${wanted}: it was filled with another embedding model`,
    "failed_precondition",
  );
}

/** The name as a message may show it: it can come from a request. */
export function shown(collection: string): string {
  return /^[\w.-]{1,255}$/.test(collection) ? collection : "of that name";
}

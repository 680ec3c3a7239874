// Where an answer may go that its caller has named.
//
// I1  An inbox, and nothing else. The service may publish where its callers may not: an empty message on `$JS.API.STREAM.DELETE.X`
//     deletes a stream, and frames on a request subject or an event are as many requests.
import { isToken } from "./subjects.ts";

/** Far below the longest line that the server takes (4096 bytes); beyond that it ends the connection of whoever answers. */
const longest = 512;

/** Whether a reply subject is an inbox: `_INBOX….x`, or what a server makes of one on the way from another account or cluster. */
export function isInbox(subject: string): boolean {
  return subject.length <= longest && /^_(?:INBOX[^.]*|R_|GR_)\../.test(subject) && subject.split(".").every(isToken);
}

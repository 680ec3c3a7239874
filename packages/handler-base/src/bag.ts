// A collection that every message joins and leaves. Members know their place, so that neither costs a search or an allocation. A Set in
// its place kept the messages: its dead tables lie in the old generation and hold what they held (measured: 2 KB a message promoted,
// and twice the memory under load).

export interface Placed {
  /** The bag's own; -1 = in none. */
  place: number;
}

export class Bag<T extends Placed> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  /** Nothing happens if it is in already. */
  add(item: T): void {
    if (item.place >= 0) return;
    item.place = this.#items.length;
    this.#items.push(item);
  }

  /** Nothing happens if it is not in. */
  delete(item: T): void {
    const { place } = item;
    if (place < 0) return;
    item.place = -1;
    const last = this.#items.pop();
    if (last === undefined || last === item) return;
    this.#items[place] = last;
    last.place = place;
  }

  /** Visits every member; members may leave meanwhile, and one may then be visited twice. */
  each(visit: (item: T) => void): void {
    for (let place = this.#items.length - 1; place >= 0; place -= 1) {
      const item = this.#items[place];
      if (item !== undefined) visit(item);
    }
  }
}

// Refuses MessagePack that would take far more memory than it has bytes, before anything of it is decoded.
//
// I1  The decoder makes room for as many items as an array or map says that it has: 100 kB of nested array heads, each of which promises
//     65 535 items, would take gigabytes. Here every item that is promised must still have a byte to come.

/** Items of one message, however large it is. */
const mostItems = 1_000_000;

/** Throws an Error where the bytes promise more items than they can hold, or more than a million. */
export function checkItems(data: Uint8Array): void {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let at = 0;
  let items = 0;
  for (let open = 1; open > 0; open -= 1) {
    if (at >= data.length) throw new Error("it ends too soon");
    const { size, inside } = headAt(view, at);
    at += size;
    open += inside;
    items += 1;
    if (open - 1 > data.length - at) throw new Error("it promises more items than it has bytes"); // I1
    if (items > mostItems) throw new Error(`it has more than ${mostItems} items`);
  }
}

interface Head {
  /** Bytes of the head, and of the value where it holds no items. */
  readonly size: number;
  /** Items that follow and belong to it. */
  readonly inside: number;
}

/** Sizes of values of a fixed size, head included; nil and the booleans have one byte. */
const fixed: Readonly<Record<number, number>> = {
  0xca: 5,
  0xcb: 9,
  0xcc: 2,
  0xcd: 3,
  0xce: 5,
  0xcf: 9,
  0xd0: 2,
  0xd1: 3,
  0xd2: 5,
  0xd3: 9,
  0xd4: 3,
  0xd5: 4,
  0xd6: 6,
  0xd7: 10,
  0xd8: 18,
};

/** Throws a RangeError beyond the end. */
function headAt(view: DataView, at: number): Head {
  const byte = view.getUint8(at);
  if (byte <= 0x7f || byte >= 0xe0) return { size: 1, inside: 0 };
  if (byte <= 0x8f) return { size: 1, inside: (byte & 0x0f) * 2 };
  if (byte <= 0x9f) return { size: 1, inside: byte & 0x0f };
  if (byte <= 0xbf) return { size: 1 + (byte & 0x1f), inside: 0 };
  switch (byte) {
    case 0xc4:
    case 0xd9:
      return { size: 2 + view.getUint8(at + 1), inside: 0 };
    case 0xc5:
    case 0xda:
      return { size: 3 + view.getUint16(at + 1), inside: 0 };
    case 0xc6:
    case 0xdb:
      return { size: 5 + view.getUint32(at + 1), inside: 0 };
    case 0xc7:
      return { size: 3 + view.getUint8(at + 1), inside: 0 };
    case 0xc8:
      return { size: 4 + view.getUint16(at + 1), inside: 0 };
    case 0xc9:
      return { size: 6 + view.getUint32(at + 1), inside: 0 };
    case 0xdc:
      return { size: 3, inside: view.getUint16(at + 1) };
    case 0xdd:
      return { size: 5, inside: view.getUint32(at + 1) };
    case 0xde:
      return { size: 3, inside: view.getUint16(at + 1) * 2 };
    case 0xdf:
      return { size: 5, inside: view.getUint32(at + 1) * 2 };
    default:
      return { size: fixed[byte] ?? 1, inside: 0 };
  }
}

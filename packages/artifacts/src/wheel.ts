// One member of a wheel, which is a zip: found through the central directory and inflated here. Nothing in a wheel is ever executed.
import { open } from "node:fs/promises";
import { inflateRawSync } from "node:zlib";

const endOfDirectory = 0x06054b50;
const directoryEntry = 0x02014b50;
/** A comment after the directory may be this long. */
const longestTail = 65_557;

/** Bytes of a member. Throws an Error that names it where the archive does not have it. */
export async function readMember(archive: string, member: string): Promise<Buffer> {
  await using file = await open(archive);
  const { size } = await file.stat();
  const tail = await read(file, Math.max(0, size - longestTail), Math.min(size, longestTail));
  const end = tail.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]));
  if (end === -1 || tail.readUInt32LE(end) !== endOfDirectory) throw new Error(`${archive} is no zip archive`);
  const directory = await read(file, tail.readUInt32LE(end + 16), tail.readUInt32LE(end + 12));
  for (let at = 0; at + 46 <= directory.length && directory.readUInt32LE(at) === directoryEntry;) {
    const nameLength = directory.readUInt16LE(at + 28);
    const name = directory.toString("utf8", at + 46, at + 46 + nameLength);
    if (name === member) {
      const local = directory.readUInt32LE(at + 42);
      const header = await read(file, local, 30);
      const data = await read(
        file,
        local + 30 + header.readUInt16LE(26) + header.readUInt16LE(28),
        directory.readUInt32LE(at + 20),
      );
      return directory.readUInt16LE(at + 10) === 0 ? data : inflateRawSync(data);
    }
    at += 46 + nameLength + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
  }
  throw new Error(`${archive} has no member ${member}`);
}

async function read(file: Awaited<ReturnType<typeof open>>, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, position);
  if (bytesRead !== length) throw new Error("the archive is cut off");
  return buffer;
}

// Data from the page: base64, gzip, and checks that each block is as it was written.

/** What is wrong with the page, in words for its reader. */
export class Damage extends Error {}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** CRC-32 of bytes, as in gzip and zlib. */
function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = CRC_TABLE[(value ^ byte) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

function elementText(name) {
  const element = document.getElementById(name);
  if (element === null) throw new Damage(`its part “${name}” is missing`);
  return element.textContent;
}

/** The manifest: what the blocks are and how to read them. */
export function readManifest() {
  const text = elementText("manifest");
  const expected = Number(document.getElementById("manifest").dataset.crc32);
  if (crc32(new TextEncoder().encode(text)) !== expected) {
    throw new Damage("its list of contents is not as it was written");
  }
  return JSON.parse(text);
}

function fromBase64(name, text) {
  let characters;
  try {
    characters = atob(text);
  } catch {
    throw new Damage(`its part “${name}” is not base64`);
  }
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
}

/**
 * The bytes of a block. Gzip ends with checksum and length, which the browser's decompressor compares
 * with what it unpacks; here they are compared with the manifest.
 */
export async function readBlock(name, { length, crc32: expected }) {
  const packed = fromBase64(name, elementText(name));
  if (packed.length < 18) throw new Damage(`its part “${name}” is too short`);
  const view = new DataView(packed.buffer, packed.length - 8);
  if (view.getUint32(0, true) !== expected || view.getUint32(4, true) !== length) {
    throw new Damage(`its part “${name}” is not as it was written`);
  }
  if (typeof DecompressionStream === "undefined") {
    throw new Error("This browser is too old to unpack the page's data (it has no DecompressionStream).");
  }
  try {
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
    if (bytes.length === length) return bytes;
  } catch {
    // reported below
  }
  throw new Damage(`its part “${name}” cannot be unpacked`);
}

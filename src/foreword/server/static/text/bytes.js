/**
 * Bytes as strings of the characters U+0000 to U+00FF: they compare, join and are keys as such.
 *
 * @typedef {string} Bytes
 */

/**
 * Returns bytes as a string.
 * @param {Uint8Array} array
 * @returns {Bytes}
 */
export function bytesOf(array) {
  return String.fromCharCode(...array);
}

/**
 * Returns the whole characters of bytes in UTF-8, null where they are none.
 * @param {Bytes} bytes
 * @returns {string | null}
 */
export function wholeText(bytes) {
  try {
    // In a stream the end of a character may be yet to come.
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    return decoder.decode(arrayOf(bytes), { stream: true });
  } catch {
    return null;
  }
}

/**
 * Returns the text of bytes in UTF-8, U+FFFD for what is none.
 * @param {Bytes} bytes
 */
export function textOf(bytes) {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(arrayOf(bytes));
}

/**
 * Returns the text of bytes in UTF-8 without what is none.
 * @param {Bytes} bytes
 */
export function validTextOf(bytes) {
  const parts = bytes.split("\xef\xbf\xbd"); // a U+FFFD that is in the text
  return parts.map((part) => textOf(part).replaceAll("\ufffd", "")).join("\ufffd");
}

/** @param {Bytes} bytes */
function arrayOf(bytes) {
  return Uint8Array.from(bytes, (character) => character.charCodeAt(0));
}

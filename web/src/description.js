/** What a server says of a model (`device.json`): where its files are, and what they hold. */

import { DeviceError } from "./errors.js";

/** Where parts are kept, under their hashes. */
export const PARTS = "/device/parts/";
const FILES = ["model.tflite", "tokenizer.json"];
const MOST_BYTES = 2 ** 31;

/** Where a file of a model is fetched. @param {string} model @param {string} name */
export const place = (model, name) => `/device/${encodeURIComponent(model)}/${name}`;

/** The parts of a file, one where none are told: how each is fetched, and where it is kept. */
export function partsOf(model, file) {
  const { size_bytes: width, sha256: hashes } = dividedOf(file);
  return hashes.map((hash, index) => {
    const start = index * width;
    const size = Math.min(width, file.size_bytes - start);
    const headers = hashes.length > 1 ? { Range: `bytes=${start}-${start + size - 1}` } : {};
    const url = place(model, file.name);
    return { url, headers, key: PARTS + hash, sha256: hash, start, size_bytes: size };
  });
}

function dividedOf(file) {
  return file.parts ?? { size_bytes: file.size_bytes, sha256: [file.sha256] };
}

/** What a server says of a model, when it can be believed. */
export function checked(document, model) {
  const sound =
    typeof model === "string" &&
    document?.model === model &&
    Number.isInteger(document.context) &&
    Array.isArray(document.signatures) &&
    Array.isArray(document.special_tokens?.end) &&
    ["layers", "kv_heads", "head_dim", "vocabulary"].every(
      (key) => Number.isInteger(document.shape?.[key]) && document.shape[key] > 0,
    ) &&
    Array.isArray(document.files) &&
    FILES.every((name) => document.files.some((file) => file?.name === name)) &&
    document.files.every(isFile);
  if (!sound) throw new DeviceError("damaged", "the server describes the model in another way");
  return document;
}

function isFile(file) {
  if (!Number.isInteger(file?.size_bytes)) return false;
  const { size_bytes: size } = file;
  const parts = dividedOf(file);
  return (
    size > 0 &&
    size < MOST_BYTES &&
    Number.isInteger(parts.size_bytes) &&
    parts.size_bytes > 0 &&
    Array.isArray(parts.sha256) &&
    parts.sha256.length === Math.ceil(size / parts.size_bytes) &&
    parts.sha256.every((hash) => /^[0-9a-f]{64}$/.test(hash))
  );
}

/**
 * A model's files, kept in this browser. They come in parts, and each is kept under the SHA-256
 * of what it holds: what is there is whole, an interrupted download goes on where it ended, and a
 * part that browser or disk has lost or spoilt is fetched again.
 */

import { checked, PARTS, partsOf, place } from "./description.js";
import { DeviceError } from "./errors.js";

const CACHE = "foreword-models";
const CODES = { 401: "api_key", 403: "forbidden", 404: "model" };

export class BundleStore {
  #key;
  #parts = null;

  /** @param {string | null} key what the server asks for, where it asks for one */
  constructor(key = null) {
    this.#key = key;
  }

  /**
   * Returns what the server says of a model, or has said when it is out of reach.
   * @param {string} model
   * @param {AbortSignal} [signal]
   */
  async describe(model, signal) {
    const url = place(model, "device.json");
    const parts = await this.#open();
    let response;
    try {
      response = await this.#fetch(url, {}, signal);
    } catch (error) {
      const kept = error.code === "offline" ? await parts.match(url) : undefined;
      if (kept === undefined) throw error;
      return checked(await kept.json(), model);
    }
    return checked(await response.json().catch(() => null), model);
  }

  /**
   * Fetches every part that is not here yet. What was kept of an older version stays until all of
   * this one is here.
   * @param {object} description
   * @param {AbortSignal | undefined} signal
   * @param {(done: number, total: number) => void} onProgress in bytes
   */
  async download(description, signal, onProgress) {
    const parts = await this.#open();
    const wanted = description.files.flatMap((file) => partsOf(description.model, file));
    const total = sum(wanted);
    const missing = [];
    for (const part of wanted) if (!(await parts.match(part.key))) missing.push(part);
    let done = total - sum(missing);
    await this.#makeRoom(sum(missing));
    const url = place(description.model, "device.json");
    const describe = () => stored(parts.put(url, Response.json(description)));
    if (!(await parts.match(url))) await describe();
    onProgress(done, total);
    for (const part of missing) {
      const response = await this.#fetch(part.url, part.headers, signal);
      const bytes = await received(response, signal);
      if ((await sha256(bytes)) !== part.sha256) {
        throw new DeviceError("damaged", `${part.url} did not come as the server described it`);
      }
      await stored(parts.put(part.key, new Response(bytes)));
      done += part.size_bytes;
      onProgress(done, total);
    }
    await describe();
    await this.#sweep();
  }

  /**
   * Returns a file that was downloaded, every part checked; null when some are lost or spoilt,
   * which are then forgotten.
   * @param {object} description
   * @param {string} name
   * @param {(bytes: number) => void} onPart
   * @returns {Promise<Uint8Array | null>}
   */
  async read(description, name, onPart) {
    const parts = await this.#open();
    const file = description.files.find((entry) => entry.name === name);
    const whole = new Uint8Array(file.size_bytes);
    let sound = true;
    for (const part of partsOf(description.model, file)) {
      const found = await parts.match(part.key);
      const bytes = found && new Uint8Array(await found.arrayBuffer());
      if (bytes?.length !== part.size_bytes || (await sha256(bytes)) !== part.sha256) {
        await parts.delete(part.key);
        sound = false;
      } else if (sound) {
        whole.set(bytes, part.start);
      }
      onPart(part.size_bytes);
    }
    return sound ? whole : null;
  }

  /** The models here, with the bytes of each that have come so far; `complete` when all have. */
  async stored() {
    const parts = await this.#open();
    const here = new Set((await parts.keys()).map((request) => pathOf(request)));
    const models = await this.#descriptions();
    return models.map(({ model, context, files }) => {
      const all = files.flatMap((file) => partsOf(model, file));
      const kept = all.filter((part) => here.has(part.key));
      return { model, context, size_bytes: sum(kept), complete: kept.length === all.length };
    });
  }

  /** Forgets a model. @param {string} model */
  async remove(model) {
    await (await this.#open()).delete(place(model, "device.json"));
    await this.#sweep();
  }

  /** Deletes the parts of no model that is described here: of older versions, of removed ones. */
  async #sweep() {
    const parts = await this.#open();
    const models = await this.#descriptions();
    const wanted = new Set(
      models.flatMap(({ model, files }) =>
        files.flatMap((file) => partsOf(model, file).map((part) => part.key)),
      ),
    );
    for (const request of await parts.keys()) {
      const path = pathOf(request);
      if (path.startsWith(PARTS) && !wanted.has(path)) await parts.delete(request);
    }
  }

  async #descriptions() {
    const parts = await this.#open();
    const described = [];
    for (const request of await parts.keys()) {
      if (pathOf(request).startsWith(PARTS)) continue;
      try {
        const document = await (await parts.match(request)).json();
        described.push(checked(document, document?.model));
      } catch {
        await parts.delete(request); // of another version of this file
      }
    }
    return described;
  }

  async #makeRoom(bytes) {
    const { quota, usage } = (await globalThis.navigator?.storage?.estimate?.()) ?? {};
    if (quota !== undefined && bytes > quota - usage) {
      const free = Math.max(0, Math.round((quota - usage) / 1e6));
      throw new DeviceError("storage", `${bytes} bytes are needed, ${free} MB are free`);
    }
  }

  async #open() {
    this.#parts ??= await stored(caches.open(CACHE));
    return this.#parts;
  }

  async #fetch(url, headers, signal) {
    const key = this.#key === null ? {} : { Authorization: `Bearer ${this.#key}` };
    let response;
    try {
      response = await fetch(url, { headers: { ...headers, ...key }, signal, cache: "no-store" });
    } catch (error) {
      throw signal?.aborted ? error : new DeviceError("offline", "the server is out of reach");
    }
    if (response.ok) return response;
    const { error } = (await response.json().catch(() => null)) ?? {};
    const code = CODES[response.status] ?? "offline";
    throw new DeviceError(code, error?.message ?? `${url}: ${response.status}`);
  }
}

async function received(response, signal) {
  try {
    return await response.arrayBuffer();
  } catch (error) {
    throw signal?.aborted ? error : new DeviceError("offline", "the download broke off");
  }
}

async function stored(promise) {
  try {
    return await promise;
  } catch (error) {
    throw new DeviceError("storage", error.message);
  }
}

async function sha256(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const pathOf = (request) => new URL(request.url, "http://localhost").pathname;
const sum = (parts) => parts.reduce((bytes, part) => bytes + part.size_bytes, 0);

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { beforeEach, test } from "node:test";

import { BundleStore } from "../src/bundle.js";

const PART = 10;
const hash = (bytes) => createHash("sha256").update(bytes).digest("hex");

/** Cache Storage in a few lines: paths and what was put there. */
class FakeCache {
  entries = new Map();
  full = false;
  #path = (key) => new URL(key.url ?? key, "http://localhost").pathname;

  async match(key) {
    return this.entries.get(this.#path(key))?.clone();
  }

  async put(key, response) {
    if (this.full) throw new DOMException("no room", "QuotaExceededError");
    this.entries.set(this.#path(key), response);
  }

  async delete(key) {
    return this.entries.delete(this.#path(key));
  }

  async keys() {
    return [...this.entries.keys()].map((path) => ({ url: `http://localhost${path}` }));
  }
}

/** A server of one model, which counts what it is asked and can be made to fail. */
class FakeServer {
  files = {
    "model.tflite": Buffer.from("0123456789abcdefghijklmno"),
    "tokenizer.json": Buffer.from("{}"),
  };
  asked = [];
  failAfter = Infinity;
  spoil = false;
  status = 200;

  describe(model = "m") {
    const parts = [];
    const bytes = this.files["model.tflite"];
    for (let i = 0; i < bytes.length; i += PART) parts.push(hash(bytes.subarray(i, i + PART)));
    return {
      model,
      context: 8,
      shape: { layers: 1, kv_heads: 1, head_dim: 4, vocabulary: 9 },
      special_tokens: { start: 1, end: [2], prepend_start: false },
      signatures: ["decode"],
      files: [
        {
          name: "model.tflite",
          size_bytes: bytes.length,
          sha256: hash(bytes),
          parts: { size_bytes: PART, sha256: parts },
        },
        { name: "tokenizer.json", size_bytes: 2, sha256: hash(this.files["tokenizer.json"]) },
      ],
    };
  }

  fetch = async (url, { headers }) => {
    this.asked.push(`${url} ${headers.Range ?? ""}`.trim());
    if (this.asked.length > this.failAfter) throw new TypeError("network");
    if (this.status !== 200) {
      return Response.json({ error: { message: "the server's words" } }, { status: this.status });
    }
    const [, model, name] = /^\/device\/(.+)\/(.+)$/.exec(url);
    if (name === "device.json") return Response.json(this.describe(model));
    const [first, last] = headers.Range?.match(/\d+/g).map(Number) ?? [0, Infinity];
    const bytes = this.files[name].subarray(first, last + 1);
    return new Response(this.spoil ? Buffer.alloc(bytes.length) : bytes, { status: 206 });
  };
}

let cache, server, store;

beforeEach(() => {
  cache = new FakeCache();
  server = new FakeServer();
  globalThis.caches = { open: async () => cache };
  globalThis.fetch = server.fetch;
  free(1000);
  store = new BundleStore();
});

function free(bytes) {
  const storage = { estimate: async () => ({ quota: 5000 + bytes, usage: 5000 }) };
  Object.defineProperty(globalThis, "navigator", { value: { storage }, configurable: true });
}

async function get(model = "m", onProgress = () => {}) {
  const description = await store.describe(model);
  await store.download(description, undefined, onProgress);
  return description;
}

async function read(description, name = "model.tflite") {
  const bytes = await store.read(description, name, () => {});
  return bytes && Buffer.from(bytes).toString();
}

test("a model comes in parts and is put together again", async () => {
  const progress = [];
  const description = await get("m", (done, total) => progress.push([done, total]));
  assert.equal(await read(description), "0123456789abcdefghijklmno");
  assert.equal(await read(description, "tokenizer.json"), "{}");
  assert.deepEqual(progress, [
    [0, 27],
    [10, 27],
    [20, 27],
    [25, 27],
    [27, 27],
  ]);
  assert.deepEqual(server.asked.slice(1, 4), [
    "/device/m/model.tflite bytes=0-9",
    "/device/m/model.tflite bytes=10-19",
    "/device/m/model.tflite bytes=20-24",
  ]);
});

test("an interrupted download goes on where it ended", async () => {
  server.failAfter = 3;
  await assert.rejects(get(), { code: "offline" });
  assert.deepEqual(await store.stored(), [
    { model: "m", context: 8, size_bytes: 20, complete: false },
  ]);
  server.failAfter = Infinity;
  server.asked = [];
  assert.equal(await read(await get()), "0123456789abcdefghijklmno");
  assert.equal(server.asked.length, 3); // the description and two parts
});

test("what came is not fetched again, and works without the server", async () => {
  await get();
  server.asked = [];
  server.failAfter = 0;
  assert.equal(await read(await get()), "0123456789abcdefghijklmno");
  assert.deepEqual(server.asked, ["/device/m/device.json"]);
});

test("a part that is not what was described is not kept", async () => {
  server.spoil = true;
  await assert.rejects(get(), { code: "damaged" });
  assert.deepEqual([...cache.entries.keys()], ["/device/m/device.json"]);
});

test("a part that is lost or spoilt is fetched again", async () => {
  const description = await get();
  const [path] = [...cache.entries.keys()].filter((key) => key.startsWith("/device/parts/"));
  cache.entries.set(path, new Response("0123456780"));
  assert.equal(await read(description), null);
  server.asked = [];
  assert.equal(await read(await get()), "0123456789abcdefghijklmno");
  assert.equal(server.asked.length, 2);
});

test("a new version takes the place of the old one", async () => {
  await get();
  server.files["model.tflite"] = Buffer.from("0123456789ABCDEFGHIJ");
  server.asked = [];
  assert.equal(await read(await get()), "0123456789ABCDEFGHIJ");
  assert.equal(server.asked.length, 2); // the first part is the same
  assert.equal([...cache.entries.keys()].length, 4);
});

test("a new version that did not come whole leaves the old one in its place", async () => {
  await get();
  server.files["model.tflite"] = Buffer.from("0123456789ABCDEFGHIJ");
  server.asked = [];
  server.failAfter = 1;
  await assert.rejects(get(), { code: "offline" });
  server.failAfter = 0;
  assert.equal(await read(await get()), "0123456789abcdefghijklmno");
});

test("a model is removed with all its parts but those of others", async () => {
  await get("m");
  await get("n");
  await store.remove("m");
  assert.deepEqual(
    (await store.stored()).map(({ model, complete }) => [model, complete]),
    [["n", true]],
  );
  await store.remove("n");
  assert.equal(cache.entries.size, 0);
});

test("no room is told before anything is fetched, and when there is less than was said", async () => {
  const description = await store.describe("m");
  free(26);
  await assert.rejects(
    store.download(description, undefined, () => {}),
    { code: "storage" },
  );
  assert.equal(server.asked.length, 1);
  free(27);
  cache.full = true;
  await assert.rejects(
    store.download(description, undefined, () => {}),
    { code: "storage" },
  );
});

test("a refusal has the server's words and a code of its own", async () => {
  for (const [status, code] of [
    [401, "api_key"],
    [404, "model"],
    [503, "offline"],
  ]) {
    server.status = status;
    await assert.rejects(store.describe("m"), { code, message: "the server's words" });
  }
});

test("a description that makes no sense is not believed", async () => {
  const sound = server.describe();
  const strange = [
    null,
    [],
    { ...sound, model: "other" },
    { ...sound, context: "8" },
    { ...sound, shape: { ...sound.shape, layers: 0 } },
    { ...sound, files: [] },
    { ...sound, files: [sound.files[0], { name: "tokenizer.json", size_bytes: -1, sha256: "x" }] },
    { ...sound, files: [{ ...sound.files[0], size_bytes: 31 }, sound.files[1]] },
    { ...sound, files: [{ ...sound.files[0], size_bytes: 1e12 }, sound.files[1]] },
    { ...sound, special_tokens: null },
  ];
  for (const document of strange) {
    server.describe = () => document;
    await assert.rejects(store.describe("m"), { code: "damaged" });
  }
  assert.equal(cache.entries.size, 0);
});

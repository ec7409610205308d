// The service worker: keeps the page, so that it opens without its server.
//
// The server lists the page's files with their hashes; all of one list are kept together, under
// its hash. The network comes first, so that a page is never older than the server it talks to.
// What belongs to the model's worker, 10 MB and more, is kept once it was used. The model itself
// is kept by that worker; what is asked of the model (/v1) is nobody's to keep.

const PREFIX = "foreword-page-";
const LIST = "/static/files.json";
const LAZY = "/static/device/";
const AT_ROOT = { "index.html": "/", "manifest.webmanifest": "/manifest.webmanifest" };
const PATIENCE_MS = 4000;
// Threads in the model's worker need a page that is isolated.
const ISOLATION = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
};

self.addEventListener("install", (event) => {
  event.waitUntil(renew().then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(self.clients.claim());
});

self.addEventListener("fetch", (event) => {
  const { method, mode, url } = event.request;
  const { origin, pathname } = new URL(url);
  const ours = pathname.startsWith("/static/") || Object.values(AT_ROOT).includes(pathname);
  if (method !== "GET" || origin !== self.location.origin || !ours || pathname === LIST) return;
  event.respondWith(answer(event.request, pathname));
  if (mode === "navigate") event.waitUntil(renew().catch(() => {}));
});

/** The server's answer; the kept one when it is away, slow or failing. */
async function answer(request, path) {
  const asked = fetch(request).then((response) => {
    if (response.status >= 500) throw new TypeError(`HTTP ${response.status}`);
    if (response.ok && path.startsWith(LAZY)) return keep(path, response);
    return response;
  });
  const kept = await find(path);
  if (!kept) return asked;
  const late = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS, null));
  const response = await Promise.race([asked.catch(() => null), late]);
  return response ?? isolated(kept);
}

async function find(path) {
  const name = await current();
  return name && (await caches.open(name)).match(path);
}

async function keep(path, response) {
  const name = await current();
  if (name) {
    const copy = response.clone();
    // No room is no reason to fail: the page works, if not offline.
    void caches
      .open(name)
      .then((cache) => cache.put(path, copy))
      .catch(() => {});
  }
  return response;
}

/** The name of the cache that is whole: its list was put there last. */
async function current() {
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX) && (await (await caches.open(name)).match(LIST))) return name;
  }
  return null;
}

/** Keeps what the server lists now, all of it or nothing, and forgets the list before. */
async function renew() {
  const text = await (await fetched(LIST)).text();
  const name = PREFIX + (await sha256(new TextEncoder().encode(text))).slice(0, 16);
  const before = await current();
  if (name === before) return;
  const old = before && (await caches.open(before));
  const known = old ? await (await old.match(LIST)).json() : {};
  const cache = await caches.open(name);
  for (const [file, hash] of Object.entries(JSON.parse(text))) {
    const path = AT_ROOT[file] ?? `/static/${file}`;
    const kept = await old?.match(path);
    if (file === "sw.js" || (path.startsWith(LAZY) && !kept)) continue;
    if (kept && known[file] === hash) {
      await cache.put(path, kept);
      continue;
    }
    const response = await fetched(path);
    if ((await sha256(await response.clone().arrayBuffer())) !== hash) {
      throw new Error(`${path} changed meanwhile`); // the next visit tries again
    }
    await cache.put(path, response);
  }
  await cache.put(LIST, new Response(text));
  for (const other of await caches.keys()) {
    if (other.startsWith(PREFIX) && other !== name) await caches.delete(other);
  }
}

async function fetched(path) {
  const response = await fetch(path, { cache: "no-cache" });
  if (!response.ok) throw new Error(`${path}: HTTP ${response.status}`);
  return response;
}

function isolated(response) {
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(ISOLATION)) headers.set(name, value);
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
}

async function sha256(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
